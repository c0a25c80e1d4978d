"""Adding: sequences by the definition of 1997, and a model that reads the last valid step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from configs import adding
from experiments.config import ConfigError, resolve
from experiments.perception.readout import Readout
from experiments.tasks.adding import adding as build
from experiments.tasks.adding import sample


def test_sequences_follow_the_definition():
    inputs, lengths, targets = map(np.asarray, sample(jax.random.PRNGKey(3), 3000, length=50))
    assert inputs.shape == (55, 3000, 2)
    assert set(lengths) == set(range(50, 56))
    marks = []
    for b, length in enumerate(lengths):
        value, marker = inputs[:length, b].T
        assert not inputs[length:, b].any()
        assert np.abs(value).max() <= 1
        assert marker[0] == marker[-1] == -1
        marked = np.flatnonzero(marker == 1)
        assert set(marker[1:-1]) <= {0, 1}
        assert len(marked) in (1, 2)  # 1 where the first pair was drawn, which counts as 0
        np.testing.assert_allclose(targets[b], 0.5 + value[marked].sum() / 4, rtol=1e-6)
        marks.append(tuple(marked))
    pairs = [m for m in marks if len(m) == 2]
    assert min(min(m) for m in pairs) == 1
    assert {min(m) for m in pairs} >= set(range(1, 10))
    assert max(max(m) for m in pairs) == 24  # one of the first length / 2 - 1 still unmarked
    assert all(min(m) < 10 for m in marks) or min(len(m) for m in marks) == 1
    first_pair = 0.1 + 0.9 / 24  # drawn first, or second
    assert len(marks) - len(pairs) == pytest.approx(3000 * first_pair, rel=0.2)


def test_values_are_uniform():
    inputs, _, _ = sample(jax.random.PRNGKey(4), 500, length=40)
    values = np.asarray(inputs)[:40, :, 0]
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.var() == pytest.approx(1 / 3, abs=0.01)


def test_the_last_valid_step_is_read_and_padding_is_not():
    model = Readout(lj.lstm(3), outputs=1)
    inputs = jax.random.normal(jax.random.PRNGKey(0), (6, 2, 2))
    lengths = jnp.array([4, 6])
    params = model.init(jax.random.PRNGKey(1), inputs, lengths)
    outputs = model.apply(params, inputs, lengths)
    short = model.apply(params, inputs[:4, :1], jnp.array([4]))
    np.testing.assert_allclose(outputs[0], short[0], rtol=1e-5)
    spoiled = inputs.at[4:, 0].set(9.0)
    np.testing.assert_array_equal(model.apply(params, spoiled, lengths), outputs)
    touched = inputs.at[3, 0].set(9.0)
    assert np.abs(model.apply(params, touched, lengths) - outputs)[0] > 1e-4


def test_loss_is_learned_from(config):
    settings = adding.get_config()
    settings.mode = "tiny"
    task = build(resolve(settings))
    params, carry = task.init(jax.random.PRNGKey(0)), task.initial_carry()
    grads = jax.jit(jax.grad(lambda p: task.loss(p, carry, 1, jax.random.PRNGKey(5))[0]))(params)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads))


def test_too_short():
    config = adding.get_config()
    config.task.length = 21
    with pytest.raises(ConfigError, match="config.task.length is 21, adding needs at least 22"):
        build(resolve(config))
