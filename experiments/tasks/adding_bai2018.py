"""Adding two marked numbers, as later comparisons have it: Bai, Kolter & Koltun (2018)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.long_lags import judges
from experiments.long_lags.sampled import Criterion, Sequences, integers, sampled_task
from experiments.task import Task


def adding_bai2018(config: ConfigDict) -> Task:
    """The adding problem of 2018 with sequences of `config.task.length` steps.

    The loss is the squared error of a linear output, 1/6 for the constant answer 1. The criterion
    is ours: at most 20 of the latest 2,000 sequences have an absolute error of 0.1 or more, of
    sums that lie in [0, 2]. Training draws its sequences anew, where the paper has 50,000.

    Raises:
        ConfigError: if a length is below 2.
    """
    return sampled_task(
        config,
        sample,
        judges.squared,
        Criterion(tolerance=0.1, wrong=20),
        shorter=config.task.shorter,
        outputs=1,
        source="Bai, Kolter & Koltun 2018, arXiv:1803.01271, section 4",
        least=2,
    )


def sample(key: jax.Array, size: int, length: int) -> Sequences:
    """Draws pairs (value in [0, 1), marker 0 or 1) and the sum of the two marked values.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: T. Two different steps are marked, each pair of them as likely as any other.

    Returns:
        Inputs [T, B, 2], lengths [B], targets [B, 1].
    """
    uniform = jax.random.uniform(key, (2 + length, size))
    first = integers(uniform[0], 0, length)
    second = integers(uniform[1], 0, length - 1)
    second += second >= first
    step = jnp.arange(length)[:, None]
    marked = (step == first) | (step == second)
    values = uniform[2:]
    targets = jnp.sum(values * marked, axis=0)
    inputs = jnp.stack([values, marked.astype(values.dtype)], axis=-1)
    return Sequences(inputs, jnp.full(size, length), targets[:, None])
