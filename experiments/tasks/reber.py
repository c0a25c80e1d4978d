"""Predicting strings of the embedded Reber grammar: Hochreiter & Schmidhuber (1997), 1."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.long_lags.sampled import Criterion, Sequences, Verdict, sampled_task
from experiments.task import Task

SYMBOLS = "BTSXPVE"
REBER = {  # each node's ways on: a symbol and the node behind it; the second one leads out sooner
    "start": (("B", "first"),),
    "first": (("T", "s-loop"), ("P", "t-loop")),
    "s-loop": (("S", "s-loop"), ("X", "upper")),
    "t-loop": (("T", "t-loop"), ("V", "lower")),
    "upper": (("X", "t-loop"), ("S", "last")),
    "lower": (("P", "upper"), ("V", "last")),
    "last": (("E", "done"),),
}
WAY_OUT = 8  # from any node of the inner grammar the second ways reach the end in so many steps


class Targets(NamedTuple):
    """The next symbol, and which symbols might have come: one-hot and 0 or 1, [T, B, 7] each."""

    following: jax.Array
    legal: jax.Array


class Automaton(NamedTuple):
    """A grammar as arrays: two ways on from each node [N, 2], which may be the same."""

    symbols: np.ndarray
    nodes: np.ndarray


def reber(config: ConfigDict) -> Task:
    """The embedded Reber grammar, in strings of at most `config.task.length` symbols.

    Whether T or P comes second decides which of them comes last but one, with a string of Reber's
    grammar between. The loss is the cross-entropy of the next symbol; a string is right if at
    every step each symbol that might follow has a larger output than all that might not. Solved:
    the latest 512 strings right (in 1997: 256 strings of training and 256 of the test set).

    Raises:
        ConfigError: if the strings are too short for the grammar.
    """
    return sampled_task(
        config,
        sample,
        judge,
        Criterion(tolerance=0.5, window=512),
        outputs=len(SYMBOLS),
        source="Hochreiter & Schmidhuber 1997, experiment 1",
        least=4 + WAY_OUT,
        every_step=True,
        published="8,440 to 39,740",
        facts={"symbols": SYMBOLS},
    )


def embedded() -> Automaton:
    """The embedded grammar: B, T or P, a string of Reber's, the same T or P, E."""
    ways = {"begin": (("B", "choose"),), "choose": (("T", "T start"), ("P", "P start"))}
    for symbol in "TP":
        for node, on in REBER.items():
            ways[f"{symbol} {node}"] = tuple((s, f"{symbol} {behind}") for s, behind in on)
        ways[f"{symbol} done"] = ((symbol, "finish"),)
    ways |= {"finish": (("E", "end"),), "end": (("E", "end"),)}
    numbers = {node: number for number, node in enumerate(ways)}
    twice = [(on * 2)[:2] for on in ways.values()]
    return Automaton(
        symbols=np.array([[SYMBOLS.index(symbol) for symbol, _ in on] for on in twice]),
        nodes=np.array([[numbers[node] for _, node in on] for on in twice]),
    )


def sample(key: jax.Array, size: int, length: int) -> Sequences:
    """Draws strings, each way on as likely as the other.

    So that no string is longer than `length`, the way that leads out is taken near its end.

    Args:
        key: the random key.
        size: the number of strings B.
        length: T + 1, as the last symbol is only predicted.

    Returns:
        Inputs [T, B, 7], lengths [B], targets `Targets`.
    """
    on, behind = map(jnp.asarray, embedded())
    end = behind.shape[0] - 1

    def follow(node: jax.Array, way: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        legal = jax.nn.one_hot(on[node], len(SYMBOLS)).max(axis=-2)
        return behind[node, way], (on[node, way], legal, node != end)

    ways = jax.random.bernoulli(key, 0.5, (length, size)).astype(jnp.int32)
    late = jnp.arange(length)[:, None] >= length - WAY_OUT
    start = jnp.zeros(size, jnp.int32)
    _, (symbols, legal, within) = jax.lax.scan(follow, start, jnp.where(late, 1, ways))
    encoded = jax.nn.one_hot(symbols, len(SYMBOLS))
    asked = within[1:, :, None]
    targets = Targets(encoded[1:] * asked, legal[1:] * asked)
    return Sequences(encoded[:-1] * asked, asked[..., 0].sum(axis=0), targets)


def judge(outputs: jax.Array, targets: Targets) -> Verdict:
    """Cross-entropy a symbol [B]; 1 for each step at which the order is wrong [B, T]."""
    following, legal = targets
    valid = following.sum(axis=-1)
    worst_legal = jnp.where(legal > 0, outputs, jnp.inf).min(axis=-1)
    best_other = jnp.where(legal > 0, -jnp.inf, outputs).max(axis=-1)
    nats = optax.softmax_cross_entropy(outputs, following) * valid
    return Verdict(
        loss=nats.sum(axis=0) / valid.sum(axis=0),
        errors=((worst_legal <= best_other) * valid).T,
        extras={},
    )
