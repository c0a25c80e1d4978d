"""The same weights in Keras: values, masks and gradients, there and back."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import assert_close, random_params

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras", reason="Keras is not installed")
if keras.backend.backend() != "jax":
    pytest.skip("Keras was imported before with another backend", allow_module_level=True)

from lstm_jax.interop.keras import from_keras, to_keras  # noqa: E402

B, T, D, H = 3, 6, 4, 5
TOLERANCE = 3e-6  # Keras computes in float32
XS = np.random.default_rng(0).standard_normal((B, T, D)).astype(np.float32)
MAJOR = np.swapaxes(XS, 0, 1)
MASK = np.arange(T) < np.array([6, 2, 4])[:, None]
SEQUENCES = {"return_sequences": True}
LAYERS = {
    "rnn": lambda: keras.layers.SimpleRNN(H, **SEQUENCES),
    "relu": lambda: keras.layers.SimpleRNN(H, activation="relu", **SEQUENCES),
    "lstm": lambda: keras.layers.LSTM(H, **SEQUENCES),
    "no bias": lambda: keras.layers.LSTM(H, use_bias=False, **SEQUENCES),
    "gru, reset after": lambda: keras.layers.GRU(H, **SEQUENCES),
    "gru, reset before": lambda: keras.layers.GRU(H, reset_after=False, **SEQUENCES),
    "gru, no bias": lambda: keras.layers.GRU(H, use_bias=False, **SEQUENCES),
}


@pytest.fixture(autouse=True)
def single_precision_and_lenient():
    """Keras computes in float32, and its layers promote ranks."""
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", False)
    with jax.numpy_rank_promotion("allow"):
        yield
    jax.config.update("jax_enable_x64", before)


def built(layer, seed=1):
    layer.build((B, T, D))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.standard_normal(w.shape) for w in layer.get_weights()])
    return layer


def swap(ys):
    return np.swapaxes(np.asarray(ys), 0, 1)


@pytest.mark.parametrize("name", LAYERS)
def test_values_masks_and_gradients(name):
    """The conversion is linear: Keras's gradients, converted, are ours."""
    layer = built(LAYERS[name]())
    weight = np.random.default_rng(2).standard_normal((B, T, H)) * MASK[..., None]

    def theirs(variables):
        ys = layer.stateless_call(variables, [v.value for v in layer.non_trainable_variables],
                                  XS, mask=MASK)[0]  # fmt: skip
        return jnp.vdot(weight, ys), ys

    variables = [v.value for v in layer.trainable_variables]
    gradient, ys = jax.jit(jax.grad(theirs, has_aux=True))(variables)
    network, params = from_keras(layer)

    def ours(p):
        ys = lj.unroll(network, p, MAJOR, mask=swap(MASK))[1]
        return jnp.vdot(swap(weight), ys), ys

    own, our_ys = jax.jit(jax.grad(ours, has_aux=True))(params)
    assert_close(our_ys, swap(np.where(MASK[..., None], ys, 0)), TOLERANCE)
    layer.set_weights([np.asarray(without_the_sum(name, g)) for g in gradient])
    assert_close(own, from_keras(layer)[1], TOLERANCE)


def without_the_sum(name, gradient):
    """Zero for what a GRU's second bias shares with its first: all but the part of n."""
    if gradient.shape != (2, 3 * H):
        return gradient
    return gradient.at[1, : 2 * H].set(0)


@pytest.mark.parametrize("name", LAYERS)
def test_there_and_back(name):
    network, params = from_keras(built(LAYERS[name]()))
    model = to_keras(network, params)
    assert_close(swap(model(XS)), lj.unroll(network, params, MAJOR)[1], TOLERANCE)
    assert_close(from_keras(model)[1], params, 0)


def test_backwards_bidirectional_stacked_and_the_last_output():
    back = built(keras.layers.GRU(H, go_backwards=True, **SEQUENCES))
    network, params = from_keras(back)
    got = lj.unroll(network, params, MAJOR, reverse=True)[1]
    assert_close(got[::-1], swap(back(XS)), TOLERANCE)
    model = keras.Sequential([
        keras.Input((T, D)),
        keras.layers.Masking(0.0),
        keras.layers.Bidirectional(keras.layers.LSTM(H, **SEQUENCES)),
        keras.layers.Dropout(0.5),
        keras.layers.GRU(3),
    ])  # fmt: skip
    rng = np.random.default_rng(3)
    model.set_weights([0.5 * rng.standard_normal(w.shape) for w in model.get_weights()])
    network, params = from_keras(model)
    padded = XS * MASK[..., None]
    state, _ = lj.unroll(network, params, swap(padded), mask=swap(MASK))
    assert_close(state[1].h, np.asarray(model(padded)), TOLERANCE)


def test_deep_networks_to_keras():
    deep = lj.stack(
        lj.bidirectional(lj.gru(4), lj.gru(4)), lj.drop_connect(lj.lstm(3), 0.5), lj.rnn(2)
    )
    params = random_params(deep, 4)
    assert_close(swap(to_keras(deep, params)(XS)), lj.unroll(deep, params, MAJOR)[1], TOLERANCE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.layers.LSTM(H), "is not built; call it on inputs"),
        (lambda: built(keras.layers.LSTM(H, activation="relu")), "activation='relu'; LSTM is tanh"),
        (lambda: built(keras.layers.GRU(H, recurrent_activation="hard_sigmoid")),
         "recurrent_activation='hard_sigmoid'; it is sigmoid here"),
        (lambda: built(keras.layers.Bidirectional(keras.layers.LSTM(H), merge_mode="sum")),
         "merge_mode='sum'; a bidirectional network here has 'concat'"),
        (lambda: keras.Sequential([keras.Input((T, D)), keras.layers.LSTM(3, return_sequences=True),
                                   keras.layers.LSTM(3, go_backwards=True)]),
         "go_backwards=True among other layers"),
    ],
)  # fmt: skip
def test_what_no_cell_here_does_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        from_keras(make())


def test_other_layers_are_refused():
    with pytest.raises(TypeError, match="is a Dense; a network here has SimpleRNN, LSTM, GRU and"):
        from_keras(built(keras.layers.Dense(3)))
    with pytest.raises(TypeError, match="has no recurrent layers"):
        from_keras(keras.Sequential([keras.Input((T, D))]))


def test_what_keras_cannot_say_is_refused():
    cell = lj.coupled_lstm(3)
    with pytest.raises(ValueError, match="Keras has no coupled_lstm; it can express rnn, lstm"):
        to_keras(cell, random_params(cell, 5))
    pair = lj.bidirectional(lj.lstm(3), lj.gru(3))
    with pytest.raises(ValueError, match="Keras has pairs of layers that are alike"):
        to_keras(pair, random_params(pair, 5))
