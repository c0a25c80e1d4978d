"""What is computed in which precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.cells.functions import layer_norm
from tests.cases import DEFAULTS, FEW, METHODS, Case, problem, unroll


def dtypes(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}


def initial(cell):
    """The shapes and types of a cell's parameters."""
    return jax.eval_shape(lambda: cell.init(jax.random.key(0), 4))


def inputs(cell):
    return np.ones((6, *cell.initial_state(3).h.shape[:-1], 4))


def single(p):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), (p.params, p.xs))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_default_is_float64_with_x64(case, method):
    cell = case.cell(dtype=None)
    params = initial(cell)
    result = jax.eval_shape(
        partial(lj.unroll, cell, method=method), params, inputs(cell)
    )
    assert dtypes(params) == dtypes(cell.initial_state(2)) == dtypes(result) == {"float64"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_default_is_float32_without(case, method, single_precision):
    cell = case.cell()
    params = initial(cell)
    result = jax.eval_shape(
        partial(lj.unroll, cell, method=method), params, inputs(cell)
    )
    assert dtypes(params) == dtypes(cell.initial_state(2)) == dtypes(result) == {"float32"}


@pytest.mark.parametrize(
    ("case", "method"),
    [(case, "fused") for case in DEFAULTS] + [(case, "scan") for case in FEW],
    ids=str,
)
def test_bfloat16_is_near_and_carries_c_in_float32(case, method, single_precision):
    p = problem(case.cell())
    params, xs = single(p)
    half = case.cell(dtype=jnp.bfloat16)
    assert dtypes(initial(half)) == {"float32"}

    def loss(params, cell):
        state, ys = lj.unroll(cell, params, xs, lengths=p.lengths, method=method)
        return jnp.mean(jnp.square(ys.astype(jnp.float32))), (state, ys)

    differentiate = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)
    gradient, (state, ys) = differentiate(params, half)
    wanted_gradient, (wanted_state, wanted) = differentiate(params, p.cell)
    assert str(ys.dtype) == "bfloat16" and dtypes(gradient) == {"float32"}
    if "c" in state._fields:
        assert str(state.c.dtype) == "float32"
        assert near(state.c, wanted_state.c)
    assert near(ys, wanted)
    assert float(np.abs(np.asarray(ys, np.float32) - wanted).max()) > 0  # really rounded
    for got, exact in zip(jax.tree.leaves(gradient), jax.tree.leaves(wanted_gradient), strict=True):
        assert near(got, exact, 0.08)


def near(got, wanted, tolerance=0.04):
    got, wanted = np.asarray(got, np.float32), np.asarray(wanted, np.float32)
    return np.abs(got - wanted).max() <= tolerance * max(1e-2, np.abs(wanted).max())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_layer_norm_rounds_no_more_than_its_result(dtype):
    """A small variance around a large mean; moments in half precision would be off by a fifth."""
    rng = np.random.default_rng(0)
    v = jnp.asarray(4 + 0.05 * rng.standard_normal((5, 40)), dtype)
    exact = np.asarray(v, np.float64)
    centered = exact - exact.mean(-1, keepdims=True)
    wanted = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5)
    found = layer_norm(v, jnp.ones(40, dtype), jnp.zeros(40, dtype))
    assert str(found.dtype) == dtype
    np.testing.assert_allclose(np.asarray(found, np.float64), wanted, rtol=jnp.finfo(dtype).eps)


@pytest.mark.parametrize("method", METHODS)
def test_the_cell_state_adds_up_in_float32(method, single_precision):
    """A thousand small increments to c survive, which in bfloat16 stop at 256 times their size."""
    cell = lj.no_forget_lstm(1, dtype=jnp.bfloat16)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape), initial(cell))
    open_gate = params._replace(bias=np.array([20.0, 0.125, 20.0]))
    state, _ = unroll(cell, open_gate, np.zeros((1000, 1, 4)), method=method)
    assert abs(float(state.c[0, 0]) - 1000 * np.tanh(0.125)) < 0.02 * 124


@pytest.mark.parametrize("case", [Case("lstm"), Case("gru")], ids=str)
def test_param_dtype(case):
    params = initial(case.cell(param_dtype=jnp.float32))
    assert dtypes(params) == {"float32"}
    gradient = jax.grad(lambda params: lj.unroll(case.cell(), params, np.ones((2, 1, 4)))[1].sum())
    assert dtypes(jax.eval_shape(gradient, params)) == {"float32"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", [*FEW, Case("min_lstm", {"log_space": True})], ids=str)
def test_large_inputs_saturate_and_stay_finite(case, method, single_precision):
    p = problem(case.cell())
    params, xs = single(p)

    @jax.jit
    @jax.value_and_grad
    def run(params):
        return lj.unroll(p.cell, params, 1e4 * xs, method=method)[1].mean()

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run(params)))
