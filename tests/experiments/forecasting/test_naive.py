"""Repeating earlier values, against a plain loop over origins and leads."""

import numpy as np
import pytest

from experiments.forecasting import naive


def by_hand(values, origins, known, horizon, repeat, levels):
    """`repeat(origin, lead) -> row`; everything else in the plainest way."""
    first = next(t for t in range(len(values)) if all(repeat(t, k) >= 0 for k in range(horizon)))
    earlier = range(first, known - horizon + 1)
    found = {name: [] for name in ("mse", "mae", "pinball", "coverage", "width")}
    for origin in origins:
        for lead in range(horizon):
            for channel in range(values.shape[1]):
                guess = values[repeat(origin, lead), channel]
                truth = values[origin + lead, channel]
                errors = [
                    values[t + lead, channel] - values[repeat(t, lead), channel] for t in earlier
                ]
                quantiles = [guess + np.quantile(errors, level) for level in levels]
                found["mse"].append((truth - guess) ** 2)
                found["mae"].append(abs(truth - guess))
                for level, q in zip(levels, quantiles, strict=True):
                    loss = level * (truth - q) if truth > q else (1 - level) * (q - truth)
                    found["pinball"].append(loss)
                found["coverage"].append(quantiles[0] <= truth <= quantiles[-1])
                found["width"].append(quantiles[-1] - quantiles[0])
    return {name: np.mean(values) for name, values in found.items()}


@pytest.mark.parametrize("period", [None, 1, 3, 5, 11])
def test_naive_forecasts_are_those_of_a_plain_loop(period):
    values = np.random.default_rng(0).normal(size=(60, 2)).cumsum(axis=0)
    origins, known, horizon, levels = np.arange(45, 55), 44, 5, (0.1, 0.5, 0.8)

    def repeat(origin, lead):
        if period is None:
            return origin - 1
        return max(row for row in range(-99, origin) if (origin + lead - row) % period == 0)

    lag = naive.last_value if period is None else naive.seasonal(period)
    found = naive.naive(values, origins, known, horizon, lag, levels)
    expected = by_hand(values, origins, known, horizon, repeat, levels)
    assert found == pytest.approx(expected)


def test_nothing_from_the_first_unknown_row_on_moves_the_quantiles():
    values = np.random.default_rng(1).normal(size=(60, 1))
    origins = np.array([41])
    before = naive.naive(values, origins, 40, 4, naive.last_value, (0.2, 0.8))
    values[45:] += 100
    after = naive.naive(values, origins, 40, 4, naive.last_value, (0.2, 0.8))
    assert before == after


def test_without_earlier_origins_there_are_no_quantiles():
    values = np.arange(20.0)[:, None]
    found = naive.naive(values, np.array([15]), 9, 4, naive.seasonal(8), (0.2, 0.8))
    assert found == {"mse": 64.0, "mae": 8.0}
