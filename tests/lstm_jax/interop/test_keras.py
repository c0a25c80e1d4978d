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

    layer.return_state = True
    rest = [v.value for v in layer.non_trainable_variables]

    def theirs(variables, xs):
        (ys, *states), _ = layer.stateless_call(variables, rest, xs, mask=MASK)
        return jnp.vdot(weight, ys), (ys, states)

    variables = [v.value for v in layer.trainable_variables]
    (gradient, to_xs), (ys, states) = jax.jit(jax.grad(theirs, (0, 1), has_aux=True))(variables, XS)
    network, params = from_keras(layer)

    def ours(p, xs):
        state, ys = lj.unroll(network, p, xs, mask=swap(MASK))
        return jnp.vdot(swap(weight), ys), (ys, list(state))

    found = jax.jit(jax.grad(ours, (0, 1), has_aux=True))(params, MAJOR)
    (own, our_to_xs), (our_ys, our_states) = found
    assert_close(our_ys, swap(np.where(MASK[..., None], ys, 0)), TOLERANCE)
    assert_close(our_states, states, TOLERANCE)
    assert_close(np.asarray(our_to_xs), swap(to_xs), TOLERANCE)
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
        lj.bidirectional(lj.gru(4), lj.gru(4)), lj.drop_connect(lj.lstm(3), 0.5), lj.rnn(2),
        lj.gru(6, heads=2),
    )
    params = random_params(deep, 4)
    model = to_keras(deep, params)
    for mask, gaps in ((None, None), (MASK, swap(MASK))):
        wanted = lj.unroll(deep, params, MAJOR, mask=gaps)[1]
        assert_close(swap(model(XS, mask=mask)), wanted, TOLERANCE)


def functional(join):
    """A functional model of two layers, whose second reads what `join` makes of both its inputs."""
    xs = keras.Input((T, D))
    ys = keras.layers.LSTM(D, **SEQUENCES)(xs)
    return keras.Model(xs, keras.layers.GRU(3, **SEQUENCES)(join(xs, ys)))


def test_functional_models():
    xs = keras.Input((T, D))
    ys, *_ = keras.layers.LSTM(H, return_state=True, **SEQUENCES)(keras.layers.Masking()(xs))
    ys = keras.layers.GRU(3, **SEQUENCES)(keras.layers.Dropout(0.5)(ys))
    model, padded = keras.Model(xs, ys), XS * MASK[..., None]
    got = lj.unroll(*from_keras(model), swap(padded), mask=swap(MASK))[1]
    assert_close(swap(model(padded) * MASK[..., None]), got, TOLERANCE)


def test_half_precision():
    layer = built(keras.layers.LSTM(H, dtype="mixed_bfloat16", **SEQUENCES))
    network, params = from_keras(layer)
    ys = lj.unroll(network, params, MAJOR)[1]
    assert (ys.dtype, params.kernel.dtype) == (jnp.bfloat16, jnp.float32)
    assert_close(ys.astype(float), swap(layer(XS)).astype(float), 0.1)


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
        (lambda: functional(lambda xs, ys: keras.layers.Add()([xs, ys])),
         "is not a chain: add.* does not read the output of lstm"),
        (lambda: functional(lambda xs, ys: 2 * ys), "is not a chain: gru.* does not read"),
        (lambda: functional(lambda xs, ys: keras.layers.Masking()(ys)),
         "Masking layer above a recurrent one"),
        (lambda: built(keras.layers.SimpleRNN(H, activation=keras.layers.LeakyReLU())),
         "activation='LeakyReLU'; SimpleRNN is tanh or relu here"),
    ],
)  # fmt: skip
def test_what_no_cell_here_does_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        from_keras(make())


def test_other_layers_are_refused():
    with pytest.raises(TypeError, match="is a Dense; a network here has SimpleRNN, LSTM, GRU and"):
        from_keras(built(keras.layers.Dense(3)))
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.lstm = keras.layers.LSTM(3)

    with pytest.raises(TypeError, match="is a model with a call of its own"):
        from_keras(Own())
    with pytest.raises(TypeError, match="has no recurrent layers"):
        from_keras(keras.Sequential([keras.Input((T, D))]))


def test_what_keras_cannot_say_is_refused():
    cell = lj.coupled_lstm(3)
    with pytest.raises(ValueError, match="Keras has no coupled_lstm; it can express rnn, lstm"):
        to_keras(cell, random_params(cell, 5))
    pair = lj.bidirectional(lj.lstm(3), lj.gru(3))
    with pytest.raises(ValueError, match="Keras has pairs of layers that are alike"):
        to_keras(pair, random_params(pair, 5))
