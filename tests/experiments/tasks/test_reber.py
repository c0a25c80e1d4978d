"""The embedded Reber grammar: strings by a walk through its graph, legal symbols by the graph."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import reber as settings
from experiments.config import ConfigError, resolve
from experiments.tasks.reber import SYMBOLS, Targets, judge, reber, sample

GRAPH = ["B1", "T2P3", "S2X4", "T3V5", "X3S6", "P4V6", "E7"]  # of each node: symbol, node


def is_embedded(text):
    """Whether a string is of the embedded grammar, by a walk along the graph of its inside."""
    if text[0] != "B" or text[1] not in "TP" or text[-2:] != text[1] + "E":
        return False
    node = 0
    for symbol in text[2:-2]:
        ways = dict(zip(GRAPH[node][::2], map(int, GRAPH[node][1::2]), strict=True))
        if symbol not in ways:
            return False
        node = ways[symbol]
        if node == 7:
            return text[2:-2].endswith("E")
    return False


def strings(length, size=3000, seed=0):
    drawn = sample(jax.random.PRNGKey(seed), size, length)
    inputs, legal = np.asarray(drawn.inputs), np.asarray(drawn.targets.legal)
    read, asked = inputs.argmax(axis=-1), np.asarray(drawn.targets.following).argmax(axis=-1)
    for b, steps in enumerate(np.asarray(drawn.lengths)):
        assert not inputs[steps:, b].any()
        assert read[1:steps, b].tolist() == asked[: steps - 1, b].tolist()
        symbols = [*read[:steps, b], asked[steps - 1, b]]
        yield "".join(SYMBOLS[s] for s in symbols), legal[:steps, b]


def test_strings_are_of_the_grammar():
    found = set()
    for text, _ in strings(30):
        assert is_embedded(text), text
        assert len(text) <= 30
        found.add(text)
    assert {text[1] for text in found} == {"T", "P"}
    assert min(map(len, found)) == 9
    assert max(map(len, found)) > 20
    assert len(found) > 200


def test_legal_symbols_are_those_that_follow_somewhere():
    """What may come after a prefix is what comes after it in some of very many strings."""
    everything = [text for text, _ in strings(40, size=20000, seed=1)]
    after: dict[str, set[str]] = {}
    for text in everything:
        for end in range(1, min(len(text), 7)):
            after.setdefault(text[:end], set()).add(text[end])
    for text, legal in strings(40, size=300, seed=2):
        for end in range(1, min(len(text), 7)):
            named = {s for s, is_legal in zip(SYMBOLS, legal[end - 1], strict=True) if is_legal}
            assert named == after[text[:end]], text[:end]


def test_a_string_is_right_if_the_legal_symbols_come_first():
    following = jnp.eye(7)[jnp.array([[1, 2], [3, 4], [0, 0]])]
    following = following.at[2, 1].set(0)  # the second string has two steps
    legal = following.at[0, 0, 5].set(1)
    outputs = jnp.where(legal > 0, 1.0, 0.0) + 0.5 * jax.random.uniform(
        jax.random.PRNGKey(0), (3, 2, 7)
    )
    targets = Targets(following, legal)
    assert not judge(outputs, targets).errors.any()
    assert judge(outputs.at[0, 0, 5].set(-1), targets).errors.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert judge(outputs.at[1, 1, 6].set(2), targets).errors.tolist() == [[0, 0, 0], [0, 1, 0]]
    assert not judge(outputs.at[2, 1, 6].set(9), targets).errors.any()  # past its end
    odds = np.asarray(jax.nn.log_softmax(outputs))
    by_hand = [
        -(odds[0, 0, 1] + odds[1, 0, 3] + odds[2, 0, 0]) / 3,
        -(odds[0, 1, 2] + odds[1, 1, 4]) / 2,
    ]
    np.testing.assert_allclose(judge(outputs, targets).loss, by_hand, rtol=1e-5)


def test_strings_too_short_for_the_grammar():
    config = settings.get_config()
    config.task.length = 11
    with pytest.raises(ConfigError, match="config.task.length is 11, reber needs at least 12"):
        reber(resolve(config))
