"""Telling sequences apart by the order of rare symbols: Hochreiter & Schmidhuber (1997), 6a, 6b."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from experiments.config import ConfigError
from experiments.task import Task
from experiments.tasks.sampled import Criterion, Sequences, Verdict, integers, sampled_task

SYMBOLS = "EBabcdXY"
PLACES = {  # where the relevant symbols stand, in hundredths of the minimal length
    2: ((10, 20), (50, 60)),
    3: ((10, 20), (33, 43), (66, 76)),
}


def temporal_order(config: ConfigDict) -> Task:
    """Temporal order with `config.task.relevant` symbols X or Y: 2 (6a) or 3 (6b).

    The loss is the cross-entropy of a softmax over the 2**relevant classes; a sequence is right if
    every softmax output is within 0.3 of its target, 0 or 1. Solved: mean error below 0.1 and the
    latest 2,000 sequences right.

    Raises:
        ConfigError: if the number of symbols is neither 2 nor 3, or the length is below 10.
    """
    length, relevant = config.task.length, config.task.relevant
    if relevant not in PLACES:
        raise ConfigError(f"config.task.relevant is {relevant}, choose 2 (6a) or 3 (6b)")
    if length < 10:
        raise ConfigError(f"config.task.length is {length}, temporal order needs at least 10")
    return sampled_task(
        config,
        sample=partial(sample, length=length, relevant=relevant),
        judge=judge,
        criterion=Criterion(tolerance=0.3, mean_error=0.1),
        metric="accuracy",
        facts={
            "source": f"Hochreiter & Schmidhuber 1997, experiment 6{'ab'[relevant - 2]}",
            "minimal_length": length,
            "classes": 2**relevant,
            "symbols": SYMBOLS,
        },
    )


def sample(key: jax.Array, size: int, length: int, relevant: int) -> Sequences:
    """Draws sequences E, distractors a-d with X or Y at `relevant` places, B; one-hot.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: the minimal length T; lengths are uniform in [T, 1.1 T].
        relevant: how many symbols X or Y there are; each at a random step of its own window.

    Returns:
        Inputs [T + T // 10, B, 8], lengths [B], one-hot targets [B, 2**relevant]. The class has
        one binary digit for each relevant symbol, the first in the highest place, Y for 1.
    """
    longest = length + length // 10
    uniform = jax.random.uniform(key, (1 + 2 * relevant + longest, size))
    lengths = integers(uniform[0], length, longest + 1)
    is_y = integers(uniform[1 : 1 + relevant], 0, 2)
    low, high = length * jnp.array(PLACES[relevant]).T[:, :, None] // 100
    places = integers(uniform[1 + relevant : 1 + 2 * relevant], low, high + 1)
    fill = integers(uniform[1 + 2 * relevant :], SYMBOLS.index("a"), SYMBOLS.index("X"))

    step = jnp.arange(longest)[:, None]
    symbols = jnp.where(step == 0, SYMBOLS.index("E"), fill)
    symbols = jnp.where(step == lengths - 1, SYMBOLS.index("B"), symbols)
    for place, y in zip(places, is_y, strict=True):
        symbols = jnp.where(step == place, SYMBOLS.index("X") + y, symbols)
    inputs = jax.nn.one_hot(symbols, len(SYMBOLS)) * (step < lengths)[..., None]
    classes = 2 ** jnp.arange(relevant)[::-1] @ is_y
    return Sequences(inputs, lengths, jax.nn.one_hot(classes, 2**relevant))


def judge(outputs: jax.Array, targets: jax.Array) -> Verdict:
    """Cross-entropy [B], softmax errors [B, K] and accuracy [B] of logits [B, K]."""
    correct = jnp.argmax(outputs, axis=-1) == jnp.argmax(targets, axis=-1)
    return Verdict(
        loss=optax.softmax_cross_entropy(outputs, targets),
        errors=jnp.abs(jax.nn.softmax(outputs) - targets),
        extras={"accuracy": correct.astype(outputs.dtype)},
    )
