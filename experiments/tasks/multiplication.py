"""Multiplying two marked numbers over a long lag: Hochreiter & Schmidhuber (1997), experiment 5."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.long_lags import judges, marked_pairs
from experiments.long_lags.sampled import Criterion, Sequences, sampled_task
from experiments.task import Task

PUBLISHED = {139: "482,000", 12: "1,273,000"}  # sequences in 1997 of length 100, by `wrong`


def multiplication(config: ConfigDict) -> Task:
    """The multiplication problem with minimal length `config.task.length`.

    The loss is the squared error of a linear output; a sequence is right if its absolute error is
    below 0.04. Solved: at most `config.task.wrong` of the latest 2,000 sequences wrong, 139 for
    the first criterion of 1997 and 12 for the second.

    Raises:
        ConfigError: if a length is too short to hold two marked pairs.
    """
    return sampled_task(
        config,
        sample,
        judges.squared,
        Criterion(tolerance=0.04, wrong=config.task.wrong),
        outputs=1,
        source="Hochreiter & Schmidhuber 1997, experiment 5",
        least=marked_pairs.SHORTEST,
        published=PUBLISHED.get(config.task.wrong, "") if config.task.length == 100 else "",
        facts={"wrong": config.task.wrong},
    )


def sample(key: jax.Array, size: int, length: int) -> Sequences:
    """Draws pairs (value in [0, 1), marker) and the product X1 X2 of the marked values.

    A value that does not count is 1 in the product (`experiments.long_lags.marked_pairs`).

    Args:
        key: the random key.
        size: the number of sequences B.
        length: the minimal length T; lengths are uniform in [T, 1.1 T].

    Returns:
        Inputs [T + T // 10, B, 2], lengths [B], targets [B, 1].
    """
    pairs = marked_pairs.draw(key, size, length)
    targets = jnp.where(pairs.marked, pairs.values, 1.0).prod(axis=0)
    return marked_pairs.sequences(pairs, pairs.values, targets)
