"""The one door through which cells, stacks and bidirectional networks are run over time."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.recurrence import checks
from lstm_jax.recurrence.bidirectional import Bidirectional
from lstm_jax.recurrence.layer import Run, run_cell
from lstm_jax.recurrence.methods import METHODS
from lstm_jax.recurrence.stack import Stack
from lstm_jax.types import Cell, Params, State

Network = Cell | Stack | Bidirectional


def unroll(
    cell: Network,
    params: Params,
    xs: Array,
    initial_state: State | None = None,
    lengths: Array | None = None,
    mask: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    key: PRNGKey | None = None,
    remat: int | None = None,
    method: str = "auto",
) -> tuple[State, Array]:
    """Runs a cell, a stack or a bidirectional network over sequences.

        s_t, y_t = step(params, s_{t−1}, x_t),  t = 1 … T

    Pure: it composes with jit, vmap and grad, and is compiled once for each network and shape.
    Where xs are split over devices by their batch, each device runs its own sequences.

    Args:
      cell: what to run.
      params: as `cell.init` returns them.
      xs: inputs [T, B, D], floating point.
      initial_state: as `cell.initial_state` returns it, which is the default. Pass on the returned
        state for truncated backpropagation through time.
      lengths: [B] integers, the valid steps of each sequence, in 0..T. Past its length a
        sequence's state stands still, its outputs are zero and its gradients exactly zero,
        whatever the padding holds.
      mask: [T, B] bool, the general form of lengths: where false, a step does not happen.
      resets: [T, B] bool; where true, the state becomes fresh (`cell.initial_state`) just before
        the step, in running order.
      reverse: run each sequence's valid part from its last step to its first; outputs stay in
        input order.
      key: turns dropout and zoneout on.
      remat: length of the chunks whose insides are recomputed in the backward pass: about √T saves
        the most memory, at the cost of a second forward pass.
      method: "scan" (the reference; it alone has forward-mode derivatives), "fused" (nothing but
        the recurrence in its loops), "gpu" (one kernel for the whole sequence on a Hopper GPU, for
        cells that are elementwise around their products, in bfloat16 and float32), "cudnn"
        (NVIDIA's library, for the plain `lstm` in float32), or "auto" (for each layer the fastest
        that serves, as far as measured: "fused"). We never ran "gpu" and "cudnn" on a GPU: they are
        unmeasured. They multiply float32 in TF32; with `jax.default_matmul_precision("highest")`
        or "float32", "cudnn" computes in full float32, and "gpu" refuses. "cudnn" has neither
        `jax.vmap` nor gradients of gradients.

    Returns:
      The final state and the outputs ys [T, B, cell.output_size].

    Raises:
      TypeError, ValueError: an argument of the wrong dtype, shape or range, or a method that cannot
        run a layer here.

    Example:
      cell = lj.lstm(128)
      params = cell.init(jax.random.key(0), 32)
      state, ys = lj.unroll(cell, params, jnp.ones((50, 8, 32)), lengths=jnp.full(8, 40))
    """
    checks.check_method(method, ["auto", *METHODS])
    checks.check_remat(remat)
    run = Run(None, None, key, reverse, remat, method, False)
    state, ys, _ = enter(cell, params, xs, initial_state, lengths, mask, resets, run)
    return state, ys


def gates(
    cell: Network,
    params: Params,
    xs: Array,
    initial_state: State | None = None,
    lengths: Array | None = None,
    mask: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    key: PRNGKey | None = None,
) -> Any:
    """Every gate and every state over time, by name.

    Args: as those of `unroll`.

    Returns:
      A dict of arrays [T, B, H]: the gates under the letters of the equations, after their
      activation (zero where a step does not happen), and the fields of the state (standing still
      there). For a stack a tuple of these with one entry a layer, for a bidirectional pair a pair.

    Raises:
      TypeError, ValueError: as `unroll`.

    Example:
      forget = lj.gates(cell, params, xs)["f"]
    """
    run = Run(None, None, key, reverse, None, "scan", True)
    return enter(cell, params, xs, initial_state, lengths, mask, resets, run)[2]


def enter(
    network: Network,
    params: Params,
    xs: Any,
    state: State | None,
    lengths: Any,
    mask: Any,
    resets: Any,
    run: Run,
) -> tuple[State, Array, Any]:
    """Checks the arguments and runs the compiled recurrence."""
    xs = jnp.asarray(xs)
    checks.check_inputs(network, params, xs)
    steps, batch = xs.shape[:2]
    state = network.initial_state(batch) if state is None else state
    state = checks.check_state(network, state, batch)
    mask = checks.check_mask(lengths, mask, steps, batch)
    resets = None if resets is None else checks.check_flags("resets", resets, steps, batch)
    static = run._replace(key=None)
    return compiled(network, static, params, xs, state, mask, resets, run.key)


@partial(jax.jit, static_argnums=(0, 1))
def compiled(
    network: Network,
    run: Run,
    params: Params,
    xs: Array,
    state: State,
    mask: Array | None,
    resets: Array | None,
    key: PRNGKey | None,
) -> tuple[State, Array, Any]:
    """The recurrence, compiled once for each network, way of running and shape."""
    run = run._replace(mask=mask, resets=resets, key=key)
    return recur(network, params, xs, state, run)


def recur(
    network: Network, params: Params, xs: Array, state: State, run: Run
) -> tuple[State, Array, Any]:
    """Runs any network; stacks and pairs come back here for their layers."""
    if isinstance(network, Cell):
        return run_cell(network, params, xs, state, run)
    return network.run(recur, params, xs, state, run)
