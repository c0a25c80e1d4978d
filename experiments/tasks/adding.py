"""Adding two marked numbers over a long lag: Hochreiter & Schmidhuber (1997), experiment 4."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.long_lags import judges, marked_pairs
from experiments.long_lags.sampled import Criterion, Sequences, sampled_task
from experiments.task import Task

PUBLISHED = {100: "74,000", 500: "209,000", 1000: "853,000"}  # sequences in 1997, by length


def adding(config: ConfigDict) -> Task:
    """The adding problem with minimal length `config.task.length`.

    The loss is the squared error of a linear output; a sequence is right if its absolute error is
    below 0.04. Solved: the latest 2,000 sequences right, their mean error below 0.01.

    Raises:
        ConfigError: if a length is too short to hold two marked pairs.
    """
    return sampled_task(
        config,
        sample,
        judges.squared,
        Criterion(tolerance=0.04, mean_error=0.01),
        outputs=1,
        source="Hochreiter & Schmidhuber 1997, experiment 4",
        least=marked_pairs.SHORTEST,
        published=PUBLISHED.get(config.task.length, ""),
    )


def sample(key: jax.Array, size: int, length: int) -> Sequences:
    """Draws pairs (value in [-1, 1], marker) and the scaled sum of the marked values.

        target = 0.5 + (X1 + X2) / 4

    A value that does not count is 0 in the sum (`experiments.long_lags.marked_pairs`).

    Args:
        key: the random key.
        size: the number of sequences B.
        length: the minimal length T; lengths are uniform in [T, 1.1 T].

    Returns:
        Inputs [T + T // 10, B, 2], lengths [B], targets [B, 1].
    """
    pairs = marked_pairs.draw(key, size, length)
    values = 2 * pairs.values - 1
    targets = 0.5 + jnp.sum(values * pairs.marked, axis=0) / 4
    return marked_pairs.sequences(pairs, values, targets)
