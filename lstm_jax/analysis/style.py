"""How every plot looks: one palette, one shape of figure, matplotlib when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito's palette: distinct to color-blind readers."""

RIGHT, WRONG = "#007A5A", "#B84A00"  # its green and its vermilion, dark enough for text
STYLES = ("-", "--", "-.", ":")  # tell lines apart in gray
SEQUENTIAL, DIVERGING = "cividis", "PuOr"  # color maps that color-blind readers can follow
DPI = 150


def figure(width: float = 8.0, height: float = 4.2) -> tuple[Figure, Axes]:
    """A figure of one pair of axes; pyplot, and so the choice of a backend, stays out of it."""
    drawn, axes = panels(1, width, height)
    return drawn, axes[0]


def panels(count: int, width: float = 8.0, height: float = 4.2) -> tuple[Figure, list[Any]]:
    """A figure with axes side by side."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = drawn.subplots(1, count, squeeze=False)[0]
    for own in axes:
        own.grid(alpha=0.3)
    return drawn, list(axes)


def color(index: int) -> str:
    """The color of the index-th thing that is drawn."""
    return COLORS[index % len(COLORS)]


def line(index: int) -> dict[str, Any]:
    """The look of the index-th line."""
    return {
        "color": color(index),
        "linestyle": STYLES[index % len(STYLES)],
        "linewidth": 1.8,
    }


def legend(drawn: Figure, axes: Axes) -> None:
    """The names of the lines beside the axes, where they hide nothing."""
    if axes.get_legend_handles_labels()[1]:
        drawn.legend(
            *axes.get_legend_handles_labels(), loc="outside right upper", frameon=False
        )
