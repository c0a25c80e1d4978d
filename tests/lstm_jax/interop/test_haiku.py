"""The same weights in Haiku."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop.haiku import from_haiku
from tests.cases import assert_close

hk = pytest.importorskip("haiku", reason="Haiku is not installed")

XS = np.random.default_rng(0).standard_normal((6, 3, 4))
CORES = {
    "lstm": lambda: hk.LSTM(5),
    "lstm of another name": lambda: hk.LSTM(5, name="memory"),
    "gru": lambda: hk.GRU(5),
    "rnn": lambda: hk.VanillaRNN(5),
    "rnn with one bias": lambda: hk.VanillaRNN(5, double_bias=False),
    "deep": lambda: hk.DeepRNN([hk.LSTM(5), hk.GRU(3), hk.VanillaRNN(2), hk.LSTM(3)]),
}

PATHS = {"deep": ["lstm", "gru", "vanilla_rnn", "lstm_1"]}


def transformed(make, extra=False):
    def run(xs):
        core = make()
        ys, state = hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))
        return (hk.Linear(2)(ys) if extra else ys), state

    return hk.without_apply_rng(hk.transform(run))


def random_variables(layer, seed):
    with jax.numpy_rank_promotion("allow"):
        shapes = jax.eval_shape(layer.init, jax.random.key(0), XS)
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda v: jnp.asarray(rng.standard_normal(v.shape)), shapes)


@pytest.mark.parametrize("name", CORES)
def test_values_and_gradients(name):
    """But for the 1 that is added to f's bias the conversion is linear.

    A VanillaRNN's two biases add up: each has the gradient of the sum.
    """
    layer, paths = transformed(CORES[name]), PATHS.get(name, ())
    variables = random_variables(layer, 1)
    with jax.numpy_rank_promotion("allow"):
        ys, _ = layer.apply(variables, XS)
        weight = np.random.default_rng(2).standard_normal(ys.shape)
        gradient = jax.grad(lambda v: jnp.vdot(weight, layer.apply(v, XS)[0]))(variables)
    network, params = from_haiku(variables, paths)
    assert_close(lj.unroll(network, params, XS)[1], ys, 1e-11)
    ours = jax.grad(lambda p: jnp.vdot(weight, lj.unroll(network, p, XS)[1]))(params)
    for module, own in gradient.items():
        if module.endswith("linear_1") and "b" in own:
            own["b"] = jnp.zeros_like(own["b"])
    zero = from_haiku(jax.tree.map(jnp.zeros_like, gradient), paths)[1]
    wanted = jax.tree.map(jnp.subtract, from_haiku(gradient, paths)[1], zero)
    assert_close(ours, wanted, 1e-9)


def test_the_forget_bias_of_run_time_is_stored():
    variables = random_variables(transformed(CORES["lstm"]), 3)
    bias = from_haiku(variables)[1].bias
    np.testing.assert_allclose(bias[5:10] - 1, variables["lstm/linear"]["b"][10:15], rtol=1e-12)


def test_several_cores_are_named_from_the_input_up():
    def two():
        return hk.DeepRNN([hk.GRU(5, name="encoder"), hk.GRU(3, name="decoder")])

    variables = random_variables(transformed(two, extra=True), 4)
    network, params = from_haiku(variables, ["decoder"])
    assert network.hidden_size == 3 and params.kernel.shape == (5, 9)
    assert from_haiku(variables, ["encoder", "decoder"])[0] == lj.stack(lj.gru(5), lj.gru(3))
    with pytest.raises(ValueError, match="paths are not given, and the cores are 'decoder', 'enc"):
        from_haiku(variables)
    with pytest.raises(ValueError, match=r"paths are \['linear'\], and the cores are 'decoder'"):
        from_haiku(variables, ["linear"])


def test_other_linear_layers_are_told_from_cores():
    variables = random_variables(transformed(CORES["lstm"]), 6)
    readout = {"linear": {"w": np.ones((5, 4)), "b": np.ones(4)}}
    assert from_haiku({**readout, **variables})[0] == lj.lstm(5)
    two = {"net/linear": {"w": np.ones((3, 7)), "b": np.ones(7)},
           "net/linear_1": {"w": np.ones((7, 2)), "b": np.ones(2)}}  # fmt: skip
    with pytest.raises(ValueError, match="the cores are none"):
        from_haiku(two)
    with pytest.raises(ValueError, match="the cores are none"):
        from_haiku({"mlp/linear": {"w": np.ones((2, 8)), "b": np.ones(8)}})
