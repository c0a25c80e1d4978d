"""The picture of the layers' race."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments.bench.contenders import CONTENDERS, FLOOR, label
from experiments.bench.layers import RACES, fastest
from experiments.bench.ours import OURS
from lstm_jax.analysis.style import COLORS

MARKERS = ("o", "s", "D", "^", "v", "<", ">", "P", "X")
DENSE = 30  # the span of values up to which ticks stand between the powers of ten


def speed(races: dict[str, Any], devices: int, path: Path) -> None:
    """Plots each contender's median time over PyTorch's, or over the fastest of ours without it.

    Args:
        races: the LSTM's races by shape, as the suite `layers` returns them.
        devices: how many devices there are, for the legend.
        path: the PNG to write.
    """
    figure, panels = plt.subplots(1, 2, figsize=(11, 1.6 + 0.75 * len(races)), sharey=True,
                                  squeeze=False, layout="constrained")
    for axes, which in zip(panels[0], RACES, strict=True):
        reference = _panel(axes, {shape: at_shape[which] for shape, at_shape in races.items()},
                           devices)
        axes.set_xlabel(f"{which}: time over {reference}")
    panels[0][0].set_yticks(range(len(races)), [shape.replace("x", " × ") for shape in races])
    panels[0][0].set_ylabel("T × B × D × H")
    panels[0][0].invert_yaxis()
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right upper",
                  frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _panel(axes: Any, races: dict[str, Any], devices: int) -> str:
    """One race; returns what the times are divided by."""
    has_torch = all("torch" in race["seconds"] for race in races.values())
    for place, name in enumerate(CONTENDERS):
        values = {
            row: race["seconds"][name]["median"] / _reference(race, has_torch)
            for row, race in enumerate(races.values())
            if name in race["seconds"]
        }
        if values:
            rows = [row + 0.06 * (place - len(CONTENDERS) / 2) for row in values]
            axes.plot(list(values.values()), rows, label=label(name, devices), **_style(name))
    axes.axvline(1, color="gray", linewidth=0.8)
    _scale(axes)
    for row in range(1, len(races)):
        axes.axhline(row - 0.5, color="gray", linewidth=0.4)
    return "torch's" if has_torch else "that of the fastest of ours"


def _reference(race: dict[str, Any], has_torch: bool) -> float:
    name = "torch" if has_torch else fastest(race, OURS) or fastest(race, race["seconds"])
    return race["seconds"][name]["median"] if name else 1.0


def _style(name: str) -> dict[str, Any]:
    """Ours are filled, others are hollow, the floor is a bar."""
    if name == FLOOR:
        return dict(marker="|", linestyle="", color="black", markersize=14, markeredgewidth=2)
    place = list(CONTENDERS).index(name)
    face = {} if name in OURS else {"markerfacecolor": "white"}
    return dict(marker=MARKERS[place % len(MARKERS)], linestyle="", markersize=7,
                color=COLORS[place % len(COLORS)], **face)


def _scale(axes: Any) -> None:
    """A logarithmic axis with plain numbers."""
    points = [value for line in axes.get_lines() for value in line.get_xdata()]
    dense = max(points) < DENSE * min(points)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if dense else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", alpha=0.3)
