"""`method="fused"`: one backward pass for every cell, with all but the recurrence out of the loop.

Differentiating the plain scan adds up dU = Σ_t a_tᵀ dz_t step by step, reading and writing a whole
matrix each time, and saves every intermediate. Here

- the forward loop saves only the states and z_t = x_t + a_t U, the result of each product;
- the equations are then linearized at the saved values, for all steps at once;
- the reverse loop applies the transposes of these: it pulls the state's adjoint through the
  elementwise part and through da_t = dz_t Uᵀ, and writes dz_t;
- afterwards one flat product over all T·B rows gives dU = AᵀdZ, and one pass the rest.

Which parameters enter elementwise (peepholes, scales) and which as matrices of a product is read
off the traced equations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.recurrence import scan, wiring
from lstm_jax.recurrence.blocks import apart, together
from lstm_jax.recurrence.transposes import Transposes, transposes
from lstm_jax.types import Cell, Params, State, advance, align, chosen, merge, split_floats


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
    return forward(cell, params, state, inputs, mask, resets, reverse)[0]


class Saved(NamedTuple):
    """What the forward pass hands to the backward pass."""

    params: Params
    state: State
    inputs: Any
    mask: Array | None
    resets: Array | None
    states: State  # after each step, leaves [T, B, ...]
    products: list[list[Array]]  # z of each product, in the order of the equations, by blocks


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
    kernels = wiring.product_kernels(cell, params, state, wiring.first(inputs))
    fresh = cell.initial_state(state.h.shape[0])
    leaves, tree = jax.tree.flatten(inputs)

    def body(state: State, step: tuple) -> tuple[State, tuple[State, list]]:
        blocks, keep, start = step
        x = jax.tree.unflatten(tree, [together(v) for v in blocks])
        state = scan.reset(start, fresh, state)
        products: list[list[Array]] = []

        def affine(x: Any, a: Array, _: Array) -> Array:
            kernel = kernels[len(products)]
            z = cell.product(a.astype(kernel.dtype), kernel)
            pairs = zip(apart(cell, z), apart(cell, align(x, z)), strict=True)
            products.append([u + v for u, v in pairs])
            return together(products[-1])

        new, _ = advance(cell, params, state, x, affine)
        new = scan.select(keep, new, state)
        return new, (new, products)

    steps = ([apart(cell, v) for v in leaves], mask, resets)
    last, (states, products) = jax.lax.scan(body, state, steps, reverse=reverse)
    return (last, states.h), Saved(params, state, inputs, mask, resets, states, products)


def scanned(
    pull: Transposes, _: tuple, d_last: State, d_outputs: Array, reverse: bool, adjoints: bool
) -> tuple[State, list[Array], State]:
    """The loop of the backward pass.

    Returns:
      The adjoint of the first state, and those of the products and of each new state over time.
    """
    del adjoints

    def step(d_new: State, at: tuple) -> tuple[State, tuple[list[Array], State]]:
        residuals, d_output = at
        d_new = d_new._replace(h=d_new.h + d_output)
        _, d_state, _, d_z = pull.apply(residuals, d_new)
        return d_state, (d_z, d_new)

    d_state, (d_z, d_new) = jax.lax.scan(
        step, d_last, (pull.residuals, d_outputs), reverse=not reverse
    )
    return d_state, d_z, d_new


def backward(
    cell: Cell,
    reverse: bool,
    saved: Saved,
    cotangents: tuple[State, Array],
    loop: Callable = scanned,
) -> tuple[Params, State, Any, None, None]:
    """The adjoint of `forward`: gradients of the parameters, first state and input part.

    `loop` takes the transposes, what they were made from (parameters, kernels, and the recorded
    steps), d_last, d_outputs, `reverse`, and whether the adjoints of new states are wanted.
    """
    params, state, inputs, mask, resets, states, products = saved
    theta, put_params = split_floats(params)
    seen = cell, params, state, wiring.first(inputs)
    kernels, kernels_to_theta = jax.vjp(
        lambda theta: wiring.product_kernels(cell, put_params(theta), *seen[2:]), theta
    )
    elementwise = wiring.elementwise_parameters(*seen)
    simple = wiring.adds_to_products_only(*seen)
    adjoints = any(elementwise) or not simple
    before = previous(states, state, reverse)
    steps = (before, inputs, products, mask, resets)
    pull, operands = transposes(cell, params, elementwise, kernels, steps)
    d_state, d_z, d_new = loop(pull, (params, kernels, steps), *cotangents, reverse, adjoints)
    d_small: list[Array] = []
    if adjoints:
        d_small, _, d_x, _ = jax.vmap(pull.apply)(pull.residuals, d_new)
    if simple:
        d_x = input_gradient(cell, params, before, inputs, d_z)
    d_kernels = map(partial(kernel_gradient, cell.product), operands, kernels, d_z)
    (d_theta,) = kernels_to_theta(list(d_kernels))
    sums = [
        d + small.sum(0).astype(d.dtype)
        for d, small in zip(chosen(elementwise, d_theta), d_small, strict=True)
    ]
    d_theta = merge(elementwise, sums, d_theta)
    d_inputs = split_floats(inputs)[1](d_x, keep_others=False)
    return put_params(d_theta, keep_others=False), d_state, d_inputs, None, None


run.defvjp(forward, backward)


def input_gradient(
    cell: Cell, params: Params, states: State, inputs: Any, d_z: list[Array]
) -> list[Array]:
    """The adjoint of an input part that only adds to products: dz, put together."""
    x, put = split_floats(inputs)

    def parts(x: list[Array]) -> list[Array]:
        return jax.vmap(lambda s, x: wiring.probe(cell, params, s, x).parts)(states, put(x))

    return jax.vjp(parts, x)[1](d_z)[0]


def kernel_gradient(product: Callable, a: Array, kernel: Array, d_z: Array) -> Array:
    """dU = AᵀdZ as one product over the T·B rows."""
    _, pull = jax.vjp(lambda u: product(a.astype(u.dtype), u), kernel)
    return pull(d_z)[0]


def previous(states: State, state: State, reverse: bool) -> State:
    """The state before each step, from the states after each and the first."""

    def shift(after: Array, start: Array) -> Array:
        parts = [after[1:], start[None]] if reverse else [start[None], after[:-1]]
        return jnp.concatenate(parts)

    return jax.tree.map(shift, states, state)
