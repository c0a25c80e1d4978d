"""Which classes are taken for which: the confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

INCHES = 0.45  # a cell
COUNTED = 30  # with more classes than that the cells have no room for counts


def plot_confusion(
    path: Path, truth: ArrayLike, predicted: ArrayLike, classes: Sequence[str]
) -> None:
    """Draws a row for each true class: counts as numbers, shares of the row as colour.

    Args:
        path: the PNG to write.
        truth: the classes of the examples, as numbers [N].
        predicted: what they were taken for [N].
        classes: the names.
    """
    from matplotlib.figure import Figure  # slow to import

    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (np.asarray(truth), np.asarray(predicted)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = INCHES * max(len(classes), 5)
    figure = Figure(figsize=(side + 2.6, side + 1.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= COUNTED:
        _write_counts(axes, counts, shares)
    _name_axes(axes, [name if len(name) <= 16 else f"{name[:15]}…" for name in classes])
    correct, total = int(np.trace(counts)), int(counts.sum())
    axes.set_title(f"{correct} of {total} right: {100 * correct / max(total, 1):.1f} %")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    figure.savefig(path, dpi=150)


def _write_counts(axes: Any, counts: np.ndarray, shares: np.ndarray) -> None:
    """Puts every count but zero into its cell."""
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[row, column] > 0.6 else "black"
        count = counts[row, column]
        axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=9)


def _name_axes(axes: Any, names: Sequence[str]) -> None:
    """Writes the classes beside the rows and below the columns, and lines between the cells."""
    places = range(len(names))
    tilt = 90 if max(map(len, names)) > 3 else 0
    axes.set_xticks(places, names, rotation=tilt, fontsize=9)
    axes.set_yticks(places, names, fontsize=9)
    for edges in (axes.set_xticks, axes.set_yticks):
        edges(np.arange(0.5, len(names) - 1), minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
