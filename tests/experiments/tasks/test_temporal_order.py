"""Temporal order: sequences by the definition of 1997, judged by its criterion."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from configs import temporal_order
from experiments.config import ConfigError, resolve
from experiments.tasks.temporal_order import SYMBOLS, sample
from experiments.tasks.temporal_order import temporal_order as build

WINDOWS = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}


@pytest.mark.parametrize("relevant", [2, 3])
def test_sequences_follow_the_definition(relevant):
    drawn = sample(jax.random.PRNGKey(relevant), 400, length=100, relevant=relevant)
    inputs, lengths, targets = map(np.asarray, drawn)
    assert inputs.shape == (110, 400, 8)
    assert set(lengths) == set(range(100, 111))
    places = []
    for b, length in enumerate(lengths):
        assert (inputs[:length, b].sum(axis=1) == 1).all()
        assert not inputs[length:, b].any()
        text = "".join(SYMBOLS[k] for k in inputs[:length, b].argmax(axis=1))
        assert text[0] == "E"
        assert text[-1] == "B"
        assert not set(text[1:-1]) & set("EB")
        where = [t for t, symbol in enumerate(text) if symbol in "XY"]
        digits = "".join(text[t] for t in where).replace("X", "0").replace("Y", "1")
        assert np.flatnonzero(targets[b]).tolist() == [int(digits, 2)]
        places.append(where)
    for (low, high), taken in zip(WINDOWS[relevant], np.transpose(places), strict=True):
        assert set(taken) == set(range(low, high + 1))
    assert (targets.sum(axis=0) > 400 / 2**relevant / 2).all()


def test_distractors_are_even():
    inputs, _, _ = sample(jax.random.PRNGKey(0), 500, length=100, relevant=2)
    counts = np.asarray(inputs).sum(axis=(0, 1))[SYMBOLS.index("a") : SYMBOLS.index("X")]
    np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.01)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("relevant", 4, "config.task.relevant is 4, choose 2"), ("length", 9, "at least 10")],
)
def test_settings_that_cannot_work(field, value, message):
    config = temporal_order.get_config()
    config.task[field] = value
    with pytest.raises(ConfigError, match=message):
        build(resolve(config))
