"""Kernels in int8: near the exact ones, equal to what rounding by hand gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop.quantization import Int8Kernel, quantize, quantize_dict
from lstm_jax.linen import Recurrent
from lstm_jax.trees import to_dict
from tests.cases import CASES, INPUTS, assert_close, random_params

MATRICES = [case for case in CASES if case.name != "conv_lstm"]
XS = np.random.default_rng(0).standard_normal((6, 3, INPUTS))
LENGTHS = np.array([6, 0, 4])


def rounded(v, axis):
    """The values that int8 keeps of v, by a plain loop over what shares a scale."""
    moved = np.moveaxis(np.array(v, np.float64), axis, 0)
    flat = moved.reshape(len(moved), -1)
    for column in range(flat.shape[1]):
        step = np.abs(flat[:, column]).max() / 127 or 1.0
        flat[:, column] = np.round(flat[:, column] / step) * step
    return np.moveaxis(flat.reshape(moved.shape), 0, axis)


def plainly(params):
    """Parameters with each kernel replaced by what int8 keeps of it."""
    matrices = ("kernel", "recurrent_kernel", "gate_recurrent_kernel", "projection")
    return params._replace(**{name: rounded(getattr(params, name), -2)
                              for name in matrices if hasattr(params, name)})  # fmt: skip


@pytest.mark.parametrize("case", MATRICES, ids=str)
def test_weights_are_those_rounded_by_hand(case):
    cell = case.cell()
    params = random_params(cell, 1)
    got = lj.unroll(cell, quantize(cell, params), XS, lengths=LENGTHS)
    assert_close(got, lj.unroll(cell, plainly(params), XS, lengths=LENGTHS), 1e-9)
    exact = lj.unroll(cell, params, XS, lengths=LENGTHS)[1]
    assert 1e-6 < np.abs(got[1] - exact).max() < 0.1 * max(1.0, np.abs(exact).max())


def test_dynamic_rounds_operands_too():
    kernel = np.random.default_rng(1).standard_normal((INPUTS, 7))
    got = XS @ quantize(lj.rnn(7), random_params(lj.rnn(7), 2)._replace(kernel=kernel),
                        "dynamic").kernel  # fmt: skip
    np.testing.assert_allclose(got, rounded(XS, -1) @ rounded(kernel, 0), rtol=1e-9)


@pytest.mark.parametrize("case", MATRICES, ids=str)
def test_dynamic_is_near_and_whole_and_stepwise_agree(case):
    cell = case.cell()
    params = random_params(cell, 3)
    small = quantize(cell, params, "dynamic")
    got = lj.unroll(cell, small, XS, method="scan")[1]
    exact = lj.unroll(cell, params, XS)[1]
    assert 1e-6 < np.abs(got - exact).max() < 0.1 * max(1.0, np.abs(exact).max())
    np.testing.assert_allclose(lj.unroll(cell, small, XS, method="fused")[1], got, atol=1e-9)
    stream = lj.stream(cell, small)
    state = stream.initial_state(3)
    for x, y in zip(XS, got, strict=True):
        state, own = stream.step(state, x)
        np.testing.assert_allclose(own, y, atol=1e-9)


def test_a_column_of_zeros_stays_zero():
    params = random_params(lj.lstm(2), 4)
    params = params._replace(kernel=params.kernel * (np.arange(8) != 5))
    kernel = quantize(lj.lstm(2), params).kernel
    assert not kernel.values[:, 5].any() and np.isfinite(kernel.dequantized()).all()
    assert kernel.values.dtype == jnp.int8 and abs(kernel.values).max() == 127


def test_flax_layers_take_quantized_variables():
    layer = Recurrent(lj.stack(lj.gru(4), lj.lstm(3)))
    params = random_params(layer.cell, 5)
    tree = quantize_dict(to_dict(layer.cell, params), "dynamic")
    got = layer.apply({"params": {"network": tree}}, np.swapaxes(XS, 0, 1))[1]
    wanted = lj.unroll(layer.cell, quantize(layer.cell, params, "dynamic"), XS)[1]
    np.testing.assert_array_equal(np.swapaxes(got, 0, 1), wanted)


def test_members_of_a_population_are_rounded_each_on_its_own():
    cell = lj.lstm(3)
    members = [random_params(cell, seed) for seed in (6, 7)]
    many = jax.vmap(lambda p: quantize(cell, p))(jax.tree.map(lambda *v: jnp.stack(v), *members))
    got = jax.vmap(lambda p: lj.unroll(cell, p, XS)[1])(many)
    for member, own in zip(members, got, strict=True):
        np.testing.assert_allclose(own, lj.unroll(cell, quantize(cell, member), XS)[1], atol=1e-12)


def test_what_cannot_be_quantized_is_refused():
    with pytest.raises(ValueError, match="mode is 'int4'; give 'weights' or 'dynamic'"):
        quantize(lj.lstm(3), random_params(lj.lstm(3), 8), "int4")
    frames = lj.conv_lstm(2, image_size=(3, 3))
    with pytest.raises(ValueError, match=r"shape \[3, 3, 4, 8\]; only matrices"):
        quantize(frames, random_params(frames, 9))


def test_columns_and_shape_are_those_of_what_it_stands_for():
    kernel = quantize(lj.gru(3), random_params(lj.gru(3), 10)).recurrent_kernel
    assert isinstance(kernel, Int8Kernel) and kernel.shape == (3, 9) and kernel.ndim == 2
    np.testing.assert_array_equal(kernel[:, 2:7].dequantized(), kernel.dequantized()[:, 2:7])
