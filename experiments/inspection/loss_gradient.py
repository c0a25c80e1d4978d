"""The gradient of a task's own loss at the states of its networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.inspection.calls import (
    Reading,
    given,
    is_reading,
    name_of,
    parameters,
    titled,
)
from experiments.task import Params, Task
from lstm_jax.analysis.gradient_flow import no_changes, norms, probe
from lstm_jax.linen import Recurrent
from lstm_jax.recurrence.unroll import unroll


def loss_gradient(
    task: Task, params: Params, reading: Reading
) -> dict[str, dict[str, jax.Array]]:
    """‖∂L/∂h_t‖, ‖∂L/∂c_t‖, of the loss of one batch and every network that reads it whole.

    Returns:
        By module and layer, and by field as `lstm_jax.analysis.gradient_flow` has them, [T, B].
    """
    middle = {module: calls[reading.middle] for module, calls in reading.calls.items()}
    changes = {
        module: no_changes(call.network, *call.xs.shape[:2]) for module, call in middle.items()
    }

    carry, batch = reading.carries[reading.middle], reading.batches[reading.middle]

    def loss(changes: dict[str, Any]) -> jax.Array:
        with nn.intercept_methods(_with(changes)):
            return task.loss(params, carry, batch, None)[0]

    gradients = jax.jit(jax.grad(loss))(changes)
    return {
        titled(module, layer, reading): fields
        for module, call in middle.items()
        for layer, fields in norms(call.network, gradients[module]).items()
    }


def _with(changes: dict[str, Any]) -> Callable:
    """Runs every network with its states changed."""

    def changed(following: Callable, arguments: Any, options: Any, context: Any) -> Any:
        own = changes.get(name_of(context.module)) if is_reading(context) else None
        if own is None:
            return following(*arguments, **options)
        return _run(context.module, own, arguments, options)

    return changed


def _run(module: Recurrent, changes: Any, arguments: Any, options: Any) -> tuple[Any, jax.Array]:
    named = given(module, arguments, options)
    probed, own = probe(module.cell, parameters(module), changes)
    reads = ("xs", "initial_state", "lengths", "mask", "resets", "reverse")
    state, ys = unroll(probed, own, **{name: named[name] for name in reads}, method="scan")
    return state, ys if module.time_major else jnp.swapaxes(ys, 0, 1)
