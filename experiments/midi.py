"""Piano rolls as MIDI files, to hear, and as pictures, to see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

LOWEST = 21  # the MIDI number of a piano roll's first row, the piano's lowest key
TICKS = 480  # a quarter note


class Note(NamedTuple):
    """A MIDI number and the frames from `start` up to, not including, `end`."""

    pitch: int
    start: int
    end: int


def notes(roll: np.ndarray) -> Iterator[Note]:
    """The notes of a piano roll; one that sounds in consecutive frames is held.

    Args:
        roll: [T, N], nonzero where the note LOWEST + n sounds.
    """
    edges = np.diff(np.pad(roll.astype(bool), ((1, 1), (0, 0))).astype(np.int8), axis=0)
    for key in range(roll.shape[1]):
        starts, ends = np.flatnonzero(edges[:, key] > 0), np.flatnonzero(edges[:, key] < 0)
        for start, end in zip(starts, ends, strict=True):
            yield Note(LOWEST + key, int(start), int(end))


def write_midi(path: Path, roll: np.ndarray, tempo: float = 90.0) -> None:
    """Writes a piano roll whose frames are quarter notes as a MIDI file.

    Args:
        path: the file.
        roll: [T, N], nonzero where the note LOWEST + n sounds.
        tempo: quarter notes a minute.
    """
    events = []  # (frame, sounds, pitch): at equal times notes end before others begin
    for note in notes(roll):
        events += [(note.start, 1, note.pitch), (note.end, 0, note.pitch)]
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)),
            mido.Message("program_change", program=0),
        ]
    )
    now = 0
    for frame, sounds, pitch in sorted(events):
        kind = "note_on" if sounds else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=64, time=(frame - now) * TICKS))
        now = frame
    track.append(mido.MetaMessage("end_of_track", time=(len(roll) - now) * TICKS))
    mido.MidiFile(ticks_per_beat=TICKS, tracks=[track]).save(path)


def plot_rolls(path: Path, rolls: Mapping[str, np.ndarray]) -> None:
    """Draws piano rolls, one below the other, under their titles, as a PNG."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(10, 2.8 * len(rolls)), layout="constrained")
    axes = figure.subplots(len(rolls), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axis, (title, roll) in zip(axes, rolls.items(), strict=True):
        drawn = list(notes(roll))
        axis.barh(
            y=[note.pitch for note in drawn],
            left=[note.start for note in drawn],
            width=[note.end - note.start for note in drawn],
            height=0.9,
            edgecolor="white",
            linewidth=0.3,
        )
        axis.set_title(title, loc="left")
        axis.set_ylabel("MIDI note")
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("quarter notes")
    figure.savefig(path, dpi=120)
