"""The methods of running a cell over time, and which of them "auto" takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from chex import Array, PRNGKey

from lstm_jax.recurrence import cudnn, fused, gpu, scan
from lstm_jax.types import Cell, Params, State


class Method(NamedTuple):
    """A way of running a cell.

    run: `(cell, params, state, xs, keys, mask, resets, reverse) -> (final state, hs)`, with
      prepared parameters, inputs xs [T, B, D] in the dtype of the computation, and one key a step
      or None; the rest and the result as of `scan.run`.
    obstacle: `(cell, params, state, xs, keys) -> str | None`: in one sentence without capital and
      full stop, what keeps it from running this cell here; None where nothing does.
      It looks at shapes and dtypes alone; of the keys it gets no more.
    """

    run: Callable[..., tuple[State, Array]]
    obstacle: Callable[..., str | None]


def of_inputs(engine: Callable, obstacle: Callable[..., str | None] | None = None) -> Method:
    """The method of an engine that takes the input part of all steps, as `scan.run` does.

    Args:
      engine: `(cell, params, state, inputs, mask, resets, reverse) -> (final state, hs)`.
      obstacle: `(cell, params, state, inputs) -> str | None`, of which the inputs are shapes and
        dtypes alone; None where there never is one.
    """

    def run(
        cell: Cell,
        params: Params,
        state: State,
        xs: Array,
        keys: PRNGKey | None,
        mask: Array | None,
        resets: Array | None,
        reverse: bool,
    ) -> tuple[State, Any]:
        inputs = cell.inputs(params, xs, keys)  # type: ignore[misc]
        return engine(cell, params, state, inputs, mask, resets, reverse)

    def seen(
        cell: Cell, params: Params, state: State, xs: Array, keys: PRNGKey | None
    ) -> str | None:
        if obstacle is None:
            return None
        inputs = jax.eval_shape(cell.inputs, params, xs, keys)  # type: ignore[arg-type]
        return obstacle(cell, params, state, inputs)

    return Method(run, seen)


METHODS = {
    "scan": of_inputs(scan.run),
    "fused": of_inputs(fused.run),
    "cudnn": Method(cudnn.run, cudnn.obstacle),
    "gpu": of_inputs(gpu.run, gpu.obstacle),
}
TRACE = of_inputs(scan.trace)
"""Every state and gate over time in place of hs."""

PREFERENCE = {"cpu": ("fused",), "gpu": ("fused",), "tpu": ("fused",)}
"""What "auto" tries on each platform, in this order; "fused" on others, and after all of them.

"cudnn" and "gpu" join on "gpu" once `python -m experiments.bench --suites=gpu` has shown them
faster on a GPU; and "cudnn" once it has the rules that `jax.vmap` and gradients of gradients need,
which "auto" promises and which no obstacle can foresee.
"""


def choose(
    name: str, cell: Cell, params: Params, state: State, xs: Array, keys: PRNGKey | None
) -> Method:
    """The method of a name; of "auto" the first in the order of preference that can run the cell.

    Raises:
      ValueError: the method cannot run the cell here.
    """
    what = cell, params, state, xs, keys
    if name == "auto":
        order = PREFERENCE.get(jax.default_backend(), ())
        able = (METHODS[m] for m in order if METHODS[m].obstacle(*what) is None)
        return next(able, METHODS["fused"])
    reason = METHODS[name].obstacle(*what)
    if reason is not None:
        raise ValueError(f'method "{name}" cannot run {cell.name}: {reason}; use method="fused"')
    return METHODS[name]
