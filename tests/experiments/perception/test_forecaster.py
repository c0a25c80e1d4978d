"""The forecaster: patches, what a prediction depends on, going on alone, in part as well."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.perception.forecaster import (
    Forecaster,
    free_run,
    partly_free_running,
    to_frames,
    to_patches,
)

MODELS = {
    "conv_lstm": Forecaster(lj.conv_lstm(3, image_size=(2, 3)), patch=4, spatial=True),
    "lstm": Forecaster(lj.lstm(6), patch=4, spatial=False),
}


def random_frames(*lead):
    return jnp.asarray(np.random.default_rng(4).random((*lead, 8, 12)), jnp.float32)


def strong(model):
    """Parameters large enough for predictions that differ."""
    params = jax.jit(model.init)(jax.random.PRNGKey(1), random_frames(1, 1))
    return jax.tree.map(lambda leaf: 3 * leaf, params)


def predict(model, params, truth):
    return jax.nn.sigmoid(jax.jit(model.apply)(params, truth)[1])


def test_patches_are_squares_of_a_frame_in_reading_order():
    cut = random_frames(2, 3)
    patches = to_patches(cut, 2)
    assert patches.shape == (2, 3, 4, 6, 4)
    for row, column in np.ndindex(4, 6):
        square = cut[..., 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(patches[..., row, column, :], square.reshape(2, 3, 4))
    np.testing.assert_array_equal(to_frames(patches), cut)


@pytest.mark.parametrize("name", MODELS)
def test_a_prediction_depends_on_all_frames_up_to_its_own_and_on_no_later_one(name):
    model, truth = MODELS[name], random_frames(5, 2)
    params = strong(model)
    changed = predict(model, params, truth.at[2].set(1 - truth[2])) != predict(model, params, truth)
    assert not changed[:2].any()
    assert changed[2:].any((-2, -1)).all()


def test_a_spatial_model_moves_with_what_it_sees():
    """Away from the walls; the plain LSTM has parameters for every place."""
    model = Forecaster(lj.conv_lstm(3, image_size=(1, 9)), patch=2, spatial=True)
    thing = np.zeros((2, 1, 2, 18), np.float32)
    thing[..., 6:8] = np.random.default_rng(0).random((2, 1, 2, 2))
    params = jax.jit(model.init)(jax.random.PRNGKey(1), thing)
    here, there = predict(model, params, thing), predict(model, params, np.roll(thing, 4, -1))
    np.testing.assert_allclose(there[..., 6:16], here[..., 2:12], atol=1e-6)
    assert np.ptp(here) > 0.01


@pytest.mark.parametrize("name", MODELS)
def test_going_on_reads_its_own_predictions(name):
    """Against reading everything anew for each further frame."""
    model, truth = MODELS[name], random_frames(3, 2)
    params = strong(model)
    found = free_run(model, params, truth, 3)
    for frame in found:
        np.testing.assert_allclose(frame, predict(model, params, truth)[-1], atol=1e-5)
        truth = jnp.concatenate([truth, frame[None]])
    assert np.ptp(found, axis=0).max() > 0.01


def test_a_share_of_the_videos_is_read_from_predictions():
    model, truth = MODELS["lstm"], random_frames(5, 40)
    params, key = strong(model), jax.random.PRNGKey(2)
    mix = jax.jit(lambda share: partly_free_running(model, params, truth, 3, share, key))
    own = free_run(model, params, truth[:3], 2)
    mixed = mix(0.3)
    np.testing.assert_array_equal(mixed[:3], truth[:3])
    alone = (mixed[3:] != truth[3:]).any((0, 2, 3))
    assert 5 < alone.sum() < 20
    np.testing.assert_allclose(mixed[3:, alone], own[:, alone], atol=1e-6)
    np.testing.assert_array_equal(mixed[3:, ~alone], truth[3:, ~alone])
    np.testing.assert_array_equal(mix(0.0), truth)
    np.testing.assert_allclose(mix(1.0)[3:], own, atol=1e-6)


def test_predictions_that_are_read_are_constants():
    model, truth = MODELS["lstm"], random_frames(4, 2)

    def mix(params):
        return partly_free_running(model, params, truth, 3, 1.0, jax.random.PRNGKey(0)).sum()

    for gradient in jax.tree.leaves(jax.jit(jax.grad(mix))(strong(model))):
        assert not gradient.any()
