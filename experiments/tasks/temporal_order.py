"""Telling sequences apart by the order of rare symbols: Hochreiter & Schmidhuber (1997), 6a, 6b."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.config import ConfigError
from experiments.long_lags import judges
from experiments.long_lags.sampled import Criterion, Sequences, integers, sampled_task
from experiments.task import Task

SYMBOLS = "EBabcdXY"
PLACES = {  # where the relevant symbols stand, in hundredths of the minimal length
    2: ((10, 20), (50, 60)),
    3: ((10, 20), (33, 43), (66, 76)),
}

PUBLISHED = {2: "31,390", 3: "571,100"}  # sequences in 1997 of length 100


def temporal_order(config: ConfigDict) -> Task:
    """Temporal order with `config.task.relevant` symbols X or Y: 2 (6a) or 3 (6b).

    The loss is the cross-entropy of a softmax over the 2**relevant classes; a sequence is right if
    every softmax output is within 0.3 of its target, 0 or 1. Solved: the latest 2,000 sequences
    right, their mean error below 0.1.

    Raises:
        ConfigError: if the number of symbols is neither 2 nor 3, or the length is below 10.
    """
    relevant = config.task.relevant
    if relevant not in PLACES:
        raise ConfigError(f"config.task.relevant is {relevant}, choose 2 (6a) or 3 (6b)")
    return sampled_task(
        config,
        partial(sample, relevant=relevant),
        judges.classes,
        Criterion(tolerance=0.3, mean_error=0.1),
        outputs=2**relevant,
        source=f"Hochreiter & Schmidhuber 1997, experiment 6{'ab'[relevant - 2]}",
        least=10,
        metric="accuracy",
        published=PUBLISHED[relevant] if config.task.length == 100 else "",
        facts={"classes": 2**relevant, "symbols": SYMBOLS},
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
