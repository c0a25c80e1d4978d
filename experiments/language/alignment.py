"""Where a decoder looked: maps of attention over the words that were read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

COLUMNS = 2
INCHES = 0.24  # a symbol


class Alignment(NamedTuple):
    """The symbols read [S], the symbols written [T], and the weights of attention [T, S]."""

    read: list[str]
    written: list[str]
    weights: np.ndarray


def plot_alignments(path: Path, alignments: Sequence[Alignment]) -> None:
    """Draws a map for each alignment, a row for every symbol written; darker is more attention.

    Args:
        path: the PNG to write.
        alignments: at least one.
    """
    rows = -(-len(alignments) // COLUMNS)
    columns = min(COLUMNS, len(alignments))
    width = 1.6 + INCHES * max(len(a.read) for a in alignments)
    height = 1.2 + INCHES * max(len(a.written) for a in alignments)
    figure, grid = plt.subplots(
        rows, columns, figsize=(columns * width, rows * height), layout="constrained", squeeze=False
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, alignment in zip(grid.flat, alignments, strict=False):
        axes.set_axis_on()
        axes.imshow(alignment.weights, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(alignment.read)), alignment.read, rotation=90, fontsize=8)
        axes.set_yticks(range(len(alignment.written)), alignment.written, fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
    figure.savefig(path, dpi=130)
    plt.close(figure)
