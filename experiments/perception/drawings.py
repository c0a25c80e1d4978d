"""Drawings side by side in rows, as SVG and as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from experiments.perception.strokes import Drawing

CELL, GAP, MARGIN = 90.0, 18.0, 16.0  # the height of a drawing, what is between two, and around all
WIDEST, ALONE = 2.0, 10.0  # the width of a drawing in its heights at most, and of one in a row
TITLE, CAPTION = 13.0, 10.0  # sizes of the letters
LETTER = 0.56  # how wide one is, more or less, in its size
LINE, DOT = 1.8, 3.0  # how wide a stroke is, and a dot
INK, GREY = "#1a1a1a", "#555555"


class Drawn(NamedTuple):
    """A drawing and the lines of text below it."""

    strokes: Drawing
    caption: str = ""


class Row(NamedTuple):
    """Drawings side by side, under a title or none."""

    title: str
    items: Sequence[Drawn]


class Label(NamedTuple):
    """A text whose first line's base begins at (x, y)."""

    x: float
    y: float
    size: float
    color: str
    text: str


class Page(NamedTuple):
    """Where everything is, in pixels; y downwards."""

    width: float
    height: float
    strokes: list[np.ndarray]
    labels: list[Label]


def draw_strokes(directory: Path, name: str, rows: Sequence[Row]) -> None:
    """Writes rows of drawings as SVG and as PNG, and prints where they are.

    Every drawing is scaled to the height of its row, a wide one to twice that width, or to ten
    times it where it is alone in its row.

    Args:
        directory: where the files go.
        name: of both files, without their suffixes.
        rows: at least one, with at least one drawing.
    """
    page = _lay_out(rows)
    svg, png = (directory / f"{name}.{suffix}" for suffix in ("svg", "png"))
    svg.write_text(_svg(page), encoding="utf-8")
    _write_png(png, page)
    print(svg, png, sep="\n")


def _lay_out(rows: Sequence[Row]) -> Page:
    """One row below the other, the drawings of each from left to right."""
    strokes: list[np.ndarray] = []
    labels: list[Label] = []
    right, y = 0.0, MARGIN
    for row in rows:
        if row.title:
            title = "".join(c if c.isprintable() else "?" for c in row.title)  # it may name a file
            labels.append(Label(MARGIN, y + TITLE, TITLE, INK, title))
            right = max(right, MARGIN + TITLE * LETTER * len(title))
            y += 1.8 * TITLE
        x = MARGIN
        for item in row.items:
            width = _width(item, WIDEST if len(row.items) > 1 else ALONE)
            strokes += _place(item.strokes, (x, y), width)
            lines = item.caption.split("\n")
            heights = y + CELL + 1.5 * CAPTION + 1.25 * CAPTION * np.arange(len(lines))
            labels += [
                Label(x, float(at), CAPTION, GREY, line)
                for at, line in zip(heights, lines, strict=True)
                if line
            ]
            x += width + GAP
        y += CELL + GAP + 1.25 * CAPTION * max(_lines(item) for item in row.items)
        right = max(right, x - GAP)
    return Page(right + MARGIN, y + MARGIN - GAP / 2, strokes, labels)


def _lines(item: Drawn) -> int:
    return len(item.caption.split("\n")) if item.caption else 0


def _width(item: Drawn, most: float) -> float:
    """Of the place that a drawing takes: a square's, or more for a wide drawing or its text."""
    x, y = np.ptp(np.concatenate(list(item.strokes)), axis=0)
    text = max(len(line) for line in item.caption.split("\n")) * CAPTION * LETTER
    return float(max(CELL, min(CELL * x / max(y, 1e-9), most * CELL), text))


def _place(drawing: Drawing, corner: tuple[float, float], width: float) -> list[np.ndarray]:
    """A drawing in the middle of a place with the upper left corner (x, y)."""
    points = np.concatenate(list(drawing))
    low, high = points.min(axis=0), points.max(axis=0)
    scale = np.min(np.array([width, CELL]) / np.maximum(high - low, 1e-9))
    middle = np.array(corner) + np.array([width, CELL]) / 2
    return [middle + (s - (low + high) / 2) * [scale, -scale] for s in drawing]


def _svg(page: Page) -> str:
    """The page as SVG; a dot is a line without length and with round ends."""
    size = f"{page.width:.0f}", f"{page.height:.0f}"
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg"'
        f' width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<g fill="none" stroke="{INK}" stroke-linecap="round" stroke-linejoin="round">',
    ]
    for stroke in page.strokes:
        path = " L".join(f"{x:.2f} {y:.2f}" for x, y in np.concatenate([stroke, stroke[-1:]]))
        width = LINE if len(stroke) > 1 else DOT
        lines.append(f'<path d="M{path}" stroke-width="{width}"/>')
    lines.append('</g>\n<g font-family="sans-serif">')
    for label in page.labels:
        place = f'x="{label.x:.1f}" y="{label.y:.1f}" font-size="{label.size:g}"'
        lines.append(f'<text {place} fill="{label.color}">{escape(label.text)}</text>')
    return "\n".join([*lines, "</g>\n</svg>\n"])


def _write_png(path: Path, page: Page) -> None:
    """The page as PNG, two pixels for each of its own."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(page.width / 72, page.height / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, page.width), ylim=(page.height, 0))
    axes.set_axis_off()
    for stroke in page.strokes:
        width = LINE if len(stroke) > 1 else DOT
        ends = np.concatenate([stroke, stroke[-1:]])
        axes.plot(*ends.T, color=INK, linewidth=width, solid_capstyle="round")
    for label in page.labels:
        text = label.text.replace("$", r"\$")
        axes.text(label.x, label.y, text, fontsize=label.size, color=label.color)
    figure.savefig(path, dpi=144)
