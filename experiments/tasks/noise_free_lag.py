"""Remembering the first symbol until the end: Hochreiter & Schmidhuber (1997), experiment 2."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.config import ConfigError, choose
from experiments.long_lags import judges
from experiments.long_lags.sampled import Criterion, Sequences, integers, sampled_task
from experiments.task import Task

X, Y, BEGIN, END = range(4)  # the symbols that matter; BEGIN and END occur in 2c alone
PUBLISHED = {  # sequences in 1997, by variant, lag and distractors
    ("a", 100, 99): "5,040",
    ("b", 100, 99): "5,680",
    ("c", 50, 50): "30,000",
    ("c", 100, 100): "31,000",
    ("c", 200, 200): "33,000",
    ("c", 500, 500): "38,000",
    ("c", 1000, 1000): "49,000",
}
LONGEST_WAIT = 100  # steps before END in 2c: a longer wait, 3 in 100,000, becomes this one


def noise_free_lag(config: ConfigDict) -> Task:
    """A lag of `config.task.length` steps between x or y and its return, in three variants.

    - a: x or y, the same symbols in the same order, x or y; each next symbol is predicted.
    - b: the symbols between are random, and the last one is predicted.
    - c: beginning, x or y, as many random symbols as the lag has steps, then at each step another
      one or, with probability 1/10, the end, upon which x or y is predicted.

    Of random symbols there are `config.task.distractors`, or, if that is 0, as many as in 1997:
    one less than the lag in b, as many as its steps in c. The loss is the cross-entropy. Solved:
    in 10,000 sequences no softmax output is further than 0.25 (a, b) or 0.2 (c) from its target;
    the number reported is of those before.

    Raises:
        ConfigError: if there is no such variant, a lag is too short, or variant a is to be judged
            at lags that it never trained on.
    """
    variant, length = choose("task.variant", config.task.variant, VARIANTS), config.task.length
    if variant == "a" and config.task.lags:
        raise ConfigError("config.task.lags is set, but variant 'a' has a symbol for each step")
    distractors = config.task.distractors or (length if variant == "c" else length - 1)
    draw, judge, tolerance = VARIANTS[variant]
    return sampled_task(
        config,
        partial(draw, distractors=distractors),
        judge,
        Criterion(tolerance, window=10_000, before=True),
        outputs=2 if variant == "c" else 2 + distractors,
        source=f"Hochreiter & Schmidhuber 1997, experiment 2{variant}",
        least=2,
        every_step=variant == "a",
        published=PUBLISHED.get((variant, length, distractors), ""),
        facts={"distractors": distractors},
    )


def sample_a(key: jax.Array, size: int, length: int, distractors: int) -> Sequences:
    """Draws x or y, then each distractor once; predicted are these and x or y again.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: p; there must be p - 1 distractors.
        distractors: their number.

    Returns:
        Inputs [p, B, p + 1], lengths [B], targets [p, B, p + 1], all one-hot.
    """
    kind = integers(jax.random.uniform(key, (size,)), X, Y + 1)
    between = jnp.broadcast_to(2 + jnp.arange(distractors)[:, None], (distractors, size))
    symbols = jnp.concatenate([kind[None], between, kind[None]])
    encoded = jax.nn.one_hot(symbols, 2 + distractors)
    return Sequences(encoded[:-1], jnp.full(size, length), encoded[1:])


def sample_b(key: jax.Array, size: int, length: int, distractors: int) -> Sequences:
    """Draws x or y, then p - 1 random distractors; predicted is x or y again, at the end.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: p.
        distractors: how many different ones there are.

    Returns:
        Inputs [p, B, 2 + distractors], lengths [B], targets [B, 2 + distractors], all one-hot.
    """
    uniform = jax.random.uniform(key, (length, size))
    kind, between = integers(uniform[:1], X, Y + 1), integers(uniform[1:], 2, 2 + distractors)
    encoded = jax.nn.one_hot(jnp.concatenate([kind, between]), 2 + distractors)
    return Sequences(encoded, jnp.full(size, length), encoded[0])


def sample_c(key: jax.Array, size: int, length: int, distractors: int) -> Sequences:
    """Draws begin, x or y, q random distractors, a wait of random length, end.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: q.
        distractors: how many different ones there are.

    Returns:
        Inputs [q + 3 + LONGEST_WAIT, B, 4 + distractors], lengths [B], targets [B, 2], one-hot.
    """
    longest = length + 3 + LONGEST_WAIT
    uniform = jax.random.uniform(key, (2 + longest, size))
    kind = integers(uniform[0], X, Y + 1)
    wait = jnp.floor(jnp.log1p(-uniform[1]) / jnp.log(0.9)).astype(jnp.int32)
    end = length + 2 + jnp.minimum(wait, LONGEST_WAIT)
    step = jnp.arange(longest)[:, None]
    symbols = integers(uniform[2:], 4, 4 + distractors)
    for place, symbol in ((0, BEGIN), (1, kind), (end, END)):
        symbols = jnp.where(step == place, symbol, symbols)
    inputs = jax.nn.one_hot(symbols, 4 + distractors) * (step <= end)[..., None]
    return Sequences(inputs, end + 1, jax.nn.one_hot(kind, 2))


VARIANTS: dict[str, tuple[Callable, Callable, float]] = {
    "a": (sample_a, judges.symbols, 0.25),
    "b": (sample_b, judges.classes, 0.25),
    "c": (sample_c, judges.classes, 0.2),
}
