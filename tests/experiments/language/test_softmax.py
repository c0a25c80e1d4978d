"""Cross-entropy in chunks against all logits at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.language.softmax import cross_entropy


def problem(count, features=5, symbols=23, dtype=np.float32):
    """Random features, kernel, bias, targets, and a weight for each row."""
    random = np.random.default_rng(count)
    return (
        jnp.asarray(random.normal(size=(count, features)), dtype),
        jnp.asarray(random.normal(size=(features, symbols)), dtype),
        jnp.asarray(random.normal(size=symbols), dtype),
        jnp.asarray(random.integers(0, symbols, count)),
        random.normal(size=count).astype(np.float32),
    )


def plain(features, kernel, bias, targets):
    return optax.softmax_cross_entropy_with_integer_labels(features @ kernel + bias, targets)


@pytest.mark.parametrize(("count", "chunk"), [(12, 12), (12, 4), (13, 4), (1, 5), (7, 1), (30, 29)])
def test_values_and_gradients_are_those_of_all_logits(count, chunk):
    *arguments, targets, weights = problem(count)

    def total(function, features, kernel, bias):
        return jnp.sum(weights * function(features, kernel, bias, targets))

    def chunked(*all_four):
        return cross_entropy(*all_four, chunk)

    nats = chunked(*arguments, targets)
    np.testing.assert_allclose(nats, plain(*arguments, targets), rtol=1e-5, atol=1e-6)
    pairs = zip(
        jax.grad(total, (1, 2, 3))(chunked, *arguments),
        jax.grad(total, (1, 2, 3))(plain, *arguments),
        strict=True,
    )
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [5, 100])
def test_any_shape_of_targets_will_do(chunk):
    features, kernel, bias, targets, _ = problem(24)
    got = cross_entropy(features.reshape(4, 6, -1), kernel, bias, targets.reshape(4, 6), chunk)
    expected = plain(features, kernel, bias, targets).reshape(4, 6)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_logits_of_half_precision_features_are_in_float32():
    features, kernel, bias, targets, _ = problem(20, features=64, dtype=jnp.bfloat16)
    got = cross_entropy(features, kernel, bias, targets, chunk=6)
    exact = plain(*(a.astype(jnp.float32) for a in (features, kernel, bias)), targets)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5)


def test_the_gradient_holds_a_chunk_of_logits_at_a_time():
    *arguments, targets, _ = problem(512, features=8, symbols=2000)

    def temporaries(chunk):
        def total(*three):
            return jnp.sum(cross_entropy(*three, targets, chunk))

        compiled = jax.jit(jax.grad(total, (0, 1, 2))).lower(*arguments).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporaries(512) > 512 * 2000 * 4
    assert temporaries(32) < 0.2 * temporaries(512)
