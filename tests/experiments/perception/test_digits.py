"""Digits of eight points: their boxes, what the network reads, how they are distorted."""

import numpy as np
import pytest

from experiments.perception.digits import (
    Digits,
    distort,
    eight_points,
    inputs,
    neighbours,
    points_of,
    stretch,
)


def random_points(seed, count=5):
    return stretch(np.random.default_rng(seed).normal(size=(count, 8, 2)))


def test_stretching_fills_the_box_along_each_axis():
    points = np.array([[1.0, 10.0], [2.0, 40.0], [5.0, 20.0]])
    assert stretch(points).tolist() == pytest.approx(np.array([[0, 0], [25, 100], [100, 100 / 3]]))
    flat = stretch(np.array([[3.0, 1.0], [3.0, 2.0]]))
    assert flat.tolist() == [[50, 0], [50, 100]]


def test_a_drawing_becomes_eight_points_along_its_way():
    right, down = np.array([[0.0, 7.0], [3.0, 7.0]]), np.array([[3.0, 5.0], [3.0, 3.0]])
    x, y = eight_points([right, down]).T
    np.testing.assert_allclose(x, [0, 100 / 3, 200 / 3, 100, 100, 100, 100, 100], atol=1e-9)
    np.testing.assert_allclose(y, [100, 100, 100, 100, 75, 50, 25, 0], atol=1e-9)
    assert (eight_points([np.array([[2.0, 2.0]])]) == 50).all()


def test_the_network_reads_coordinates_and_their_changes():
    points = random_points(0)[0]
    read = inputs(points)
    assert read.dtype == np.float32
    for t, (x, y) in enumerate(points):
        before = points[max(t - 1, 0)]
        expected = [x / 50 - 1, y / 50 - 1, (x - before[0]) / 50, (y - before[1]) / 50]
        np.testing.assert_allclose(read[t], expected, atol=1e-6)
    np.testing.assert_allclose(points_of(read), points, atol=1e-4)


def test_distortion_moves_points_by_its_strength_and_keeps_the_box():
    points = random_points(1)[0]
    rng = np.random.default_rng(2)
    np.testing.assert_allclose(distort(points, 0.0, rng), points)
    moves = {}
    for strength in (0.05, 0.1):
        moved = np.stack([distort(points, strength, rng) for _ in range(400)])
        np.testing.assert_allclose(moved.min(axis=1), 0, atol=1e-9)
        np.testing.assert_allclose(moved.max(axis=1), 100, atol=1e-9)
        moves[strength] = np.sqrt(np.mean((moved - points) ** 2))
    assert 1.5 < moves[0.1] / moves[0.05] < 2.5
    assert 2 < moves[0.1] < 15


def test_neighbours_are_those_of_a_plain_search():
    rng = np.random.default_rng(3)
    known = [Digits(random_points(seed, 30), rng.integers(0, 3, 30)) for seed in (4, 5)]
    points = random_points(6, 20)
    all_points = np.concatenate([digits.points for digits in known])
    labels = np.concatenate([digits.labels for digits in known])
    for own, found in zip(points, neighbours(known, points), strict=True):
        order = np.argsort(((all_points - own) ** 2).sum(axis=(1, 2)))[:3]
        assert found == np.bincount(labels[order], minlength=3).argmax()
