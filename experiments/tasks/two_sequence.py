"""Telling two classes by the first few of many noisy numbers: 1997, experiment 3."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from experiments.config import ConfigError, choose
from experiments.long_lags.sampled import Criterion, Sequences, Verdict, integers, sampled_task
from experiments.task import Task

NOISE = 0.2**0.5  # deviation of the numbers that mean nothing, and in 3b of those that do
TARGET_NOISE = 0.1**0.5  # deviation of the targets in 3c
PUBLISHED = {"a": "27,380", "b": "41,740", "c": "269,650"}  # sequences in 1997 of (100, 3)
CRITERIA = {
    "a": Criterion(tolerance=0.2, window=256),
    "b": Criterion(tolerance=0.2, window=256, wrong=5),
    "c": Criterion(tolerance=0.1, window=256, mean_error=0.015),
}


class Answers(NamedTuple):
    """What is taught and what is true, [B, 1] each."""

    taught: jax.Array
    true: jax.Array


def two_sequence(config: ConfigDict) -> Task:
    """The two-sequence problem: `config.task.informative` numbers, then noise, in three variants.

    - a: the first N numbers are all 1 in class 1 and all -1 in class 2, targets 1 and 0.
    - b: they are noisy too.
    - c: as a, with targets 0.2 and 0.8 in noise.

    The loss is the cross-entropy of a logistic output, which is also right for noisy targets: its
    gradient by the logit is output minus target. Solved, on the latest 256 sequences (all of them
    new, as those of the paper's test set were): none wrong by 0.2 or more (a); at most 5 (b); none
    off the noise-free target by 0.1 or more, the mean below 0.015 (c).

    Raises:
        ConfigError: if there is no such variant, or a length has no room for the numbers.
    """
    variant = choose("task.variant", config.task.variant, CRITERIA)
    informative = config.task.informative
    if config.task.length <= informative:
        raise ConfigError(
            f"config.task.length is {config.task.length}, it must be above the"
            f" {informative} numbers of config.task.informative"
        )
    return sampled_task(
        config,
        partial(sample, informative=informative, variant=variant),
        judge,
        CRITERIA[variant],
        outputs=1,
        source=f"Hochreiter & Schmidhuber 1997, experiment 3{variant}",
        least=informative + 1,
        published=PUBLISHED[variant] if (config.task.length, informative) == (100, 3) else "",
        facts={"informative": informative},
    )


def sample(key: jax.Array, size: int, length: int, informative: int, variant: str) -> Sequences:
    """Draws numbers of which the first few tell the class.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: the minimal length T; lengths are uniform in [T, 1.1 T].
        informative: N.
        variant: "a", "b" or "c".

    Returns:
        Inputs [T + T // 10, B, 1], lengths [B], targets `Answers`.
    """
    longest = length + length // 10
    choices, noise = jax.random.split(key)
    uniform = jax.random.uniform(choices, (2, size))
    normal = jax.random.normal(noise, (1 + longest, size))
    lengths = integers(uniform[0], length, longest + 1)
    first_class = integers(uniform[1], 0, 2)
    step = jnp.arange(longest)[:, None]
    signal = jnp.where(step < informative, 2.0 * first_class - 1.0, 0.0)
    noisy = (step >= informative) | (variant == "b")
    inputs = (signal + NOISE * normal[1:] * noisy) * (step < lengths)
    true = jnp.where(first_class, *((0.2, 0.8) if variant == "c" else (1.0, 0.0)))
    taught = true + TARGET_NOISE * normal[0] * (variant == "c")
    return Sequences(inputs[..., None], lengths, Answers(taught[:, None], true[:, None]))


def judge(outputs: jax.Array, answers: Answers) -> Verdict:
    """Cross-entropy [B] with what is taught, errors [B, 1] against what is true."""
    taught, true = answers
    correct = (outputs > 0) == (true > 0.5)
    return Verdict(
        loss=optax.sigmoid_binary_cross_entropy(outputs, taught).sum(axis=-1),
        errors=jnp.abs(jax.nn.sigmoid(outputs) - true),
        extras={"accuracy": correct[:, 0].astype(outputs.dtype)},
    )
