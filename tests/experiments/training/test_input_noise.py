"""Noise on what networks read while they train."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.task import apply
from experiments.training import input_noise
from lstm_jax.linen import Recurrent


@pytest.fixture
def reader():
    """A network whose outputs are the tanh of what it read."""
    model = Recurrent(lj.rnn(3), time_major=True)
    xs = jax.random.normal(jax.random.key(0), (50, 40, 3)) / 4
    params = model.init(jax.random.key(1), xs)
    network = params["params"]["network"]
    network = {name: jnp.zeros_like(leaf) for name, leaf in network.items()}
    return model, {"params": {"network": network | {"kernel": jnp.eye(3)}}}, xs


def read(reader, deviation, key):
    model, params, xs = reader
    with input_noise.added(deviation):
        return jnp.arctanh(apply(model, params, xs, key=key)[1]) - xs


def test_noise_is_normal_and_drawn_for_each_value(reader):
    noise = np.asarray(read(reader, 0.3, jax.random.key(2)))
    assert noise.std() == pytest.approx(0.3, rel=0.03)
    assert abs(noise.mean()) < 0.02
    assert abs(np.mean(noise**4) / noise.std() ** 4 - 3) < 0.3
    for axis in range(3):
        first, rest = np.split(noise, [1], axis)
        assert np.abs(first - rest).min() > 0
    assert np.abs(noise - read(reader, 0.3, jax.random.key(3))).min() > 0
    np.testing.assert_allclose(read(reader, 0.6, jax.random.key(2)), 2 * noise, atol=1e-4)


def test_evaluation_and_a_deviation_of_zero_are_without_noise(reader):
    np.testing.assert_allclose(read(reader, 0.3, None), 0, atol=1e-6)
    np.testing.assert_allclose(read(reader, 0.0, jax.random.key(2)), 0, atol=1e-6)


def test_noise_ends_with_its_context(reader):
    read(reader, 0.3, jax.random.key(2))
    model, params, xs = reader
    ys = apply(model, params, xs, key=jax.random.key(2))[1]
    np.testing.assert_allclose(ys, jnp.tanh(xs), atol=1e-6)


def test_members_may_each_have_their_own(reader):
    deviations = jnp.array([0.0, 0.1, 0.4])
    noise = jax.vmap(lambda deviation: read(reader, deviation, jax.random.key(4)))(deviations)
    np.testing.assert_allclose(noise.std(axis=(1, 2, 3)), deviations, rtol=0.05, atol=1e-6)
