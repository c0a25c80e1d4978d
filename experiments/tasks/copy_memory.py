"""Repeating ten symbols after a long blank: the copy memory task, as Bai et al. (2018) have it."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.long_lags import judges
from experiments.long_lags.sampled import Criterion, Sequences, Verdict, integers, sampled_task
from experiments.task import Task

COPIED = 10  # how many symbols are to be repeated
BLANK, DELIMITER = 0, 9  # the symbols that are repeated are 1 to 8


def copy_memory(config: ConfigDict) -> Task:
    """Ten symbols, T - 1 blanks, eleven delimiters, T being `config.task.length`.

    To be predicted are T + 10 blanks, then the ten symbols. The loss is the cross-entropy averaged
    over all T + 20 steps; whoever knows all but the symbols has 10 ln 8 / (T + 20). The criterion
    is ours: in the latest 2,000 sequences every symbol had a probability of more than one half.

    Raises:
        ConfigError: if a length is below 1.
    """
    length = config.task.length
    return sampled_task(
        config,
        sample,
        judge,
        Criterion(tolerance=0.5),
        shorter=config.task.shorter,
        outputs=10,
        source="Bai, Kolter & Koltun 2018, arXiv:1803.01271, section 4",
        least=1,
        metric="accuracy",
        every_step=True,
        facts={"memoryless_loss": COPIED * math.log(8) / (length + 2 * COPIED)},
    )


def sample(key: jax.Array, size: int, length: int) -> Sequences:
    """Draws ten symbols of eight to remember.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: T.

    Returns:
        Inputs [T + 20, B, 10], lengths [B], targets [T + 20, B, 10], all one-hot.
    """
    symbols = integers(jax.random.uniform(key, (COPIED, size)), BLANK + 1, DELIMITER)
    inputs = jnp.pad(symbols, ((0, length - 1), (0, 0)), constant_values=BLANK)
    inputs = jnp.pad(inputs, ((0, COPIED + 1), (0, 0)), constant_values=DELIMITER)
    targets = jnp.pad(symbols, ((length + COPIED, 0), (0, 0)), constant_values=BLANK)
    lengths = jnp.full(size, length + 2 * COPIED)
    return Sequences(jax.nn.one_hot(inputs, 10), lengths, jax.nn.one_hot(targets, 10))


def judge(outputs: jax.Array, targets: jax.Array) -> Verdict:
    """Cross-entropy [B], what the ten symbols' probabilities lack [B, 10], and their accuracy."""
    repeated = judges.symbols(outputs[-COPIED:], targets[-COPIED:])
    lack = (repeated.errors * jnp.moveaxis(targets[-COPIED:], 1, 0)).sum(axis=-1)
    return Verdict(judges.symbols(outputs, targets).loss, lack, repeated.extras)
