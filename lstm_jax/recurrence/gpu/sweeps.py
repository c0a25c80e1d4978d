"""The forward and the backward kernel of a cell, in place of the loops of "fused"."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.recurrence import fused, wiring
from lstm_jax.recurrence.blocks import apart
from lstm_jax.recurrence.gpu import packing
from lstm_jax.recurrence.gpu.device import Chip, current
from lstm_jax.recurrence.gpu.kernel import Sweep
from lstm_jax.recurrence.gpu.plan import Plan, Product, make_plan
from lstm_jax.recurrence.gpu.steps import ROWS, Step, backward_step, forward_step, shapes
from lstm_jax.recurrence.gpu.tiles import Machine, Program, known_rows, program
from lstm_jax.recurrence.transposes import transposes
from lstm_jax.types import Cell, Params, State, split_floats


def run_forward(
    cell: Cell,
    params: Params,
    state: State,
    inputs: Any,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[tuple[State, Array], fused.Saved]:
    """As `fused.forward`."""
    x = wiring.first(inputs)
    kernels = wiring.product_kernels(cell, params, state, x)
    step = traced_forward(cell, kernels, params, state, x, mask, resets)
    arrays = (jax.tree.leaves(state), jax.tree.leaves(inputs), present(resets, mask))
    carry, written = sweep(cell, step, kernels, params, *arrays, reverse, transposed=False)
    tree: Any = jax.tree.structure(state)
    last = jax.tree.unflatten(tree, carry)
    states = jax.tree.unflatten(tree, written[: tree.num_leaves])
    products = [apart(cell, z) for z in written[tree.num_leaves :]]
    return (last, states.h), fused.Saved(params, state, inputs, mask, resets, states, products)


def run_backward(
    cell: Cell,
    made_from: tuple,
    d_last: State,
    d_outputs: Array,
    reverse: bool,
    adjoints: bool,
) -> tuple[State, list[Array], State | None]:
    """As `fused.scanned`."""
    params, kernels, recorded = made_from
    *streams, mask, resets = recorded
    step = traced_backward(cell, kernels, params, recorded, adjoints)
    arrays = (
        jax.tree.leaves(d_last),
        jax.tree.leaves((streams, d_outputs)),
        present(resets, mask),
    )
    carry, written = sweep(cell, step, kernels, params, *arrays, not reverse, transposed=True)
    tree: Any = jax.tree.structure(d_last)
    d_z, d_new = written[: len(kernels)], written[len(kernels) :]
    return jax.tree.unflatten(tree, carry), d_z, jax.tree.unflatten(tree, d_new) if d_new else None


def scanned_backward(
    cell: Cell,
    made_from: tuple,
    d_last: State,
    d_outputs: Array,
    reverse: bool,
    adjoints: bool,
) -> tuple[State, list[Array], State | None]:
    """What `run_backward` computes, in a loop that JAX can differentiate."""
    params, kernels, recorded = made_from
    pull, _ = transposes(cell, params, [False] * len(split_floats(params)[0]), kernels, recorded)
    d_state, d_z, d_new = fused.scanned(pull, made_from, d_last, d_outputs, reverse, adjoints)
    return d_state, d_z, d_new if adjoints else None


def present(*flags: Array | None) -> list[Array]:
    """The flags that are given."""
    return [v for v in flags if v is not None]


def flat_shape(kernel: Array) -> tuple[int, int]:
    """[K, N] of a matrix as the equations see it, whether or not it is divided into heads."""
    heads = kernel.shape[0] if kernel.ndim == 3 else 1
    return heads * kernel.shape[-2], heads * kernel.shape[-1]


def traced_forward(
    cell: Cell, kernels: list, params: Params, state: State, x: Any, mask: Any, resets: Any
) -> Step:
    """The step of the forward pass, from arrays or their shapes."""
    matrices = [jax.ShapeDtypeStruct(flat_shape(u), u.dtype) for u in kernels]
    flags = [flag(resets), flag(mask)]
    state, x = shapes((state, x), rows=True)
    return forward_step(cell, matrices, shapes(params), state, x, flags)


def traced_backward(
    cell: Cell, kernels: list, params: Params, recorded: tuple, adjoints: bool
) -> Step:
    """The step of the backward pass; `recorded` are the steps that `fused.backward` has."""
    *streams, mask, resets = recorded
    matrices = [jax.ShapeDtypeStruct(flat_shape(u)[::-1], u.dtype) for u in kernels]
    flags = [flag(resets), flag(mask)]
    before, x, products = shapes(jax.eval_shape(wiring.first, streams), rows=True)
    return backward_step(cell, matrices, shapes(params), before, x, products, flags, adjoints)


def flag(given: Array | None) -> jax.ShapeDtypeStruct | None:
    """A flag of the traced step, where it is given."""
    return None if given is None else jax.ShapeDtypeStruct((ROWS,), bool)


class Setting(NamedTuple):
    """What a kernel is made for.

    products: the products of the step, from operand to result.
    heads: groups of units.
    dtype: of the operands.
    """

    products: list[Product]
    heads: int
    dtype: Any

    def plan(self, hidden_size: int, batch: int, chip: Chip) -> Plan | None:
        """The layout on a chip; None where there is none."""
        size = jnp.dtype(self.dtype).itemsize
        return make_plan(self.products, hidden_size, self.heads, batch, size, chip)


def setting(cell: Cell, kernels: list, transposed: bool) -> Setting:
    """Reads products, heads and dtype off the matrices."""
    products = [packing.product_of(u, cell.hidden_size, transposed) for u in kernels]
    heads = {u.shape[0] if u.ndim == 3 else 1 for u in kernels}
    return Setting(products, max(heads), kernels[0].dtype)


def sweep(
    cell: Cell,
    step: Step,
    kernels: list[Array],
    params: Params,
    carry: list[Array],
    streams: list[Array],
    flags: list[Array],
    reverse: bool,
    transposed: bool,
) -> tuple[list[Array], list[Array]]:
    """Runs a step over time: the last carry, and what was written."""
    what = setting(cell, kernels, transposed)
    plan = what.plan(cell.hidden_size, carry[0].shape[0], current().chip)
    assert plan is not None, "obstacle() lets through what has a plan alone"
    made = program(step, cell.hidden_size)
    matrices = [
        packing.pack_matrix(u, p, plan, transposed)
        for u, p in zip(kernels, what.products, strict=True)
    ]
    known = known_rows(made, jax.tree.leaves(params))
    run = Sweep(made, what.products, plan, current(), what.dtype, reverse)
    return run(matrices, known, carry, streams, flags)


def rehearse(made: Program, shape: tuple[int, int] = (8, 16)) -> None:
    """Runs a program on the shapes of tiles; raises `Untileable` for what it does beyond them."""
    step = made.step
    tile = jax.ShapeDtypeStruct(shape, jnp.float32)
    _, _, carry, streams, flags = step.parts(step.jaxpr.jaxpr.invars)
    counts = [len(made.widths(v)) for v in made.known]

    def product(k: int, tiles: list[Array]) -> list[Array]:
        outer = step.jaxpr.jaxpr.invars[k].aval.shape[-1]
        return [tiles[0]] * len(packing.widths_of(outer, made.hidden_size))

    def run(known: list, carry: list, streams: list, flags: list) -> list:
        return Machine(made, shape, product).run(known, carry, streams, [f != 0 for f in flags])

    jax.eval_shape(
        run,
        [[tile] * n for n in counts],
        [[tile] * len(made.widths(v)) for v in carry],
        [[tile] * len(made.widths(v)) for v in streams],
        [tile for _ in flags],
    )
