"""One step of a cell, forwards or backwards, as a flat list of equations over arrays [B, units]."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from chex import Array
from jax.extend.core import ClosedJaxpr, Literal, Var

from lstm_jax.recurrence import scan, wiring
from lstm_jax.recurrence.transposes import transposed_step
from lstm_jax.types import Cell, Params, State, advance, align, split_floats

ROWS = 17  # the batch size of a trace: a prime, so that nothing else is as long by chance
CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
LOOPS = ("scan", "while", "cond")


class Step(NamedTuple):
    """A traced step.

    jaxpr: its inputs are the matrices of the products, known arrays, the carry, streams and flags;
      its outputs the new carry and what is written.
    matrices, known, carry, streams, flags: how many of each go in.
    """

    jaxpr: ClosedJaxpr
    matrices: int
    known: int
    carry: int
    streams: int
    flags: int

    def parts(self, values: list) -> list[list]:
        """Values, one for each input, by kind."""
        parts, start = [], 0
        for count in (self.matrices, self.known, self.carry, self.streams, self.flags):
            parts.append(values[start : start + count])
            start += count
        return parts


def forward_step(
    cell: Cell, matrices: list, params: Params, state: State, x: Any, flags: list
) -> Step:
    """Traces a step of the equations.

    Arguments are shapes and dtypes; those of state, x and flags have `ROWS` rows. The carry is the
    state, the streams the leaves of x, and written are the new state and the products by blocks.
    """

    def step(matrices: list, params: Params, state: State, x: Any, flags: list) -> tuple:
        products: list[Array] = []

        def affine(x: Any, a: Array, kernel: Array) -> Array:
            matrix = matrices[len(products)]
            z = a.astype(kernel.dtype) @ matrix
            products.append(z + align(x, z))
            return products[-1]

        start, keep = flags
        before = scan.reset(start, cell.initial_state(ROWS), state)
        new, _ = advance(cell, params, before, x, affine)
        new = scan.select(keep, new, before)
        return jax.tree.leaves(new), [*jax.tree.leaves(new), *products]

    return trace(step, matrices, params, state, x, flags)


def backward_step(
    cell: Cell,
    matrices: list,
    params: Params,
    state: State,
    x: Any,
    products: list[list[Any]],
    flags: list,
    adjoints: bool,
) -> Step:
    """Traces the transpose of a step, linearized at what the forward pass saved.

    The carry is the adjoint of the state; the streams are the state before the step, x, the
    products by blocks and the adjoint of the output; written are the adjoints of the products, and
    with `adjoints` that of the new state.
    """

    def step(matrices: list, params: Params, d_new: State, streams: tuple, flags: list) -> tuple:
        state, x, products, d_output = streams
        pulls: list[Any] = [partial(times, m) for m in matrices]
        start, keep = flags
        floats = len(split_floats(params)[0])
        transpose, _ = transposed_step(
            cell, params, [False] * floats, pulls, state, x, products, keep, start
        )
        d_new = d_new._replace(h=d_new.h + d_output)
        _, d_state, _, d_z = transpose(d_new)
        return jax.tree.leaves(d_state), [*d_z, *jax.tree.leaves(d_new if adjoints else ())]

    return trace(step, matrices, params, state, (state, x, products, state.h), flags)


def times(matrix: Array, _: Array) -> Callable[[Array], Array]:
    """The adjoint of a product, from the transposed matrix."""
    return lambda d_z: d_z @ matrix


def trace(
    step: Callable, matrices: list, params: Params, carry: Any, streams: Any, flags: list
) -> Step:
    """Makes a `Step` of a function of five trees that returns two lists."""
    inputs = (matrices, params, carry, streams, flags)
    leaves, tree = jax.tree.flatten(inputs)

    def flat(*leaves: Array) -> list:
        new, written = step(*jax.tree.unflatten(tree, leaves))
        return [*new, *written]

    closed = jax.make_jaxpr(flat)(*leaves)
    closed = jax.make_jaxpr(lambda *leaves: inline(closed, leaves))(*leaves)
    return Step(closed, *(len(jax.tree.leaves(part)) for part in inputs))


def inline(closed: ClosedJaxpr, arguments: Any) -> list:
    """Evaluates a jaxpr, and the jaxprs that it calls, equation by equation."""
    jaxpr = closed.jaxpr
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for equation in wiring.live_equations(closed):
        values = [read(v) for v in equation.invars]
        called = called_jaxpr(equation)
        if called is None:
            out = bind(equation, values)
        else:
            out = inline(called, values[len(values) - len(called.jaxpr.invars) :])
        env.update(zip(equation.outvars, out, strict=True))
    return [read(v) for v in jaxpr.outvars]


def bind(equation: Any, values: list) -> list:
    """The results of one equation."""
    params = equation.primitive.get_bind_params(equation.params)
    params = params if isinstance(params, dict) else params[1]
    out = equation.primitive.bind(*values, **params)
    return out if equation.primitive.multiple_results else [out]


def called_jaxpr(equation: Any) -> ClosedJaxpr | None:
    """What an equation calls as a function; None for arithmetic and for loops."""
    if equation.primitive.name in LOOPS:
        return None
    for name in CALLS:
        if (called := equation.params.get(name)) is not None:
            return called if hasattr(called, "consts") else ClosedJaxpr(called, ())
    return None


def shapes(tree: Any, rows: bool = False) -> Any:
    """Shapes and dtypes of a tree's arrays; with `rows` their leading axis has `ROWS` entries."""

    def shape(v: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((ROWS, *v.shape[1:]) if rows else v.shape, v.dtype)

    return jax.tree.map(shape, tree)
