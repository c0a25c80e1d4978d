"""Temperature, top-k and nucleus sampling: the distributions that they promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.language.decoding import draw, restrict

LOGITS = np.log([[0.05, 0.4, 0.25, 0.2, 0.1], [0.3, 0.1, 0.1, 0.3, 0.2]]).astype(np.float32)


def frequencies(logits, count=20_000, **options):
    keys = jax.random.split(jax.random.PRNGKey(7), count)
    drawn = jax.vmap(lambda key: draw(key, jnp.asarray(logits), **options))(keys)
    return np.mean(np.asarray(drawn)[..., None] == np.arange(logits.shape[-1]), axis=0)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 1}, [[1], [0]]),
        ({"top_k": 3}, [[1, 2, 3], [0, 3, 4]]),
        ({"top_k": 4}, [[1, 2, 3, 4], [0, 1, 3, 4]]),  # of two equals, the first
        ({"top_p": 0.3}, [[1], [0]]),
        ({"top_p": 0.7}, [[1, 2, 3], [0, 3, 4]]),
        ({"top_p": 0.62}, [[1, 2], [0, 3, 4]]),
        ({"top_p": 1.0}, [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]),
        ({"top_k": 3, "top_p": 0.72}, [[1, 2], [0, 3]]),  # 0.65 of the 0.85 left is 0.76
        ({}, [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]),
    ],
)
def test_restrict_keeps_the_likeliest(options, kept):
    restricted = np.asarray(restrict(jnp.asarray(LOGITS), **options))
    for row, logits, wanted in zip(restricted, LOGITS, kept, strict=True):
        assert np.flatnonzero(row > -np.inf).tolist() == wanted
        np.testing.assert_array_equal(row[wanted], logits[wanted])


def test_draws_follow_the_softmax_at_each_temperature():
    got = frequencies(LOGITS, temperature=jnp.array([0.5, 2.0]))
    for row, logits, temperature in zip(got, LOGITS, (0.5, 2.0), strict=True):
        weights = np.exp(logits / temperature)
        np.testing.assert_allclose(row, weights / weights.sum(), atol=0.015)


def test_draws_from_the_nucleus_are_renormalized():
    got = frequencies(LOGITS[0], top_p=0.62)
    np.testing.assert_allclose(got, [0, 0.4 / 0.65, 0.25 / 0.65, 0, 0], atol=0.015)


def test_temperature_flattens_before_the_nucleus_is_cut():
    kept = np.flatnonzero(frequencies(LOGITS[0], temperature=100.0, top_p=0.62)).tolist()
    assert kept == [1, 2, 3, 4]


def test_temperature_zero_takes_the_likeliest():
    np.testing.assert_array_equal(
        frequencies(LOGITS, count=50, temperature=jnp.array([0.0, 0.0])), np.eye(5)[[1, 0]]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k is 0, it must be between 1 and 5"),
        ({"top_k": 6}, "top_k is 6, it must be between 1 and 5"),
        ({"top_p": 0.0}, "top_p is 0.0, it must be above 0"),
        ({"top_p": 1.5}, "top_p is 1.5, it must be above 0 and at most 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw(jax.random.PRNGKey(0), jnp.asarray(LOGITS), **options)
