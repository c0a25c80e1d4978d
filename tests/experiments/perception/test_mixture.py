"""Mixtures: their density against SciPy's, its integral, its gradients; samples' moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal

from experiments.perception import mixture
from experiments.perception.mixture import ARTANH, LOG_SCALE, negative_log_likelihood, split


def random_outputs(seed, *shape, components=3):
    return np.random.default_rng(seed).normal(size=(*shape, mixture.size(components)))


def parameters(outputs):
    """(weight, mean, covariance) of each component, and the rate of ends, in float64."""
    m = (len(outputs) - 1) // 6
    weights = np.exp(outputs[:m] - logsumexp(outputs[:m]))
    found = []
    for j, weight in enumerate(weights):
        mean, scales = outputs[m + 2 * j :][:2], np.exp(outputs[3 * m + 2 * j :][:2])
        r = np.tanh(outputs[5 * m + j])
        found.append((weight, mean, np.outer(scales, scales) * np.array([[1, r], [r, 1]])))
    return found, expit(outputs[6 * m])


def by_scipy(outputs, target):
    components, ends = parameters(outputs)
    terms = [np.log(w) + multivariate_normal(m, c).logpdf(target[:2]) for w, m, c in components]
    return -logsumexp(terms) - np.log(ends if target[2] else 1 - ends)


@jax.jit
def cost(outputs, targets):
    return negative_log_likelihood(split(outputs), targets)


slopes = jax.jit(jax.grad(lambda outputs, targets: cost(outputs, targets).sum()))


def targets_for(seed, *shape):
    random = np.random.default_rng(seed)
    offsets = 1.5 * random.normal(size=(*shape, 2))
    return np.concatenate([offsets, random.integers(0, 2, (*shape, 1))], axis=-1)


@pytest.mark.parametrize("components", [1, 4])
def test_the_density_is_scipys(components):
    outputs, targets = random_outputs(0, 5, 4, components=components), targets_for(1, 5, 4)
    found = cost(jnp.asarray(outputs, jnp.float32), jnp.asarray(targets, jnp.float32))
    expected = [[*map(by_scipy, *rows)] for rows in zip(outputs, targets, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


def test_gradients_equal_those_of_scipys_density():
    outputs, targets = random_outputs(2, 4), targets_for(3, 4)
    gradient = slopes(jnp.asarray(outputs, jnp.float32), jnp.asarray(targets, jnp.float32))
    for row, (own, target) in enumerate(zip(outputs, targets, strict=True)):
        for place in range(len(own)):
            step = 1e-5 * np.eye(len(own))[place]
            numeric = (by_scipy(own + step, target) - by_scipy(own - step, target)) / 2e-5
            assert gradient[row, place] == pytest.approx(numeric, rel=1e-3, abs=1e-4)


def test_a_narrow_ridge_is_as_exact_as_in_float64():
    """ρ = tanh 5.5 = 0.99997; in float32 1 - ρ² would have lost most of its digits."""
    outputs = np.array([0.0, 0.3, -0.2, 0.1, -0.4, 5.5, 0.7])
    components, _ = parameters(outputs)
    along = np.linalg.cholesky(components[0][2]) @ np.random.default_rng(0).normal(size=(2, 30))
    targets = np.concatenate([outputs[1:3] + along.T, np.zeros((30, 1))], axis=-1)
    targets = targets.astype(np.float32).astype(np.float64)
    exact = outputs.astype(np.float32).astype(np.float64)
    expected = [by_scipy(exact, target) for target in targets]
    found = cost(jnp.asarray(outputs, jnp.float32), jnp.asarray(targets, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=4e-3)
    peak = jnp.asarray([*outputs[1:3], 0], jnp.float32)
    at_mean = cost(jnp.asarray(outputs, jnp.float32), peak)
    assert at_mean == pytest.approx(by_scipy(exact, np.asarray(peak, np.float64)), abs=2e-6)


def test_the_density_integrates_to_one():
    outputs = jnp.asarray(random_outputs(4), jnp.float32)
    line = np.linspace(-25, 25, 601)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    total = 0.0
    for end in (0.0, 1.0):
        targets = np.append(grid, np.full((*grid.shape[:2], 1), end), axis=-1)
        nats = cost(outputs, jnp.asarray(targets, jnp.float32))
        total += np.exp(-np.asarray(nats, np.float64)).sum() * (line[1] - line[0]) ** 2
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("extreme", [-1e6, -50.0, 50.0, 1e6])
def test_values_and_gradients_are_finite_at_extreme_outputs(extreme):
    count = mixture.size(2)
    outputs = jnp.tile(extreme * jnp.eye(count), (2, 1))
    targets = jnp.repeat(jnp.array([[0.0, 0.0, 0.0], [300.0, -300.0, 1.0]]), count, axis=0)
    assert np.isfinite(cost(outputs, targets)).all()
    assert np.isfinite(slopes(outputs, targets)).all()


def test_scales_and_correlations_are_bounded():
    m = split(jnp.array([0.0, 0.0, 0.0, -99.0, 99.0, -99.0, 0.0]))
    np.testing.assert_array_equal(m.log_scales, [[-LOG_SCALE, LOG_SCALE]])
    np.testing.assert_array_equal(m.artanh_correlations, [-ARTANH])
    assert split(jnp.zeros((2, 13), jnp.bfloat16)).means.dtype == jnp.float32


def drawn(outputs, number=40_000, **options):
    several = jnp.broadcast_to(jnp.asarray(outputs, jnp.float32), (number, len(outputs)))
    found = jax.jit(mixture.sample)(jax.random.key(0), split(several), **options)
    return np.asarray(found, np.float64)


def test_samples_have_the_moments_of_one_gaussian():
    outputs = np.array([0.0, 1.5, -0.5, 0.4, -0.7, -0.9, -1.2])
    found = drawn(outputs)
    ((_, mean, covariance),), ends = parameters(outputs)
    np.testing.assert_allclose(found[:, :2].mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(found[:, :2].T), covariance, atol=0.05)
    correlation = np.corrcoef(found[:, :2].T)[0, 1]
    assert correlation == pytest.approx(np.tanh(-0.9), abs=0.01)
    assert set(found[:, 2]) == {0, 1} and found[:, 2].mean() == pytest.approx(ends, abs=0.01)


def far_apart():
    """Two small Gaussians with their centres at (-10, 0) and (10, 5)."""
    outputs = np.array([0.3, -0.5, -10, 0, 10, 5, -1, 0, 0.5, -0.5, 0.8, -0.3, 0.2])
    return outputs, parameters(outputs)[0]


@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_samples_have_the_weights_and_spreads_of_their_components(bias):
    outputs, components = far_apart()
    found = drawn(outputs, bias=bias)
    weights = np.array([weight for weight, _, _ in components]) ** (1 + bias)
    for side, share, (_, mean, covariance) in zip(
        (found[:, 0] < 0, found[:, 0] > 0), weights / weights.sum(), components, strict=True
    ):
        assert side.mean() == pytest.approx(share, abs=0.01)
        assert found[side, 2].mean() == pytest.approx(expit(outputs[-1]), abs=0.03)
        own = found[side, :2] - mean
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=0.05)
        np.testing.assert_allclose(np.cov(own.T), covariance * np.exp(-2 * bias), atol=0.06)


def test_a_large_bias_draws_the_likeliest_mean_and_leaves_the_ends():
    outputs, components = far_apart()
    found = drawn(outputs, bias=50.0, number=2000)
    np.testing.assert_allclose(found[:, :2], np.tile(components[0][1], (2000, 1)), atol=1e-6)
    assert found[:, 2].mean() == pytest.approx(expit(0.2), abs=0.04)


def test_each_place_draws_from_its_own_mixture():
    outputs = np.zeros((2, 3, mixture.size(1)))
    outputs[..., 1:3] = 100 * np.arange(12).reshape(2, 3, 2)
    outputs[..., 3:5] = -LOG_SCALE
    outputs[..., -1] = [[-50, 50, -50], [50, -50, 50]]
    found = mixture.sample(jax.random.key(1), split(jnp.asarray(outputs, jnp.float32)))
    np.testing.assert_allclose(found[..., :2], outputs[..., 1:3], atol=0.01)
    np.testing.assert_array_equal(found[..., 2], [[0, 1, 0], [1, 0, 1]])
