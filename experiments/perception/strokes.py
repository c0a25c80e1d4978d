"""Handwriting as strokes of points, and as offsets from each point of the pen to the next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.data import files

Drawing = Sequence[np.ndarray]
"""Strokes, points [N, 2] each, N at least 1 (a dot has one); x to the right, y upwards."""

LARGEST = 1e6  # of a coordinate


def parse(text: str) -> list[np.ndarray]:
    """A drawing in the form of Omniglot: a line `x,y` or `x,y,t` for each point, `BREAK` after each
    stroke, and a line `START` before the first.

    Times are not used, empty lines and strokes without points are skipped, and a stroke with one
    point is a dot. The last `BREAK` may be absent.

    Raises:
        ValueError: naming the line that is wrong, or saying that there is no point.

    Example:
        >>> [stroke.tolist() for stroke in parse("START\\n0,0\\n3,-1\\nBREAK\\n2,2,70\\nBREAK")]
        [[[0.0, 0.0], [3.0, -1.0]], [[2.0, 2.0]]]
    """
    strokes: list[list[tuple[float, float]]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if word in ("START", "BREAK"):
            strokes.append([])
        elif word:
            strokes[-1].append(_point(word, number))
    drawing = [np.array(stroke) for stroke in strokes if stroke]
    if not drawing:
        raise ValueError("has no points; give lines x,y and BREAK after each stroke")
    return drawing


def _point(line: str, number: int) -> tuple[float, float]:
    """The coordinates in a line of two or three numbers."""
    try:
        x, y, *_ = values = [float(value) for value in line.split(",")]
    except ValueError:
        values = []
    if len(values) not in (2, 3) or not all(abs(value) <= LARGEST for value in (x, y)):
        wanted = f"x,y or x,y,t with coordinates within {LARGEST:.0e}, START or BREAK"
        raise ValueError(f"line {number} is {line[:40]!r}, it must be {wanted}")
    return x, y


def read_strokes(path: Path, field: str) -> list[np.ndarray]:
    """The drawing in a file of the user's, see `parse`.

    Args:
        path: the file.
        field: of the config or the command line, that names it.

    Raises:
        ConfigError: naming the field, the file and what is wrong with it.
    """
    text = files.read_text(path, field)
    try:
        return parse(text)
    except ValueError as error:
        raise files.refusal(path, field, str(error)) from error


def to_offsets(drawing: Drawing) -> np.ndarray:
    """A drawing as offsets float32 [T, 3]: the way to each point, and 1 where its stroke ends.

    The first point is where the pen starts: its offset is zero.

    Source: Graves 2013, arXiv:1308.0850, section 4.

    Example:
        >>> to_offsets([np.array([[5, 5], [6, 7]]), np.array([[0, 0]])]).tolist()
        [[0.0, 0.0, 0.0], [1.0, 2.0, 1.0], [-6.0, -7.0, 1.0]]
    """
    points = np.concatenate(list(drawing))
    ends = np.zeros((len(points), 1))
    ends[np.cumsum([len(stroke) for stroke in drawing]) - 1] = 1
    steps = np.diff(points, axis=0, prepend=points[:1])
    return np.concatenate([steps, ends], axis=1).astype(np.float32)


def to_strokes(offsets: np.ndarray) -> list[np.ndarray]:
    """The drawing of offsets [T, 3] that starts at (0, 0), the inverse of `to_offsets`."""
    points = np.cumsum(offsets[:, :2], axis=0, dtype=np.float64)
    cuts = np.flatnonzero(offsets[:, 2] > 0.5) + 1
    return [stroke for stroke in np.split(points, cuts) if len(stroke)]


def thin(stroke: np.ndarray, step: float) -> np.ndarray:
    """The points of a stroke that are at least `step` from the one kept before, and its last.

    The last one takes the place of the one before it where they are closer. The distances stay
    uneven, as a hand's are: at even ones the second coordinate of an offset would follow from the
    first, and its density would have no bound.

    Args:
        stroke: points [N, 2].
        step: the least distance.

    Returns:
        Points [K, 2] of these.
    """
    kept = [0]
    for number in range(1, len(stroke)):
        if math.dist(stroke[kept[-1]], stroke[number]) >= step:
            kept.append(number)
    last = len(stroke) - 1
    if kept[-1] != last:
        kept[len(kept) - (len(kept) > 1) :] = [last]
    return stroke[kept]


def fill(stroke: np.ndarray, step: float) -> np.ndarray:
    """The points of a stroke, and others on the straight ways between those that are far apart.

    Args:
        stroke: points [N, 2].
        step: the least distance of points that are added; what is nearer than twice as much to each
            other has none between.

    Returns:
        Points [M, 2].

    Example:
        >>> fill(np.array([[0, 0], [6, 0], [6, 3]]), 2.0).tolist()
        [[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [6.0, 0.0], [6.0, 3.0]]
    """
    ways = [
        np.linspace(start, end, max(1, int(math.dist(start, end) / step)), endpoint=False)
        for start, end in itertools.pairwise(stroke)
    ]
    return np.concatenate([*ways, stroke[-1:]])


def resample(points: np.ndarray, count: int) -> np.ndarray:
    """Points at even distances along the path through other points.

    Args:
        points: what the path goes through [N, 2].
        count: how many points there shall be.

    Returns:
        Points [count, 2].

    Example:
        >>> resample(np.array([[0, 0], [3, 0], [3, 1]]), 3).tolist()
        [[0.0, 0.0], [2.0, 0.0], [3.0, 1.0]]
    """
    along = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    places = np.linspace(0, along[-1], count)
    return np.stack([np.interp(places, along, axis) for axis in points.T], axis=1)


def length_of(points: np.ndarray) -> float:
    """How long the path through some points [N, 2] is."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def size(drawing: Drawing) -> float:
    """The longer side of the box around a drawing."""
    return float(np.ptp(np.concatenate(list(drawing)), axis=0).max())
