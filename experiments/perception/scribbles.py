"""Generated handwriting: digits drawn by a pen that slants, stretches, wobbles and varies its pace.

Nobody wrote them. They are there for trying things out without any data.
"""

from __future__ import annotations

import numpy as np
import scipy

from experiments.perception.strokes import thin

STEP = 0.06  # the least distance of points, in heights of a digit
TREMOR = 0.006  # standard deviation of each point's own error, in heights of a digit
WOBBLE = 0.035  # of what bends a stroke
DEGREE = 2  # of the splines that strokes follow: a point named twice is a corner

WAYS = {  # to write each digit: strokes from the first to the last of places x,y; y upwards
    0: [["35,95 0,85 0,15 35,-5 65,10 65,90 35,98"]],
    1: [["10,72 35,100 35,100 35,0"], ["30,100 30,50 30,0"]],
    2: [
        ["2,75 10,105 60,105 62,70 30,35 0,0 0,0 62,2"],
        ["5,78 20,105 65,95 50,50 5,-5 10,15 65,0"],
    ],
    3: [["5,88 25,105 62,100 58,55 20,52 20,52 62,55 70,5 30,-8 0,12"]],
    4: [
        ["42,100 0,35 0,35 68,35", "48,68 47,35 46,0"],
        ["8,100 2,45 2,45 65,45", "60,98 56,50 52,0"],
    ],
    5: [
        ["12,98 5,55 5,55 50,68 70,35 50,-8 2,5", "12,98 37,99 62,100"],
        ["60,98 10,98 10,98 5,55 5,55 60,65 68,0 2,2"],
    ],
    6: [["52,98 5,70 -8,5 35,-10 65,15 55,52 20,52 2,25"]],
    7: [["2,96 64,98 64,98 25,0"], ["0,92 62,98 62,98 30,50 20,0", "12,50 32,52 52,54"]],
    8: [["58,88 25,110 -8,75 30,50 75,25 45,-10 -5,10 15,45 60,70 60,92"]],
    9: [
        ["60,85 25,110 -8,75 20,45 60,65 62,90 62,90 55,0"],
        ["58,80 10,105 0,50 58,62 64,96 40,-5"],
    ],
}


def drawings(count: int, seed: int) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """`count` drawings and their digits [N], as many of each digit as the count allows."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count, dtype=np.int32) % 10)
    return [scribble(int(label), rng) for label in labels], labels


def scribble(digit: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A drawing of a digit, about 1 high, in one of two ways for most; y upwards.

    Args:
        digit: from 0 to 9.
        rng: where the randomness comes from.
    """
    way = WAYS[digit][rng.integers(len(WAYS[digit]))]
    slant, turn = rng.normal(0, [0.15, 0.06])
    width, height = np.exp(rng.normal(0, 0.12, 2))
    linear = np.array([[width, turn], [slant - turn, height]])
    strokes = [_stroke(places, rng) @ linear for places in way]
    thinned = [thin(stroke, STEP) for stroke in strokes]
    return [stroke + TREMOR * rng.normal(size=stroke.shape) for stroke in thinned]


def _stroke(text: str, rng: np.random.Generator) -> np.ndarray:
    """Points along a spline near some places, closer where the pen is slow."""
    places = np.array([pair.split(",") for pair in text.split()], float) / 100
    places = places + WOBBLE * _shared(places, rng)
    pieces = len(places) - DEGREE
    knots = np.concatenate([[0] * DEGREE, np.arange(pieces + 1), [pieces] * DEGREE])
    pace = np.exp(rng.normal(0, 0.3, 20 * max(pieces, 2))).cumsum()
    spline = scipy.interpolate.BSpline(knots, places, DEGREE)
    return spline(pieces * (pace - pace[0]) / (pace[-1] - pace[0]))


def _shared(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise [N, 2], the same for a place that is named twice."""
    _, first = np.unique(places, axis=0, return_inverse=True)
    return rng.normal(size=places.shape)[first.ravel()]
