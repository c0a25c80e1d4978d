"""Quantiles: they do not cross, and they are judged as by a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.forecasting.quantiles import around, interval, pinball

LEVELS = (0.05, 0.25, 0.5, 0.9)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_quantiles_do_not_cross_whatever_comes_out(number):
    random = np.random.default_rng(number)
    point, raw = random.normal(size=(40,)) * 9, random.normal(size=(40, number)) * 30
    found = np.asarray(around(jnp.asarray(point), jnp.asarray(raw)))
    assert (np.diff(found, axis=-1) >= 0).all()
    middle = number // 2
    for k in range(40):
        expected = {middle: point[k] + raw[k, middle]}
        for j in range(middle + 1, number):
            expected[j] = expected[j - 1] + np.logaddexp(0, raw[k, j])
        for j in range(middle - 1, -1, -1):
            expected[j] = expected[j + 1] - np.logaddexp(0, raw[k, j])
        by_hand = [expected[j] for j in range(number)]
        np.testing.assert_allclose(found[k], by_hand, rtol=1e-5, atol=1e-5)


def test_pinball_coverage_and_width_are_those_of_a_plain_loop():
    random = np.random.default_rng(0)
    truth, quantiles = random.normal(size=50), np.sort(random.normal(size=(50, 4)), axis=-1)
    loss, inside, width = np.zeros(50), np.zeros(50), np.zeros(50)
    for n in range(50):
        for level, q in zip(LEVELS, quantiles[n], strict=True):
            over = truth[n] - q
            loss[n] += (level * over if over > 0 else (level - 1) * over) / 4
        inside[n] = quantiles[n, 0] <= truth[n] <= quantiles[n, 3]
        width[n] = quantiles[n, 3] - quantiles[n, 0]
    assert 5 < inside.sum() < 45
    found = pinball(jnp.asarray(truth), jnp.asarray(quantiles), LEVELS)
    np.testing.assert_allclose(found, loss, rtol=1e-5, atol=1e-6)
    found = interval(jnp.asarray(truth), jnp.asarray(quantiles), LEVELS)
    np.testing.assert_array_equal(found["coverage"], inside)
    np.testing.assert_allclose(found["width"], width, rtol=1e-5, atol=1e-6)


def test_one_quantile_has_no_interval():
    assert interval(jnp.zeros(3), jnp.zeros((3, 1)), (0.5,)) == {}


def test_the_pinball_loss_is_least_at_the_quantiles():
    """Gradient descent on it finds those of an exponential distribution, -log(1 − τ)."""
    drawn = jnp.asarray(np.random.default_rng(0).exponential(size=20_000))
    optimizer = optax.adam(0.05)

    @jax.jit
    def step(raw, state):
        def loss(raw):
            return pinball(drawn, around(jnp.zeros(()), raw)[None], LEVELS).mean()

        updates, state = optimizer.update(jax.grad(loss)(raw), state)
        return raw + updates, state

    raw = jnp.zeros(4)
    state = optimizer.init(raw)
    for _ in range(300):
        raw, state = step(raw, state)
    found = around(jnp.zeros(()), raw)
    np.testing.assert_allclose(found, -np.log1p(-np.array(LEVELS)), atol=0.05)
