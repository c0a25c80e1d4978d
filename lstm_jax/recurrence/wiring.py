"""What enters where: read off a cell's traced equations, so that a cell need not declare it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array
from jax.extend.core import ClosedJaxpr, Var

from lstm_jax.types import Cell, Params, State, align, split_floats


def first(steps: Any) -> Any:
    """Step 0 of arrays over time, for tracing."""
    return jax.tree.map(lambda v: v[0], steps)


class Probe(NamedTuple):
    """What a trace of the equations saw, with products whose result depends on a alone."""

    state: State
    kernels: list[Array]  # the matrices of the products, in the order of the equations
    parts: list[Array]  # what each product is added to


def probe(cell: Cell, params: Params, state: State, x: Any) -> Probe:
    """Traces the equations."""
    kernels: list[Array] = []
    parts: list[Array] = []

    def affine(x: Any, a: Array, kernel: Array) -> Array:
        z = jax.eval_shape(cell.product, a.astype(kernel.dtype), kernel)
        kernels.append(kernel)
        parts.append(align(x, z))
        return jnp.broadcast_to(jnp.sum(a).astype(z.dtype), z.shape)

    new, _ = cell.equations(params, state, x, affine)
    return Probe(new, kernels, parts)


def product_kernels(cell: Cell, params: Params, state: State, x: Any) -> list[Array]:
    """The matrices of the cell's products, in the order of its equations."""
    closed = jax.make_jaxpr(lambda state, x: probe(cell, params, state, x).kernels)(state, x)
    if any(live_inputs(closed)):
        raise ValueError(
            f"equations of cell {cell.name!r} pass affine a matrix that depends on the state or "
            'the input; take it from the parameters alone, or use method="scan"'
        )
    return probe(cell, params, state, x).kernels


def elementwise_parameters(cell: Cell, params: Params, state: State, x: Any) -> list[bool]:
    """For each floating-point parameter, whether it enters other than as a product's matrix."""
    theta, put = split_floats(params)

    def rest(theta: list[Array]) -> tuple[State, list[Array]]:
        seen = probe(cell, put(theta), state, x)
        return seen.state, seen.parts

    return live_inputs(jax.make_jaxpr(rest)(theta))


def adds_to_products_only(cell: Cell, params: Params, state: State, x: Any) -> bool:
    """Whether the input part enters as what products are added to, and nowhere else."""
    beside = jax.make_jaxpr(lambda x: probe(cell, params, state, x).state)(x)
    mixed = jax.make_jaxpr(lambda state: probe(cell, params, state, x).parts)(state)
    return not any(live_inputs(beside)) and not any(live_inputs(mixed))


def live_inputs(closed: ClosedJaxpr) -> list[bool]:
    """For each input of a jaxpr, whether any output depends on it."""
    read = [v for equation in live_equations(closed) for v in equation.invars]
    live = {v for v in [*read, *closed.jaxpr.outvars] if isinstance(v, Var)}
    return [v in live for v in closed.jaxpr.invars]


def live_equations(closed: ClosedJaxpr) -> list:
    """The equations of a jaxpr that any output depends on."""
    live = {v for v in closed.jaxpr.outvars if isinstance(v, Var)}
    kept = []
    for equation in reversed(closed.jaxpr.eqns):
        if live.intersection(equation.outvars):
            live.update(v for v in equation.invars if isinstance(v, Var))
            kept.append(equation)
    return kept[::-1]


def dependent_outputs(closed: ClosedJaxpr) -> list[bool]:
    """For each output of a jaxpr, whether it depends on any input."""
    dependent = set(closed.jaxpr.invars)
    for equation in closed.jaxpr.eqns:
        if dependent.intersection(v for v in equation.invars if isinstance(v, Var)):
            dependent.update(equation.outvars)
    return [isinstance(v, Var) and v in dependent for v in closed.jaxpr.outvars]
