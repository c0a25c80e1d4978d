"""What gates and memory cells do while a network reads: heat maps, colored text, trackers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from experiments.inspection.calls import symbols
from experiments.inspection.run import Run, middle
from experiments.inspection.section import Section, file_name
from lstm_jax import analysis
from lstm_jax.analysis import Layer

STEPS = 80  # of a heat map
CHARACTERS = 720  # of a colored text
TRACKERS, LEAST = 4, 0.3  # that are shown at most, and their least correlation


def sections(run: Run) -> Iterator[Section]:
    """A heat map for every task; for character models the cells that track something as well."""
    read = symbols(run.task, run.params, run.reading)
    title, batches = next(iter(run.parts.items()))
    layer = middle(batches)
    start = 0 if read is None else min(len(layer.xs) // 2, max(len(layer.xs) - STEPS, 0))
    yield from _heat_map(title, layer, read, start)
    if read is not None and max(map(len, read)) == 1:
        for title, batches in run.parts.items():
            yield from _trackers(title, batches[0], read)


def _heat_map(
    title: str, layer: Layer, read: list[str] | None, start: int
) -> Iterator[Section]:
    part = slice(start, start + STEPS)
    kept = np.asarray(analysis.retention(layer))[part, 0]
    kept = kept.reshape(len(kept), -1)[np.asarray(layer.mask)[part, 0]]
    if not kept.size or not np.ptp(kept):
        return
    marks = [""] * len(kept) if read is None else read[part]
    yield Section(
        "retention",
        f"What is kept, and when is it let go? ({title})",
        "For each unit and step, what the unit keeps of its memory: the forget gate of an LSTM,"
        " what the update gate of a GRU leaves of the old state. Bright is kept, dark is forgotten;"
        " a dark stripe from top to bottom is a step at which the whole layer makes room for"
        " something new.",
        analysis.plot_heat_map(marks, kept),
        [],
    )


def _trackers(title: str, layer: Layer, read: list[str]) -> Iterator[Section]:
    memory = np.asarray(layer.record[layer.memory])[:, 0]
    text = "".join(read)
    found = analysis.trackers(memory, analysis.text_features(text))
    for tracker in [own for own in found if abs(own.correlation) >= LEAST][:TRACKERS]:
        values = np.tanh(memory[:, tracker.unit])
        start = len(text) // 2
        part = slice(start, start + CHARACTERS)
        yield Section(
            file_name("tracker", tracker.feature, title),
            f"A unit for “{tracker.feature}” ({title})",
            f"Of all units, unit {tracker.unit} follows “{tracker.feature}” best in the first half"
            " of the text; this is the beginning of the second half. The color behind a character"
            " is tanh of the unit's memory after reading it.",
            analysis.plot_text(read[part], values[part]),
            [
                f"In the second half, which had no part in the choice, its correlation with"
                f" “{tracker.feature}” is {tracker.correlation:.2f}."
            ],
        )
