"""Losses and errors, by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from experiments.long_lags import judges


def test_squared():
    verdict = judges.squared(jnp.array([[0.5], [0.2]]), jnp.array([[0.46], [0.6]]))
    np.testing.assert_allclose(verdict.loss, [0.0016, 0.16], rtol=1e-5)
    np.testing.assert_allclose(verdict.errors, [[0.04], [0.4]], rtol=1e-5)


def test_classes_take_softmax_errors():
    logits = jnp.log(jnp.array([[0.8, 0.1, 0.05, 0.05], [0.2, 0.35, 0.25, 0.2]]))
    targets = jnp.eye(4)[jnp.array([0, 2])]
    verdict = judges.classes(logits, targets)
    np.testing.assert_allclose(verdict.loss, -np.log([0.8, 0.25]), rtol=1e-6)
    errors = [[0.2, 0.1, 0.05, 0.05], [0.2, 0.35, 0.75, 0.2]]
    np.testing.assert_allclose(verdict.errors, errors, atol=1e-6)
    np.testing.assert_array_equal(verdict.extras["accuracy"], [1.0, 0.0])


def test_symbols_are_classes_at_every_step():
    logits = jax.random.normal(jax.random.PRNGKey(0), (7, 3, 5))
    targets = jax.nn.one_hot(jax.random.randint(jax.random.PRNGKey(1), (7, 3), 0, 5), 5)
    verdict = judges.symbols(logits, targets)
    for b in range(3):
        single = judges.classes(logits[:, b], targets[:, b])
        np.testing.assert_allclose(verdict.loss[b], single.loss.mean(), rtol=1e-6)
        np.testing.assert_allclose(verdict.errors[b], single.errors, rtol=1e-6)
        np.testing.assert_allclose(verdict.extras["accuracy"][b], single.extras["accuracy"].mean())
