"""Digits drawn with a pen, eight points each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.perception.strokes import Drawing, resample

NAMES = tuple("0123456789")
POINTS = 8  # of a digit
NEIGHBOURS = 3
SIDE = 100.0  # of the box that they fill


class Digits(NamedTuple):
    """Digits: points [N, 8, 2] that fill boxes of side 100, and which they are, int32 [N]."""

    points: np.ndarray
    labels: np.ndarray


def eight_points(drawing: Drawing) -> np.ndarray:
    """A drawing as pendigits holds a digit: points [8, 2] at even distances along the pen's path.

    The path goes straight from stroke to stroke.
    """
    return stretch(resample(np.concatenate(list(drawing)), POINTS))


def stretch(points: np.ndarray) -> np.ndarray:
    """Points [..., T, 2], moved and stretched along each axis to fill a box from 0 to 100."""
    low, high = points.min(axis=-2, keepdims=True), points.max(axis=-2, keepdims=True)
    flat = high - low < 1e-6
    return np.where(flat, SIDE / 2, (points - low) / np.where(flat, 1, high - low) * SIDE)


def inputs(points: np.ndarray) -> np.ndarray:
    """What the network reads of a digit [T, 2]: coordinates in [-1, 1] and their changes [T, 4]."""
    scaled = 2 * points / SIDE - 1
    changes = np.diff(scaled, axis=0, prepend=scaled[:1])
    return np.concatenate([scaled, changes], axis=1).astype(np.float32)


def points_of(inputs: np.ndarray) -> np.ndarray:
    """The points [T, 2] that some inputs were made of."""
    return (inputs[:, :2] + 1) * (SIDE / 2)


def distort(points: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A digit [T, 2] as it might also have been written, in the box that it filled.

    A random linear map turns, slants and stretches it, and each point moves a little.

    Args:
        points: of the digit.
        strength: the standard deviation of the map's entries around the identity; points move by a
            fifth of it, in sides of the box.
        rng: where the randomness comes from.
    """
    linear = np.eye(2) + strength * rng.normal(size=(2, 2))
    moves = 0.2 * strength * SIDE * rng.normal(size=points.shape)
    return stretch(points @ linear + moves)


def neighbours(known: Sequence[Digits], points: np.ndarray) -> np.ndarray:
    """Which digits the nearest of some known ones say that points [N, 8, 2] are [N]."""
    from sklearn.neighbors import KNeighborsClassifier  # slow to import

    labels = np.concatenate([digits.labels for digits in known])
    rows = np.concatenate([_rows(digits.points) for digits in known])
    model = KNeighborsClassifier(min(NEIGHBOURS, len(labels)))
    return model.fit(rows, labels).predict(_rows(points))


def nearest(splits: Mapping[str, Digits]) -> np.ndarray:
    """What the nearest digits of training and validation say of the test digits [N]."""
    return neighbours([splits["train"], splits["valid"]], splits["test"].points)


def _rows(points: np.ndarray) -> np.ndarray:
    """The sixteen coordinates of each digit."""
    return points.reshape(len(points), -1)
