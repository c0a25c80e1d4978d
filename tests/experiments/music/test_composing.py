"""Composing: the model read step by step, notes drawn by their odds, openings kept."""

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.music.composing import compose
from experiments.music.model import MusicModel

NOTES = 8
MODEL = MusicModel(lj.lstm(8), (0.0,) * NOTES)


def parameters(scale):
    params = MODEL.init(jax.random.PRNGKey(5), jnp.zeros((1, 1, NOTES)))
    return jax.tree.map(lambda p: scale * p, params)


def test_composing_is_the_model_read_step_by_step():
    """At a temperature near zero a note sounds exactly if its logit is positive."""
    params = parameters(4)
    for frames in (1, 4):
        opening = np.random.default_rng(frames).random((frames, NOTES)) < 0.5
        roll = np.asarray(compose(MODEL, params, jax.random.PRNGKey(0), opening, 10, 1e-6))
        np.testing.assert_array_equal(roll[:frames], opening)
        logits = MODEL.apply(params, roll[:, None])[1][:, 0]
        np.testing.assert_array_equal(roll[frames:], logits[frames - 1 : -1] > 0)
        assert 0 < roll[frames:].mean() < 1


def test_composing_draws_every_note_by_its_rate():
    params = parameters(0)
    bias = np.linspace(-2, 2, NOTES)
    params["params"]["Dense_0"]["bias"] = jnp.asarray(bias, jnp.float32)
    key, opening = jax.random.PRNGKey(1), np.zeros((1, NOTES))
    for temperature in (1.0, 2.0):
        roll = np.asarray(compose(MODEL, params, key, opening, 8001, temperature))
        rates = 1 / (1 + np.exp(-bias / temperature))
        np.testing.assert_allclose(roll[1:].mean(axis=0), rates, atol=0.03)


def test_an_opening_as_long_as_the_piece_is_the_piece():
    opening = np.random.default_rng(0).random((7, NOTES)) < 0.5
    roll = compose(MODEL, parameters(1), jax.random.PRNGKey(1), opening, 7, 1.0)
    np.testing.assert_array_equal(roll, opening)
