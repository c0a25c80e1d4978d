"""Spectrograms with what was recognized in them, and when."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.perception.mel import HOP, to_band
from lstm_jax.analysis.style import RIGHT, WRONG

WIDTH = 11.0  # inches
COLUMNS = 4  # of those without a path
FREQUENCIES = (250, 500, 1000, 2000, 4000, 8000)  # Hz, those that are marked


class Recognized(NamedTuple):
    """A recording and what a model recognized.

    Attributes:
        frames: its log-mel features [T, bands].
        title: what is written above it.
        right: whether the model is right; None where nobody knows.
        path: the symbol of each of S equal parts of the time, "" where there is none.
    """

    frames: np.ndarray
    title: str
    right: bool | None = None
    path: Sequence[str] = ()


def plot_recognized(path: Path, items: Sequence[Recognized], rate: int) -> None:
    """Draws spectrograms; over them each symbol of a path, from its first to its last frame.

    Args:
        path: the PNG to write.
        items: at least one.
        rate: samples a second of the recordings.
    """
    from matplotlib.figure import Figure  # slow to import

    columns = 1 if any(item.path for item in items) else min(COLUMNS, len(items))
    rows = math.ceil(len(items) / columns)
    figure = Figure(figsize=(WIDTH, 2.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, item in itertools.zip_longest(axes.ravel(), items):
        if item is None:
            axis.set_axis_off()
        else:
            _draw(axis, item, rate)
    for axis in axes[:, 0]:
        axis.set_ylabel("Hz")
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.savefig(path, dpi=110)


def _draw(axis: Any, item: Recognized, rate: int) -> None:
    count, bands = item.frames.shape
    seconds = count * HOP
    axis.imshow(
        item.frames.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, seconds, -0.5, bands - 0.5),
    )
    marked = [f for f in FREQUENCIES if f <= rate / 2]
    axis.set_yticks(to_band(marked, rate, bands).clip(0, bands - 0.5), map(str, marked))
    axis.tick_params(labelsize=8)
    color = {None: "black", True: RIGHT, False: WRONG}[item.right]
    axis.set_title(item.title, fontsize=9, color=color, loc="left")
    for symbol, start, end in runs(item.path):
        left, right = (seconds * n / len(item.path) for n in (start, end))
        axis.axvspan(left, right, facecolor="white", alpha=0.25, edgecolor="none")
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        middle = (left + right) / 2
        axis.text(middle, bands * 0.9, symbol, ha="center", va="center", fontsize=9, bbox=box)


def runs(path: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Each symbol of a path with where it starts and ends; blanks are left out.

    Args:
        path: a symbol for each part of the time, "" where there is none.

    Returns:
        (symbol, first part, the part after its last one).

    Example:
        >>> list(runs(["", "a", "a", "", "a", "b"]))
        [('a', 1, 3), ('a', 4, 5), ('b', 5, 6)]
    """
    start = 0
    for symbol, group in itertools.groupby(path):
        end = start + len(list(group))
        if symbol:
            yield symbol, start, end
        start = end
