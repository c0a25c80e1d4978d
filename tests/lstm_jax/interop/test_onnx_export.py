"""`to_onnx` against ONNX Runtime and `lj.unroll`, and read back by `from_onnx`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop.onnx import from_onnx, to_onnx
from tests.cases import DEFAULTS, INPUTS, VARIANTS, random_like, random_params

onnx = pytest.importorskip("onnx", reason="writes models")
runtime = pytest.importorskip("onnxruntime", reason="runs what is written")
pytestmark = pytest.mark.usefixtures("single_precision")

pair = lj.bidirectional(lj.gru_reset_after(3), lj.gru_reset_after(3))
NETWORKS = {
    **{str(case): case.cell() for case in DEFAULTS + VARIANTS},
    "zoneout": lj.zoneout(lj.lstm(5), {"c": 0.3, "h": 0.1}),
    "drop_connect": lj.drop_connect(lj.gru(5), 0.3),
    "variational": lj.variational_dropout(lj.lstm(5), inputs=0.3, recurrent=0.2),
    "residual": lj.stack(lj.lstm(4), lj.gru(4), lj.rnn(5), residual=True),
    "deep pairs": lj.stack(pair, lj.bidirectional(lj.lstm(2), lj.lstm(3)), dropout=0.2),
    "mixed pair": lj.bidirectional(lj.stack(lj.lstm(3), lj.min_gru(4)), lj.min_lstm(6)),
}
NATIVE = {"rnn": "RNN", "lstm": "LSTM", "peephole_lstm": "LSTM", "coupled_lstm": "LSTM",
          "gru": "GRU", "gru_reset_after": "GRU"}


def run(model, feeds):
    session = runtime.InferenceSession(model.SerializeToString())
    return session.run(None, {k: np.asarray(v) for k, v in feeds.items()})


def inputs(network, steps, batch, seed=0):
    """Random xs, lengths and initial state; the padding of xs holds NaN."""
    rng = np.random.default_rng(seed)
    state = random_like(network.initial_state(batch), seed)
    state = jax.tree.map(lambda v: np.asarray(v, np.float32), state)
    low = state
    while not hasattr(low, "_fields"):
        low = low[0]
    xs = rng.standard_normal((steps, *low.h.shape[:-1], INPUTS)).astype(np.float32)
    lengths = np.array([steps, 0, *rng.integers(1, steps + 1, batch)], np.int32)[:batch]
    for row, length in enumerate(lengths):
        xs[length:, row] = np.nan
    return xs, lengths, state


def close(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6)


QUICK = {"lstm-cell_clip=0.4", "coupled_lstm-peepholes=diagonal", "gru-heads=2",
         "layer_norm_lstm-heads=2"}  # fmt: skip
SLOW = {*map(str, VARIANTS)} - QUICK
ALL = [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in NETWORKS]


@pytest.mark.parametrize("name", ALL)
def test_as_unroll_with_lengths_and_states(name):
    network = NETWORKS[name]
    params = random_params(network, 1)
    model = to_onnx(network, params, lengths=True, initial_state=True, time_major=False)
    for steps, batch in ((5, 3), (2, 1)):
        xs, lengths, state = inputs(network, steps, batch)
        end, ys = lj.unroll(network, params, xs, state, lengths=lengths)
        wanted = [ys.swapaxes(0, 1), *jax.tree.leaves(end)]
        names = [value.name for value in model.graph.input]
        feeds = dict(zip(names, [xs.swapaxes(0, 1), lengths, *jax.tree.leaves(state)], strict=True))
        close(run(model, feeds), wanted)
    close(jax.jit(from_onnx(model))(**feeds), wanted)


@pytest.mark.parametrize("name", ["lstm", "layer_norm_lstm", "residual"])
def test_plain_and_fixed_sizes(name):
    network = NETWORKS[name]
    params = random_params(network, 1)
    xs = inputs(network, 4, 1)[0]
    end, ys = lj.unroll(network, params, xs)
    for sizes in ({}, {"batch_size": 1, "steps": 4}):
        model = to_onnx(network, params, **sizes, opset=22)
        close(run(model, {"xs": xs}), [ys, *jax.tree.leaves(end)])
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == [4, 1, INPUTS]


@pytest.mark.parametrize("name", NATIVE)
def test_native_operators_come_back_as_the_same_network(name):
    cell = lj.CELLS[name](4)
    params = jax.tree.map(np.float32, random_params(cell, 2))
    model = to_onnx(cell, params, lengths=True)
    operators = [node.op_type for node in model.graph.node]
    assert NATIVE[name] in operators and "Scan" not in operators and len(operators) < 9
    network, again = from_onnx(model).networks[name]
    assert network.recipe.constructor == name.replace("peephole_", "")
    jax.tree.map(np.testing.assert_array_equal, tuple(again), tuple(params))


class OwnParams(NamedTuple):
    kernel: jax.Array
    mixing: jax.Array


def own_cell(equation):
    """A cell of a user's, and its parameters."""

    def equations(params, state, x, affine):
        return lj.RNNState(equation(affine(x, state.h, params.mixing), state.h)), {}

    def init(key, input_size):
        return OwnParams(jnp.ones((input_size, 4)), jnp.ones((4, 4)))

    def fresh(batch):
        return lj.RNNState(jnp.full((batch, 4), 0.3, jnp.float32))

    cell = lj.Cell("own", 4, init, fresh, equations)
    return cell, random_params(cell, 3)


OWN = {
    "exponentials": lambda z, h: jnp.log1p(jnp.exp(z)) - jnp.expm1(-jnp.abs(h)) / 2,
    "softmax": lambda z, h: jax.nn.softmax(z) - jnp.cumsum(h, axis=-1) / 9,
    "einsum": lambda z, h: jnp.tanh(jnp.einsum("bi,bj->bj", z, h)),
    "selects": lambda z, h: jnp.where(z > 0, jnp.clip(z, -0.5, 0.5), jnp.flip(h, axis=-1) ** 3),
    "batch": lambda z, h: jnp.tanh(z) - z.mean(axis=0, keepdims=True),
    "gaussian": lambda z, h: jax.lax.erf(z) + jnp.exp2(-jnp.square(h)) * jax.nn.sigmoid(h),
}


@pytest.mark.parametrize("name", OWN)
def test_a_cell_of_your_own(name):
    cell, params = own_cell(OWN[name])
    model = to_onnx(cell, params)
    xs = inputs(cell, 5, 1)[0].repeat(3, axis=1) * np.array([1, -0.5, 2], np.float32)[:, None]
    end, ys = lj.unroll(cell, params, xs, method="scan")
    close(run(model, {"xs": xs}), [ys, end.h])
    close(from_onnx(model)(xs), [ys, end.h])


def test_gradients_of_the_weights_read_back():
    cell = lj.layer_norm_lstm(4)
    params = jax.tree.map(jnp.float32, random_params(cell, 2))
    xs = inputs(cell, 4, 1)[0]
    model = from_onnx(to_onnx(cell, params))

    def theirs(weights):
        return jnp.sum(model(xs, **weights)[0] ** 2)

    def ours(params):
        return jnp.sum(lj.unroll(cell, params, xs)[1] ** 2)

    got = jax.jit(jax.grad(theirs))(model.weights)
    wanted = jax.grad(ours)(params)
    for field in ("kernel", "recurrent_kernel"):
        close([got[f"layer_norm_lstm_{field}"]], [getattr(wanted, field)])


def test_errors():
    cell = lj.lstm(4)
    params = random_params(cell, 0)
    with pytest.raises(ValueError, match="primitive 'sort', which to_onnx cannot"):
        to_onnx(*own_cell(lambda z, h: jnp.sort(z)))
    with pytest.raises(TypeError, match="network is a str; give a cell"):
        to_onnx("lstm", params)
    with pytest.raises(ValueError, match=r"params.kernel has shape \(4, 16\); lstm takes"):
        to_onnx(lj.lstm(5), params)
    with pytest.raises(ValueError, match="params have structure"):
        to_onnx(lj.gru(4), params)
    with pytest.raises(ValueError, match="steps is 0; give a positive integer"):
        to_onnx(cell, params, steps=0)
    with pytest.raises(ValueError, match="opset is 9; give 18 to"):
        to_onnx(cell, params, opset=9)
