"""What initial weights do to the gradient, and what over-fitting is."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import analysis
from tests.cases import assert_close


def make(bias):
    return lj.lstm(4, forget_bias=bias)


def test_initialization_is_the_flow_of_each_setting():
    xs = np.random.default_rng(0).standard_normal((5, 2, 3))
    key, scales, biases = jax.random.key(3), (0.1, 2.0), (0.0, 3.0)
    found = analysis.initialization_flow(make, xs, scales, biases, key)
    assert found.shape == (2, 2, 5, 2)
    for i, scale in enumerate(scales):
        for j, bias in enumerate(biases):
            params = make(bias).init(key, 3)
            params = params._replace(
                kernel=scale * params.kernel, recurrent_kernel=scale * params.recurrent_kernel
            )
            wanted = analysis.gradient_flow(make(bias), params, xs)["lstm"]["state"]
            assert_close(found[i, j], wanted)


def test_overfitting_is_told_by_the_best_step():
    curves = analysis.Curves([10, 20, 30, 40], [3.0, 2.0, 1.0, 0.5], [3.5, 2.5, 2.25, 3.0])
    found = analysis.overfitting(curves)
    assert found.gap.tolist() == [0.5, 0.5, 1.25, 2.5]
    assert (found.best, found.rise) == (2, 0.75)


def test_curves_are_equally_long():
    with pytest.raises(ValueError, match="2 steps, 1 training and 2 validation losses"):
        analysis.overfitting(analysis.Curves([1, 2], [1.0], [1.0, 2.0]))
