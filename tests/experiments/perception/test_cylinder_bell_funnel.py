"""Cylinders, bells and funnels: what their equations say, by numbers found by hand."""

import numpy as np
import pytest

from experiments.perception.cylinder_bell_funnel import CLASSES, cylinder_bell_funnel

SLOPE = np.mean(1 / np.arange(32, 97))  # E[1 / (b − a)]
SERIES = cylinder_bell_funnel(3000, seed=4)


def of_class(name):
    pairs = zip(SERIES.sequences, SERIES.labels, strict=True)
    return [sequence[:, 0].astype(float) for sequence, label in pairs if label == name]


def test_a_seed_always_draws_the_same():
    first, second, other = (cylinder_bell_funnel(7, seed) for seed in (3, 3, 5))
    for a, b, c in zip(first.sequences, second.sequences, other.sequences, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a[0] != c[0]
    assert first.labels == [*CLASSES, *CLASSES, CLASSES[0]]
    assert first.classes == CLASSES


def test_every_series_begins_with_noise_of_deviation_one():
    noise = np.stack([sequence[:15, 0] for sequence in SERIES.sequences])
    assert abs(noise.mean()) < 0.03
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert {sequence.dtype for sequence in SERIES.sequences} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("name", "share"), [("cylinder", 1.0), ("bell", 0.5), ("funnel", 0.5)])
def test_the_area_is_that_of_the_equations(name, share):
    """E[b − a + 1] = 65 steps of height 6, half of them below a slope."""
    assert np.mean([x.sum() for x in of_class(name)]) == pytest.approx(6 * 65 * share, rel=0.03)


@pytest.mark.parametrize(
    ("name", "height"), [("cylinder", 6), ("bell", 54 * SLOPE), ("funnel", 6 - 54 * SLOPE)]
)
def test_the_event_stands_rises_or_falls(name, height):
    """All events cover step 33, which is on average 9 steps behind their start."""
    assert np.mean([x[32] for x in of_class(name)]) == pytest.approx(height, abs=0.15)


def test_lengths_vary_and_say_nothing():
    lengths = {name: np.array([len(x) for x in of_class(name)]) for name in CLASSES}
    for own in lengths.values():
        assert 48 <= own.min() < 70
        assert own.max() == 128
        # b is 88 on average, and the length lies halfway between b and 128
        assert own.mean() == pytest.approx((88 + 128) / 2, abs=1.5)
