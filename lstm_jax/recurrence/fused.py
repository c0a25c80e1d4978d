"""`method="fused"`: one backward pass for every cell, with the weight gradients out of the loop.

Differentiating the plain scan adds up dU = Σ_t a_tᵀ dz_t step by step, reading and writing a whole
matrix each time, and saves every intermediate. Here

- the forward loop saves only the states and z_t = x_t + a_t U, the result of each product;
- the reverse loop replays the elementwise part of the equations on the saved z_t, pulls the
  state's adjoint through it and through da_t = dz_t Uᵀ, and writes dz_t;
- afterwards one flat product over all T·B rows gives dU = AᵀdZ.

Which parameters enter elementwise (peepholes, scales: small, their gradients add up in the loop)
and which as matrices of a product is read off the traced equations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array, ArrayTree
from jax.extend.core import ClosedJaxpr, Var

from lstm_jax.recurrence import scan
from lstm_jax.types import Cell, Params, State, advance, align, is_float


@partial(jax.custom_vjp, nondiff_argnums=(0, 6))
def run(
    cell: Cell,
    params: Params,
    state: State,
    inputs: Any,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[State, Array]:
    """As `scan.run`, in values and gradients; it has no forward-mode derivatives."""
    return scan.run(cell, params, state, inputs, mask, resets, reverse)


class Saved(NamedTuple):
    """What the forward pass hands to the backward pass."""

    params: Params
    state: State
    inputs: Any
    mask: Array | None
    resets: Array | None
    states: State  # after each step, leaves [T, B, ...]
    products: list[Array]  # z of each product, in the order of the equations, [T, B, G·H]


def forward(
    cell: Cell,
    params: Params,
    state: State,
    inputs: Any,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[tuple[State, Array], Saved]:
    """Runs the cell, and saves its states and the results of its products."""
    kernels = product_kernels(cell, params, state, first(inputs))
    fresh = cell.initial_state(state.h.shape[0])

    def body(state: State, step: tuple) -> tuple[State, tuple[State, list[Array]]]:
        x, keep, start = step
        state = scan.reset(start, fresh, state)
        products: list[Array] = []

        def affine(x: Any, a: Array, _: Array) -> Array:
            kernel = kernels[len(products)]
            z = cell.product(a.astype(kernel.dtype), kernel)
            products.append(z + align(x, z))
            return products[-1]

        new, _ = advance(cell, params, state, x, affine)
        new = scan.select(keep, new, state)
        return new, (new, products)

    last, (states, products) = jax.lax.scan(body, state, (inputs, mask, resets), reverse=reverse)
    return (last, states.h), Saved(params, state, inputs, mask, resets, states, products)


def backward(
    cell: Cell, reverse: bool, saved: Saved, cotangents: tuple[State, Array]
) -> tuple[Params, State, Any, None, None]:
    """The adjoint of `forward`: gradients of the parameters, first state and input part."""
    params, state, inputs, mask, resets, states, products = saved
    d_last, d_outputs = cotangents
    theta, put_params = split_floats(params)
    elementwise = elementwise_leaves(cell, params, state, first(inputs))
    kernels, kernels_to_theta = jax.vjp(
        lambda theta: product_kernels(cell, put_params(theta), state, first(inputs)), theta
    )
    before, wiring = previous(states, state, reverse), Wiring()
    (d_state, d_small), (d_x, d_z, operands) = jax.lax.scan(
        adjoint_step(cell, params, elementwise, kernels, wiring),
        (d_last, [zeros_to_add_to(v) for v in chosen(elementwise, theta)]),
        (before, inputs, products, mask, resets, d_outputs),
        reverse=not reverse,
    )
    operands = wiring.with_state(operands, entered(cell, before, resets))
    (d_theta,) = kernels_to_theta(
        [
            kernel_gradient(cell.product, a, u, dz)
            for a, u, dz in zip(operands, kernels, d_z, strict=True)
        ]
    )
    added = iter(d_small)
    d_theta = [
        d + next(added).astype(d.dtype) if used else d
        for d, used in zip(d_theta, elementwise, strict=True)
    ]
    _, put_inputs = split_floats(inputs)
    d_inputs = put_inputs(wiring.with_products(d_x, d_z), keep_others=False)
    return put_params(d_theta, keep_others=False), d_state, d_inputs, None, None


def adjoint_step(
    cell: Cell, params: Params, elementwise: list[bool], kernels: list[Array], wiring: Wiring
) -> Callable[[tuple, tuple], tuple[tuple, tuple]]:
    """One step of the reverse loop.

    It replays the step on the saved results of its products, and pulls the adjoint of the new
    state back to the old one, the input part, the products, and the elementwise parameters.
    """
    theta, put_params = split_floats(params)
    small = chosen(elementwise, theta)

    def step(carry: tuple, saved: tuple) -> tuple[tuple, tuple]:
        d_state, d_small = carry
        state, x, z, keep, start, d_output = saved
        x, put_x = split_floats(x)
        state = scan.reset(start, cell.initial_state(state.h.shape[0]), state)

        def replay(small: list, state: State, x: list, z: list) -> tuple[State, list]:
            operands: list[Array] = []

            def affine(x: Any, a: Array, _: Array) -> Array:
                k = len(operands)
                operands.append(a)
                a = a.astype(kernels[k].dtype)
                return replayed(cell.product, align(x, z[k]), a, kernels[k], z[k])

            parameters = put_params(merge(elementwise, small, theta))
            new, _ = advance(cell, parameters, state, put_x(x), affine)
            return scan.select(keep, new, state), wiring.without_state(operands, state)

        _, pull, operands = jax.vjp(replay, small, state, x, z, has_aux=True)
        d_small_t, d_state, d_x, d_z = pull(d_state._replace(h=d_state.h + d_output))
        d_state = scan.reset(start, jax.tree.map(jnp.zeros_like, d_state), d_state)
        d_small = [total + d for total, d in zip(d_small, d_small_t, strict=True)]
        return (d_state, d_small), (wiring.without_products(d_x, d_z), d_z, operands)

    return step


run.defvjp(forward, backward)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def replayed(product: Callable, x: Array, a: Array, kernel: Array, z: Array) -> Array:
    """The recorded z of x + a @ U: propagates adjoints to x and a, and reports its own as z's."""
    del product, x, a, kernel
    return z


def _replayed_forward(
    product: Callable, x: Array, a: Array, kernel: Array, z: Array
) -> tuple[Array, tuple[Array, Array]]:
    del product, x
    return z, (a, kernel)


def _replayed_backward(product: Callable, saved: tuple[Array, Array], d_z: Array) -> tuple:
    a, kernel = saved
    _, pull = jax.vjp(lambda a: product(a, kernel), a)
    return d_z, pull(d_z)[0], None, d_z


replayed.defvjp(_replayed_forward, _replayed_backward)


class Wiring:
    """Spares the reverse loop arrays that it would write twice.

    An operand that is the previous state itself is known already; the adjoint of an input part
    that enters one product and nothing else is that product's dz.
    """

    def __init__(self) -> None:
        self.fields: list[str | None] = []
        self.twins: list[int | None] = []

    def without_state(self, operands: list[Array], state: State) -> list[Array | None]:
        names = {id(v): name for name, v in state._asdict().items()}
        self.fields = [names.get(id(a)) for a in operands]
        return [a if f is None else None for a, f in zip(operands, self.fields, strict=True)]

    def with_state(self, operands: list[Array | None], state: State) -> list[Array]:
        return [
            a if f is None else getattr(state, f)
            for a, f in zip(operands, self.fields, strict=True)
        ]

    def without_products(self, d_x: list[Array], d_z: list[Array]) -> list[Array | None]:
        order = {id(v): k for k, v in enumerate(d_z)}
        self.twins = [order.get(id(v)) for v in d_x]
        return [v if k is None else None for v, k in zip(d_x, self.twins, strict=True)]

    def with_products(self, d_x: list[Array | None], d_z: list[Array]) -> list[Array]:
        return [v if k is None else d_z[k] for v, k in zip(d_x, self.twins, strict=True)]


def kernel_gradient(product: Callable, a: Array, kernel: Array, d_z: Array) -> Array:
    """dU = AᵀdZ as one product over the T·B rows."""

    def flat(v: Array) -> Array:
        return v.reshape((-1, *v.shape[2:]))

    _, pull = jax.vjp(lambda u: product(flat(a).astype(u.dtype), u), kernel)
    return pull(flat(d_z))[0]


def previous(states: State, state: State, reverse: bool) -> State:
    """The state before each step, from the states after each and the first."""

    def shift(after: Array, start: Array) -> Array:
        parts = [after[1:], start[None]] if reverse else [start[None], after[:-1]]
        return jnp.concatenate(parts)

    return jax.tree.map(shift, states, state)


def entered(cell: Cell, before: State, resets: Array | None) -> State:
    """The state that each step's equations saw: the one before it, or after a reset a fresh one."""
    if resets is None:
        return before
    fresh = cell.initial_state(before.h.shape[1])
    fresh = jax.tree.map(lambda f, s: jnp.broadcast_to(f[None], s.shape), fresh, before)
    return scan.select(resets, fresh, before)


def zeros_to_add_to(parameter: Array) -> Array:
    """Where the gradient of an elementwise parameter adds up, in float32 at least."""
    return jnp.zeros(parameter.shape, jnp.promote_types(parameter.dtype, jnp.float32))


def first(inputs: Any) -> Any:
    """The input part of step 0, for tracing."""
    return jax.tree.map(lambda v: v[0], inputs)


def split_floats(tree: ArrayTree) -> tuple[list[Array], Callable]:
    """The floating-point leaves of a tree, and a function that puts others in their place."""
    leaves, treedef = jax.tree.flatten(tree)

    def put(floats: list[Array], keep_others: bool = True) -> ArrayTree:
        values = iter(floats)
        others = [v if keep_others else None for v in leaves]
        merged = [next(values) if is_float(v) else o for v, o in zip(leaves, others, strict=True)]
        return jax.tree.unflatten(treedef, merged)

    return [v for v in leaves if is_float(v)], put


def chosen(which: list[bool], values: list[Array]) -> list[Array]:
    """The values that are marked."""
    return [v for v, marked in zip(values, which, strict=True) if marked]


def merge(which: list[bool], values: list[Array], otherwise: list[Array]) -> list[Array]:
    """Takes the next of `values` where marked, else the entry of `otherwise`."""
    given = iter(values)
    return [next(given) if marked else o for marked, o in zip(which, otherwise, strict=True)]


def probe(cell: Cell, params: Params, state: State, x: Any) -> tuple[State, list[Array]]:
    """Traces the equations with products that ignore their matrix: (new state, matrices)."""
    kernels: list[Array] = []

    def affine(x: Any, a: Array, kernel: Array) -> Array:
        kernels.append(kernel)
        z = jax.eval_shape(cell.product, a.astype(kernel.dtype), kernel)
        return align(x, z) + jnp.sum(a).astype(z.dtype)

    new, _ = cell.equations(params, state, x, affine)
    return new, kernels


def product_kernels(cell: Cell, params: Params, state: State, x: Any) -> list[Array]:
    """The matrices of the cell's products, in the order of its equations."""
    closed = jax.make_jaxpr(lambda state, x: probe(cell, params, state, x)[1])(state, x)
    if any(live_inputs(closed)):
        raise ValueError(
            f"equations of cell {cell.name!r} pass affine a matrix that depends on the state or "
            'the input; take it from the parameters alone, or use method="scan"'
        )
    return probe(cell, params, state, x)[1]


def elementwise_leaves(cell: Cell, params: Params, state: State, x: Any) -> list[bool]:
    """For each floating-point parameter, whether it enters other than as a product's matrix."""
    theta, put = split_floats(params)
    return live_inputs(jax.make_jaxpr(lambda t: probe(cell, put(t), state, x)[0])(theta))


def live_inputs(closed: ClosedJaxpr) -> list[bool]:
    """For each input of a jaxpr, whether any output depends on it."""
    live = {v for v in closed.jaxpr.outvars if isinstance(v, Var)}
    for equation in reversed(closed.jaxpr.eqns):
        if live.intersection(equation.outvars):
            live.update(v for v in equation.invars if isinstance(v, Var))
    return [v in live for v in closed.jaxpr.invars]
