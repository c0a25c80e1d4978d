"""Training of simpler models beside the one that a run is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.config import make_optimizer
from experiments.forecasting.windows import Windows
from experiments.task import Mean

Loss = Callable[..., tuple[jax.Array, tuple[Any, dict[str, Mean]]]]


def fit(config: ConfigDict, params: Any, loss: Loss, windows: Windows) -> dict[str, float]:
    """Trains as a run does, on the same batches, and stops early by the same rule.

    Args:
        config: `optimizer`, `train` and `seed` are used.
        params: the initial parameters.
        loss: see `Task`.
        windows: what to learn from, to select on and to be judged by.

    Returns:
        The test metrics of the parameters with the lowest "mse" on validation.
    """
    optimizer = make_optimizer(config)
    rate, train, key = config.optimizer.learning_rate, config.train, jax.random.key(config.seed)

    @jax.jit
    def step(params: Any, state: Any, batch: Any, key: jax.Array) -> tuple[Any, Any]:
        gradients = jax.grad(lambda p: loss(p, (), batch, key)[0])(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, jax.tree.map(lambda u: rate * u, updates)), state

    judge = jax.jit(lambda params, batch: loss(params, (), batch, None)[1][1])
    state, best, lowest, stale = optimizer.init(params), params, np.inf, 0
    for number in range(train.steps):
        own = jax.random.fold_in(key, number)
        params, state = step(params, state, windows.drawn(number), own)
        if (number + 1) % train.eval_every and number + 1 != train.steps:
            continue
        metric = evaluate(judge, params, windows, "valid")["mse"]
        stale = 0 if metric < lowest else stale + 1
        if metric < lowest:
            best, lowest = params, metric
        if train.patience and stale >= train.patience:
            break
    return evaluate(judge, best, windows, "test")


def evaluate(judge: Callable[..., Any], params: Any, windows: Windows, split: str) -> dict:
    """The means of a split."""
    parts = [jax.device_get(judge(params, batch)) for batch in windows.in_order(split)]
    return {
        name: float(sum(p[name].total for p in parts) / sum(p[name].weight for p in parts))
        for name in parts[0]
    }
