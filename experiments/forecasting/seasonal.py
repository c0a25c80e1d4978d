"""A generated series with two seasons, a drift and noise that remembers."""

from __future__ import annotations

import numpy as np

from experiments.data.calendar import Step
from experiments.data.csv_series import Dated

ROWS = 3000
DAY, WEEK = 24, 168
MEMORY = 0.8  # of the noise
START = np.array(["2020-01-06"], "M8[s]")


def seasonal(rows: int = ROWS, seed: int = 0) -> Dated:
    """Two hourly channels with a daily and a weekly season.

        x_t = drift_t + a·sin(2πt/24 + φ) + b·sin(4πt/24 + ψ) + c·sin(2πt/168 + χ) + n_t
        drift_t = drift_{t−1} + 0.01·ε_t,  n_t = 0.8·n_{t−1} + 0.25·η_t

    with ε and η standard normal, and amplitudes and phases of each channel's own; values have
    three decimals, as measured ones do.

    Args:
        rows: R.
        seed: another one has another series.

    Returns:
        Values [R, 2].
    """
    random = np.random.default_rng(seed)
    amplitudes = random.uniform([1, 0.3, 0.5], [2, 0.8, 1], (2, 3))
    phases = random.uniform(0, 2 * np.pi, (2, 3))
    turns = 2 * np.pi * np.arange(rows)[:, None, None] / np.array([DAY, DAY / 2, WEEK])
    season = (amplitudes * np.sin(turns + phases)).sum(axis=-1)
    drift = 0.01 * random.standard_normal((rows, 2)).cumsum(axis=0)
    noise = 0.25 * random.standard_normal((rows, 2))
    for row in range(1, rows):
        noise[row] += MEMORY * noise[row - 1]
    values = np.round(10 + season + drift + noise, 3)
    step = Step(3600, "second")
    return Dated("seasons (generated)", step.dates(START, rows), ("a", "b"), values, step)
