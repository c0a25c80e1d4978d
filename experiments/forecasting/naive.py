"""Forecasts that repeat what was, with the quantiles of their errors so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Lag = Callable[[int], int]  # lead from 0 -> how many rows before it the repeated one lies


def last_value(lead: int) -> int:
    """ŷ_{t+k} = x_{t−1}."""
    return lead + 1


def seasonal(period: int) -> Lag:
    """ŷ_{t+k} = the latest value known at t that lies whole periods before t + k."""
    return lambda lead: period * (lead // period + 1)


def naive(
    values: np.ndarray,
    origins: np.ndarray,
    known: int,
    horizon: int,
    lag: Lag,
    levels: Sequence[float] = (),
) -> dict[str, float]:
    """The metrics of a forecast that repeats earlier values.

    Its quantiles are the forecast plus the quantiles, by lead and channel, of the errors that it
    made at all earlier origins whose horizon ends before the row `known`.

    Args:
        values: x [R, C].
        origins: t, the first rows that are forecast [N].
        known: how many rows precede the test, for the quantiles.
        horizon: L.
        lag: from which row each lead repeats.
        levels: of the quantiles; none where there are no earlier origins.

    Returns:
        "mse", "mae" and, where there are quantiles, "pinball", "coverage" and "width".
    """
    farthest = max(lag(lead) - lead for lead in range(horizon))  # rows before the origin
    earlier = np.arange(farthest, known - horizon + 1)
    levels = levels if earlier.size else ()
    found = []
    for lead in range(horizon):
        truth = values[origins + lead]
        forecast = values[origins + lead - lag(lead)]
        own = {"mse": (truth - forecast) ** 2, "mae": np.abs(truth - forecast)}
        if levels:
            errors = values[earlier + lead] - values[earlier + lead - lag(lead)]
            quantiles = forecast + np.quantile(errors, levels, axis=0)[:, None]  # [Q, N, C]
            own |= _quantile_metrics(truth, quantiles, levels)
        found.append({name: float(each.mean()) for name, each in own.items()})
    return {name: float(np.mean([own[name] for own in found])) for name in found[0]}


def _quantile_metrics(
    truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]
) -> dict[str, np.ndarray]:
    """As `experiments.forecasting.quantiles` has them, of quantiles [Q, ...] in NumPy."""
    errors = truth - quantiles
    by_level = np.expand_dims(np.asarray(levels), tuple(range(1, errors.ndim)))
    found = {"pinball": np.maximum(by_level * errors, (by_level - 1) * errors)}
    if len(levels) > 1:
        low, high = quantiles[0], quantiles[-1]
        found |= {"coverage": (low <= truth) & (truth <= high), "width": high - low}
    return found
