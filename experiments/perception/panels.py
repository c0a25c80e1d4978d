"""Small pictures side by side, each with a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_jax.analysis.style import RIGHT, WRONG

COLUMNS = 8


class Panel(NamedTuple):
    """A picture [H, W], what is written above it, and whether that is right."""

    image: np.ndarray
    text: str
    right: bool


def plot_panels(path: Path, panels: Sequence[Panel], title: str) -> None:
    """Draws pictures in rows under a title.

    Args:
        path: the PNG to write.
        panels: the pictures, at least one.
        title: what is written above them all.
    """
    from matplotlib.figure import Figure  # slow to import

    rows = math.ceil(len(panels) / COLUMNS)
    figure = Figure(figsize=(1.25 * COLUMNS, 1.45 * rows + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, panel in zip(axes, panels, strict=False):
        axis.imshow(panel.image, cmap="gray_r")
        axis.set_title(panel.text, fontsize=8, pad=2, color=RIGHT if panel.right else WRONG)
    figure.savefig(path, dpi=120)
