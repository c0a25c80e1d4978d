"""Adding two marked numbers over a long lag: Hochreiter & Schmidhuber (1997), experiment 4."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.config import ConfigError
from experiments.task import Task
from experiments.tasks.sampled import Criterion, Sequences, Verdict, integers, sampled_task


def adding(config: ConfigDict) -> Task:
    """The adding problem with minimal length `config.task.length`.

    The loss is the squared error of a linear output; a sequence is right if its absolute error is
    below 0.04. Solved: mean error below 0.01 and the latest 2,000 sequences right.

    Raises:
        ConfigError: if the length is below 22, too short to hold two marked pairs.
    """
    length = config.task.length
    if length < 22:
        raise ConfigError(f"config.task.length is {length}, adding needs at least 22")
    return sampled_task(
        config,
        sample=partial(sample, length=length),
        judge=judge,
        criterion=Criterion(tolerance=0.04, mean_error=0.01),
        metric="right_fraction",
        facts={"source": "Hochreiter & Schmidhuber 1997, experiment 4", "minimal_length": length},
    )


def sample(key: jax.Array, size: int, length: int) -> Sequences:
    """Draws pairs (value in [-1, 1], marker) and the scaled sum of the two marked values.

        target = 0.5 + (X1 + X2) / 4

    One of the first ten pairs is marked, then one of the first length/2 - 1 pairs still unmarked.
    The first and the last pair carry the marker -1; a marked first pair keeps it and counts as 0.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: the minimal length T; lengths are uniform in [T, 1.1 T].

    Returns:
        Inputs [T + T // 10, B, 2], lengths [B], targets [B, 1].
    """
    longest = length + length // 10
    uniform = jax.random.uniform(key, (3 + longest, size))
    lengths = integers(uniform[0], length, longest + 1)
    first = integers(uniform[1], 0, 10)
    second = integers(uniform[2], 0, length // 2 - 1)
    values = 2 * uniform[3:] - 1
    second += second >= first
    step = jnp.arange(longest)[:, None]
    marked = ((step == first) | (step == second)) & (step > 0)
    ends = (step == 0) | (step == lengths - 1)
    markers = marked.astype(values.dtype) - ends.astype(values.dtype)
    targets = 0.5 + jnp.sum(values * marked, axis=0) / 4
    inputs = jnp.stack([values, markers], axis=-1) * (step < lengths)[..., None]
    return Sequences(inputs, lengths, targets[:, None])


def judge(outputs: jax.Array, targets: jax.Array) -> Verdict:
    """Squared errors [B] and absolute errors [B, 1] of outputs [B, 1]."""
    errors = outputs - targets
    return Verdict(loss=jnp.square(errors).sum(axis=-1), errors=jnp.abs(errors), extras={})
