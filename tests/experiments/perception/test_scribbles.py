"""Scribbles: always the same for a seed, of even numbers, and told apart by their neighbours."""

import numpy as np

from experiments.perception import scribbles
from experiments.perception.digits import Digits, eight_points, neighbours


def points(drawings):
    return np.concatenate([stroke for drawing in drawings for stroke in drawing])


def test_a_seed_gives_the_same_drawings_and_another_gives_others():
    (one, labels), (again, _), (other, _) = (scribbles.drawings(23, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(points(one), points(again))
    assert len(points(one)) != len(points(other)) or (points(one) != points(other)).any()
    assert sorted(labels) == sorted(n % 10 for n in range(23))


def test_neighbours_know_which_digit_was_drawn():
    train, test = (
        Digits(np.stack([eight_points(drawing) for drawing in drawn]), labels)
        for drawn, labels in (scribbles.drawings(300, 0), scribbles.drawings(100, 1))
    )
    assert np.mean(neighbours([train], test.points) == test.labels) > 0.95


def test_drawings_vary_in_strokes_size_and_slant_but_stay_about_one_high():
    drawings, labels = scribbles.drawings(400, 2)
    heights = [np.ptp(np.concatenate(drawing)[:, 1]) for drawing in drawings]
    assert 0.8 < np.mean(heights) < 1.2
    zeros = [height for height, label in zip(heights, labels, strict=True) if label == 0]
    assert np.std(np.log(zeros)) > 0.09
    crossed = [len(drawing) for drawing, label in zip(drawings, labels, strict=True) if label == 7]
    assert set(crossed) == {1, 2}
    ones = [drawing[0] for drawing, label in zip(drawings, labels, strict=True) if label == 1]
    assert np.std([one[-1, 0] - one[-2, 0] for one in ones]) > 0.003


def test_points_are_apart_unless_they_end_a_stroke():
    drawings, _ = scribbles.drawings(50, 3)
    steps = [np.hypot(*np.diff(stroke, axis=0).T) for drawing in drawings for stroke in drawing]
    assert np.concatenate(steps).min() > scribbles.STEP - 8 * scribbles.TREMOR
    assert np.concatenate(steps).max() < 6 * scribbles.STEP
