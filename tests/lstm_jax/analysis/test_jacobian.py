"""Jacobians of a step against finite differences of the NumPy equations; what is made of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import analysis
from tests import oracle
from tests.cases import FEW, assert_close, fields
from tests.lstm_jax.analysis.conftest import problem_of, taken_apart


class Matrix(NamedTuple):
    kernel: jax.Array
    recurrent_kernel: jax.Array


def linear(matrix):
    """h' = x + Mh, whose exponents are known."""
    size = len(matrix)

    def equations(params, state, x, affine):
        return lj.RNNState(affine(x, state.h, params.recurrent_kernel)), {}

    def init(key, input_size):
        return Matrix(jnp.ones((input_size, size)), jnp.asarray(matrix))

    return lj.Cell("linear", size, init, lambda b: lj.RNNState(jnp.zeros((b, size))), equations)


def flat(state):
    return np.concatenate([np.ravel(value) for value in state.values()])


@pytest.mark.parametrize("case", FEW, ids=str)
def test_equal_finite_differences_of_the_numpy_equations(case):
    p = problem_of(case.cell())
    (layer,) = analysis.layers(p.cell, p.params, p.xs, p.state)
    found = analysis.jacobians(layer, every=3)
    before, row, step = layer.states_before(), 1, 1e-6
    assert found.shape[:2] == (3, 3)
    for index, time in enumerate((0, 3, 6)):
        state = {k: np.asarray(v[time, row]) for k, v in before._asdict().items()}
        sizes = np.cumsum([len(v) for v in state.values()])[:-1]

        def after(vector, time=time, state=state, sizes=sizes):
            parts = dict(zip(state, np.split(vector, sizes), strict=True))
            new, _ = oracle.step(
                case.name, fields(p.params), parts, p.xs[time, row], case.options
            )
            return flat({name: new[name] for name in state})

        start = flat(state)
        columns = [
            (after(start + step * e) - after(start - step * e)) / (2 * step)
            for e in np.eye(len(start))
        ]
        np.testing.assert_allclose(found[index, row], np.array(columns).T, atol=1e-8)


def test_spectrum_of_matrices():
    matrices = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    found = analysis.spectrum(matrices)
    for index in np.ndindex(2, 3):
        wanted = np.linalg.eigvals(matrices[index])
        np.testing.assert_allclose(
            np.sort_complex(found.eigenvalues[index]), np.sort_complex(wanted), atol=1e-12
        )
        np.testing.assert_allclose(
            found.singular_values[index], np.linalg.svd(matrices[index])[1], atol=1e-12
        )


def test_lyapunov_exponents_of_a_linear_network():
    """Logarithms of the eigenvalues' sizes, here of a symmetric matrix."""
    sizes = np.array([1.1, 0.9, 0.5])
    basis, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    cell = linear(basis @ np.diag(sizes) @ basis.T)
    params, xs = cell.init(None, 2), np.random.default_rng(2).standard_normal((400, 2, 2))
    (layer,) = analysis.layers(cell, params, xs)
    found = analysis.lyapunov_exponents(layer, 3)
    np.testing.assert_allclose(found, np.log(sizes) * np.ones((2, 1)), atol=5e-3)
    assert_close(analysis.lyapunov_exponents(layer, 1), found[:, :1], 2e-2)


def test_the_first_exponent_is_the_growth_of_the_product():
    (layer,) = taken_apart(lj.lstm(5))
    start, logs = jax.random.normal(jax.random.key(0), (10, 1), layer.xs.dtype), []
    product = np.asarray(start / jnp.linalg.norm(start))
    for jacobian in np.asarray(analysis.jacobians(layer))[:, 0]:
        product = jacobian @ product
        logs.append(np.log(np.linalg.norm(product)))
        product = product / np.linalg.norm(product)
    assert_close(analysis.lyapunov_exponents(layer, 1)[0], np.array([np.mean(logs)]), 1e-10)


def test_what_cannot_be_computed_is_refused(layer):
    with pytest.raises(ValueError, match="count is 11; give 1 to 10"):
        analysis.lyapunov_exponents(layer, 11)
    with pytest.raises(ValueError, match="some sequences have padding"):
        analysis.lyapunov_exponents(layer, 1)


def test_half_precision_is_computed_in_single(single_precision):
    (layer,) = taken_apart(lj.gru(5, dtype=jnp.bfloat16))
    jacobians = analysis.jacobians(layer)
    found = analysis.spectrum(jacobians.astype(jnp.bfloat16))
    wanted = np.linalg.svd(np.asarray(jacobians))[1]
    np.testing.assert_allclose(found.singular_values, wanted, atol=2e-2)
    assert np.isfinite(analysis.lyapunov_exponents(layer, 2)).all()


class Counted(NamedTuple):
    h: jax.Array
    steps: jax.Array


def test_a_state_that_has_no_gradient_is_refused():
    base = linear(np.eye(2))

    def equations(params, state, x, affine):
        new, _ = base.equations(params, lj.RNNState(state.h), x, affine)
        return Counted(new.h, state.steps + 1), {}

    def fresh(batch):
        return Counted(jnp.zeros((batch, 2)), jnp.zeros((batch, 1), int))

    cell = lj.Cell("counting", 2, base.init, fresh, equations)
    params, xs = cell.init(None, 2), np.ones((3, 2, 2))
    (layer,) = analysis.layers(cell, params, xs)
    for refused in (
        lambda: analysis.gradient_flow(cell, params, xs),
        lambda: analysis.jacobians(layer),
        lambda: analysis.lyapunov_exponents(layer, 1),
    ):
        with pytest.raises(TypeError, match="state of counting has a field 'steps' of int"):
            refused()
