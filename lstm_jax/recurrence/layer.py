"""One cell over a whole sequence: precision, padding, noise, and rematerialization by chunks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array, ArrayTree, PRNGKey

from lstm_jax.recurrence import fused, scan
from lstm_jax.types import Cell, Params, State, cast

METHODS: dict[str, Callable] = {"scan": scan.run, "fused": fused.run}
FASTEST = "fused"


class Run(NamedTuple):
    """How a network is to be run: what every layer of it is told."""

    mask: Array | None
    resets: Array | None
    key: PRNGKey | None
    reverse: bool
    remat: int | None
    method: str
    record: bool


def run_cell(
    cell: Cell, params: Params, xs: Array, state: State, run: Run
) -> tuple[State, Array, dict[str, Array] | None]:
    """Runs one cell.

    Returns:
      The final state, the outputs [T, B, output_size], and with `run.record` every gate and state
      over time by name.
    """
    k_params, k_inputs = (None, None) if run.key is None else jax.random.split(run.key)
    params = cell.prepare(cast(params, cell.compute_dtype), k_params, state)
    xs = xs.astype(cell.compute_dtype)
    engine = METHODS["scan"] if xs.shape[0] == 0 else METHODS[run.method]
    engine = scan.trace if run.record else engine

    def chunk(state: State, steps: tuple) -> tuple[State, Any]:
        xs, mask, resets, times = steps
        keys = None if k_inputs is None else jax.vmap(partial(jax.random.fold_in, k_inputs))(times)
        inputs = cell.inputs(params, xs, keys)  # type: ignore[misc]
        return engine(cell, params, state, inputs, mask, resets, run.reverse)

    resets = run.resets
    if resets is not None and run.mask is not None:
        resets = resets & run.mask
    steps = (xs, run.mask, resets, jnp.arange(xs.shape[0]))
    state, outputs = in_chunks(chunk, state, steps, run.remat, run.reverse)
    if run.record:
        states, gates = outputs
        gates = {name: silence(run.mask, v) for name, v in gates.items()}
        return state, silence(run.mask, states.h), gates | states._asdict()
    return state, silence(run.mask, outputs), None


def silence(mask: Array | None, v: Array) -> Array:
    """Zero where a step does not happen."""
    return v if mask is None else jnp.where(scan.rows(mask, v), v, jnp.zeros_like(v))


def in_chunks(
    run: Callable, state: State, steps: ArrayTree, size: int | None, reverse: bool
) -> tuple[State, ArrayTree]:
    """Runs `size` steps at a time, saving only the states between and recomputing the rest.

    With chunks of √T steps the backward pass needs memory for O(√T) steps (Chen et al. 2016,
    arXiv:1604.06174).
    """
    length = jax.tree.leaves(steps)[0].shape[0]
    if size is None or size >= length:
        return run(state, steps)
    run = jax.checkpoint(run)
    count, rest = divmod(length, size)
    whole = jax.tree.map(lambda v: v[: count * size].reshape(count, size, *v.shape[1:]), steps)
    tail = jax.tree.map(lambda v: v[count * size :], steps)
    if rest and reverse:
        state, last = run(state, tail)
    state, outputs = jax.lax.scan(run, state, whole, reverse=reverse)
    outputs = jax.tree.map(lambda v: v.reshape(count * size, *v.shape[2:]), outputs)
    if rest and not reverse:
        state, last = run(state, tail)
    if rest:
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, last)
    return state, outputs
