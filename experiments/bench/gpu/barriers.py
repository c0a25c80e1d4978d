"""The floor that the exchange between thread blocks sets: their meetings, and nothing between."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from experiments.bench.gpu.cases import Case
from experiments.bench.problem import SEED, Unsuitable


def meetings(case: Case) -> Any:
    """`() -> an array`: as many meetings as the forward and the backward kernel of a case have.

    Raises:
        Unsuitable: one thread block holds all units, or the method "gpu" cannot run the case.
    """
    if jax.default_backend() != "gpu" or jax.__version_info__ < (0, 10):
        raise Unsuitable("there are no thread blocks to meet: it needs a GPU, and jax 0.10")
    from lstm_jax.recurrence.gpu.device import current

    return launched(case, current())


def launched(case: Case, device: Any) -> Any:
    """The kernel of the meetings."""
    from lstm_jax.recurrence import wiring
    from lstm_jax.recurrence.gpu import kernel, sweeps

    cell = case.build()
    params, state, x = jax.eval_shape(lambda: example(case))
    kernels = jax.eval_shape(partial(wiring.product_kernels, cell), params, state, x)
    plan = sweeps.setting(cell, kernels, transposed=False).plan(case.units, case.batch, device.chip)
    if plan is None or plan.slices == 1:
        raise Unsuitable("one thread block holds all units of a head; nobody has to be waited for")
    count = 2 * case.steps * len(kernels)

    def body(out: Any, *barrier: Any) -> None:
        meet = kernel.Meeting(plan, device, barrier)
        jax.lax.fori_loop(0, count, lambda i, _: meet(i + 1), None)
        out[...] = jnp.zeros(out.shape, out.dtype)

    outs = [jax.ShapeDtypeStruct((128,), jnp.int32)]
    return kernel.launch(body, outs, kernel.Meeting.scratch(plan), plan, device)


def example(case: Case) -> tuple:
    """Parameters, a state, and the input part of a step."""
    cell = case.build()
    params = cell.init(jax.random.key(SEED), case.units)
    xs = jnp.zeros((1, case.batch, case.units), case.dtype)
    inputs = cell.inputs(params, xs, None)  # type: ignore[misc]
    return params, cell.initial_state(case.batch), jax.tree.map(lambda v: v[0], inputs)
