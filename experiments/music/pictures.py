"""Pictures of piano rolls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.music.midi import notes
from lstm_jax.analysis.style import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GIVEN, AFTER = "#6B7280", COLORS[0]  # of what sounds in the opening, and after it
OCTAVE, BAR = 12, 4  # keys, and quarter notes between two lines
MIDDLE_C = 60


class Panel(NamedTuple):
    """A piano roll [T, N] with a title."""

    title: str
    roll: np.ndarray


def plot_rolls(path: Path, panels: Sequence[Panel], opening: int, grid: int = 1) -> None:
    """Draws piano rolls, one below the other, as a PNG.

    Args:
        path: the PNG to write.
        panels: the rolls.
        opening: how many frames at the start are given; they are marked.
        grid: frames in a quarter note.
    """
    from matplotlib.figure import Figure  # slow to import

    quarters = max(len(panel.roll) for panel in panels) / grid
    figure = Figure(figsize=(11, 0.4 + 2.9 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, panel, opening, grid)
    pitches = [note.pitch for panel in panels for note in notes(panel.roll)] or [MIDDLE_C]
    low, high = min(pitches) - 2, max(pitches) + 4
    octaves = range(-(-low // OCTAVE) * OCTAVE, high + 1, OCTAVE)
    axes[0].set_ylim(low, high)
    axes[0].set_yticks(octaves, [f"C{pitch // OCTAVE - 1}" for pitch in octaves])
    axes[0].set_xlim(0, quarters)
    axes[0].set_xticks(np.arange(0, quarters + 1e-9, BAR * -(-quarters // (20 * BAR))))
    axes[-1].set_xlabel("quarter notes")
    figure.savefig(path, dpi=150)


def _draw(axis: Axes, panel: Panel, opening: int, grid: int) -> None:
    """A roll's notes, in another color in the opening, on a band."""
    axis.axvspan(0, opening / grid, color="#F1F2F4", linewidth=0)
    axis.axvline(opening / grid, color=GIVEN, linewidth=1, linestyle=(0, (4, 3)))
    for start, roll, color in (
        (0, panel.roll[:opening], GIVEN),
        (opening, panel.roll[opening:], AFTER),
    ):
        drawn = list(notes(roll))
        axis.barh(
            y=[note.pitch for note in drawn],
            left=[(start + note.start) / grid for note in drawn],
            width=[(note.end - note.start) / grid for note in drawn],
            height=0.9,
            color=color,
            edgecolor="white",
            linewidth=0.6,
        )
    place = (opening / grid, 0.985)  # at the end of the band, below its top
    inside = axis.get_xaxis_transform()
    axis.text(*place, "opening ", transform=inside, ha="right", va="top", fontsize=9, color=GIVEN)
    axis.set_title(panel.title, loc="left", fontsize=11)
    axis.set_axisbelow(True)
    axis.grid(color="#D8DADF", linewidth=0.6)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
