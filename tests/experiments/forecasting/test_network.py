"""The forecaster, against NumPy, and what must and must not move its forecasts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.forecasting import network
from experiments.forecasting.network import Forecaster, RecurrentReader, WindowReader

T, B, C, L, H = 12, 3, 2, 5, 4


def build(reader=None, **options):
    """A forecaster with random parameters, and a random window."""
    model = Forecaster(reader or RecurrentReader(lj.gru(H), 3), L, **options)
    window = np.random.default_rng(0).normal(size=(T, B, C)).astype(np.float32)
    params = model.init(jax.random.key(0), window)
    leaves, tree = jax.tree.flatten(params)
    random = np.random.default_rng(1)
    leaves = [0.3 * random.normal(size=leaf.shape).astype(np.float32) for leaf in leaves]
    return model, jax.tree.unflatten(tree, leaves), window


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("normalisation", network.NORMALISATIONS)
def test_forecasts_are_those_of_a_plain_loop(normalisation, independent):
    """Segments, channels, normalisation and quantiles one by one; the cell by its own step."""
    model, params, window = build(quantiles=3, normalisation=normalisation, independent=independent)
    found = model.apply(params, window)
    cell = lj.gru(H)
    inner = params["params"]["reader"]["Recurrent_0"]["network"]
    kernel, bias = (np.asarray(params["params"]["Dense_0"][n]) for n in ("kernel", "bias"))
    cell_params = type(cell.init(jax.random.key(0), 3))(**inner)
    groups = [[0], [1]] if independent else [[0, 1]]
    for b in range(B):
        for group in groups:
            own = window[:, b, group].astype(np.float64)
            level = own[-1] if normalisation != "none" else 0 * own[-1]
            deviation = np.ones(len(group))
            if normalisation == "last_deviation":
                deviation = np.sqrt(own.var(axis=0) + network.EPSILON)
            z = ((own - level) / deviation).astype(np.float32)
            state = cell.initial_state(1)
            for start in range(0, T, 3):
                state, y = cell.step(
                    cell_params, state, jnp.asarray(z[start : start + 3].reshape(1, -1))
                )
            out = (np.asarray(y)[0] @ kernel + bias).reshape(L, len(group), 4)
            for k, c in enumerate(group):
                point = level[k] + deviation[k] * out[:, k, 0]
                np.testing.assert_allclose(found.point[:, b, c], point, rtol=2e-4, atol=2e-4)
                middle = point + deviation[k] * out[:, k, 2]
                low = middle - deviation[k] * np.logaddexp(0, out[:, k, 1])
                high = middle + deviation[k] * np.logaddexp(0, out[:, k, 3])
                expected = np.stack([low, middle, high], axis=-1)
                np.testing.assert_allclose(found.quantiles[:, b, c], expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("reader", [None, WindowReader(), WindowReader(7)])
def test_the_first_forecast_repeats_the_last_value(reader):
    model = Forecaster(reader or RecurrentReader(lj.lstm(H), 4), L)
    window = np.random.default_rng(0).normal(size=(T, B, C)).astype(np.float32)
    point = model.apply(model.init(jax.random.key(0), window), window).point
    np.testing.assert_array_equal(point, np.broadcast_to(window[-1], (L, B, C)))


@pytest.mark.parametrize(("kind", "scale"), [("last", 1.0), ("last_deviation", 50.0)])
def test_forecasts_follow_the_level_and_the_scale_of_their_window(kind, scale):
    model, params, window = build(quantiles=2, normalisation=kind)
    window = 30 * window  # so that the variance dwarfs what is added to it
    before = model.apply(params, window)
    after = model.apply(params, scale * window + 7)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, scale * old + 7, rtol=1e-3, atol=1e-2)


def test_independent_channels_do_not_see_one_another():
    changed = {}
    for independent in (True, False):
        model, params, window = build(independent=independent)
        other = window.copy()
        other[:, :, 1] += np.random.default_rng(2).normal(size=(T, B))
        before, after = (model.apply(params, w).point for w in (window, other))
        assert not np.allclose(before[..., 1], after[..., 1])
        changed[independent] = not np.allclose(before[..., 0], after[..., 0])
    assert changed == {True: False, False: True}


def test_without_units_the_rival_is_linear_in_the_window():
    for units, linear in ((None, True), (6, False)):
        model, params, window = build(WindowReader(units))
        other = np.random.default_rng(5).normal(size=window.shape).astype(np.float32)
        zero, one, two, both = (
            model.apply(params, w).point for w in (0 * window, window, other, window + other)
        )
        assert np.allclose(both - zero, (one - zero) + (two - zero), atol=1e-4) == linear
