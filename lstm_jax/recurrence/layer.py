"""One cell over a whole sequence: precision, padding, noise, and rematerialization by chunks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array, ArrayTree, PRNGKey

from lstm_jax.recurrence import scan
from lstm_jax.recurrence.methods import METHODS, TRACE, Method, choose
from lstm_jax.types import Cell, Params, State, cast

CACHE_BYTES = 2**21  # of input parts between two products of the input kernel, on the CPU
CHUNK_ROWS = 512  # and at least so many rows in each, that the products stay large


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
    times = jnp.arange(xs.shape[0])
    keys = jax.eval_shape(step_keys, k_inputs, times)
    method = method_of(run, cell, params, state, xs, keys)

    def chunk(state: State, steps: tuple) -> tuple[State, Any]:
        xs, mask, resets, times = steps
        xs, keys = silence(mask, xs), step_keys(k_inputs, times)
        state, outputs = method.run(cell, params, state, xs, keys, mask, resets, run.reverse)
        return state, outputs if run.record else silence(mask, outputs)

    resets = run.resets
    if resets is not None and run.mask is not None:
        resets = resets & run.mask
    steps = (xs, run.mask, resets, times)

    def chunks(state: State, steps: tuple) -> tuple[State, Any]:
        size = chunk_length(cell, params, steps[0]) if method is METHODS["fused"] else None
        return in_chunks(chunk, state, steps, size, run.reverse)

    rematerialized = chunks if run.remat is None else jax.checkpoint(chunks)
    state, outputs = in_chunks(rematerialized, state, steps, run.remat, run.reverse)
    if run.record:
        states, gates = outputs
        gates = {name: silence(run.mask, v) for name, v in gates.items()}
        return state, silence(run.mask, states.h), gates | states._asdict()
    return state, outputs, None


def method_of(
    run: Run, cell: Cell, params: Params, state: State, xs: Array, keys: PRNGKey | None
) -> Method:
    """What runs the cell: the method asked for, unless there is something to record or no step."""
    if run.record:
        return TRACE
    name = "scan" if xs.shape[0] == 0 else run.method
    return choose(name, cell, params, state, xs, keys)


def step_keys(key: PRNGKey | None, times: Array) -> PRNGKey | None:
    """One key a step, or None."""
    return None if key is None else jax.vmap(partial(jax.random.fold_in, key))(times)


def silence(mask: Array | None, v: Array) -> Array:
    """Zero where a step does not happen."""
    return v if mask is None else jnp.where(scan.rows(mask, v), v, jnp.zeros_like(v))


def chunk_length(cell: Cell, params: Params, xs: Array) -> int | None:
    """How many steps to run between two products of the input kernel: None for all.

    On the CPU, where the input part of a long sequence fits no cache and its fresh pages cost more
    than its arithmetic, `CACHE_BYTES` of it; a divisor of T if one is near.
    """
    steps, batch = xs.shape[:2]
    symbolic = not isinstance(steps * batch, int)  # under jax.export
    if symbolic or jax.default_backend() != "cpu" or not steps * batch:
        return None
    part = jax.eval_shape(lambda: cell.inputs(params, xs[:1], None))  # type: ignore[misc]
    step_bytes = sum(v.size * v.dtype.itemsize for v in jax.tree.leaves(part))
    wanted = max(CACHE_BYTES // step_bytes, CHUNK_ROWS // batch, 1)
    near = range(max(wanted // 2, 1), min(2 * wanted, steps) + 1)
    return min((k for k in near if steps % k == 0), key=lambda k: abs(k - wanted), default=wanted)


def in_chunks(
    run: Callable, state: State, steps: ArrayTree, size: int | None, reverse: bool
) -> tuple[State, ArrayTree]:
    """Runs `size` steps at a time.

    If `run` is a `jax.checkpoint`, which saves its arguments alone and recomputes the rest, chunks
    of √T steps need memory for O(√T) steps in the backward pass (Chen et al. 2016,
    arXiv:1604.06174).
    """
    length = jax.tree.leaves(steps)[0].shape[0]
    if size is None or size >= length:
        return run(state, steps)
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
