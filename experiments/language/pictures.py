"""Images with their captions, and where attention looked at each word."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_jax.analysis.style import RIGHT, WRONG

WIDTH = 12.0  # inches
PANELS = 9  # square images side by side
NEUTRAL = "black"  # where nothing says what is right
SHADE = 0.75  # how dark a place is that attention leaves out


class Captioned(NamedTuple):
    """A caption that a model wrote.

    Attributes:
        image: uint8 [H, W, 3].
        caption: what the model wrote.
        references: the captions that are right.
        words: the caption's words, T of them.
        attention: the weights of the image's cells at each word [T, rows, columns]; None without.
    """

    image: np.ndarray
    caption: str
    references: Sequence[str]
    words: Sequence[str] = ()
    attention: np.ndarray | None = None


def plot_captions(path: Path, items: Sequence[Captioned]) -> None:
    """Draws images with their captions; behind them each word with what attention left lit.

    Args:
        path: the PNG to write.
        items: the captions, at least one.
    """
    from matplotlib.figure import Figure

    heights = [_height(item) for item in items]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(items), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, item in zip(parts, items, strict=True):
        part.suptitle(_title(item), x=0.01, ha="left", fontsize=9, color=_color(item))
        _draw(part.subplots(*_shape(item), squeeze=False).ravel(), item)
    figure.savefig(path, dpi=110)


def _draw(panels: np.ndarray, item: Captioned) -> None:
    """The image, then the image once for each word."""
    height, width = item.image.shape[:2]
    for panel in panels:
        panel.set_axis_off()
    for panel, word in zip(panels, ["", *_lit_words(item)], strict=False):
        panel.imshow(item.image)
        panel.set_title(word, fontsize=8, pad=2)
    if item.attention is None:
        return
    for panel, weights in zip(panels[1:], item.attention, strict=False):
        shadow = np.zeros((*weights.shape, 4))
        shadow[..., 3] = SHADE * (1 - weights / weights.max())
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        panel.imshow(shadow, extent=extent, interpolation="bilinear")


def _lit_words(item: Captioned) -> Sequence[str]:
    return () if item.attention is None else item.words


def _shape(item: Captioned) -> tuple[int, int]:
    """Rows and columns of panels; wide images have fewer in a row."""
    height, width = item.image.shape[:2]
    columns = max(2, round(PANELS * math.sqrt(height / width)))
    return math.ceil((1 + len(_lit_words(item))) / columns), columns


def _height(item: Captioned) -> float:
    """Inches of an item: its lines of text and its rows of panels."""
    height, width = item.image.shape[:2]
    rows, columns = _shape(item)
    lines = 1 + _title(item).count("\n")
    return 0.2 + 0.17 * lines + rows * (WIDTH / columns * height / width + 0.2)


def _title(item: Captioned) -> str:
    lines = [f"written: {item.caption}", *(f"reference: {text}" for text in item.references)]
    return "\n".join(textwrap.fill(line, 130, subsequent_indent="    ") for line in lines)


def _color(item: Captioned) -> str:
    if not item.references:
        return NEUTRAL
    return RIGHT if item.caption in item.references else WRONG
