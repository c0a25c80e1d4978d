"""Piano rolls out of MIDI files, and as MIDI files, to hear.

A piano roll is an array [T, N] of 0 and 1: note n, the MIDI number LOWEST + n, sounds from the grid
line t to the next if [t, n] is 1. A quarter note has `grid` grid lines.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from experiments.data import files

LOWEST, KEYS = 21, 88  # the MIDI number of a piano's lowest key, and how many keys it has
DRUMS = 9  # MIDI's channel 10: its notes are instruments, not pitches
TICKS = 240  # of a frame that is written
LARGEST = 4_000_000  # bytes of a file that is read
LONGEST = 20_000  # frames of it


class Note(NamedTuple):
    """A MIDI number and the frames (or ticks) from `start` up to, not including, `end`."""

    pitch: int
    start: int
    end: int


class Reading(NamedTuple):
    """The piano roll of a file, uint8 [T, KEYS], and how many notes lie beyond its keys."""

    roll: np.ndarray
    outside: int


def read_midi(path: Path, field: str, grid: int) -> Reading:
    """Reads the notes of a MIDI file onto a grid that counts quarter notes, whatever the tempo.

    A note begins at the grid line nearest to its onset, the later one of two; it is left out if it
    is over by then, as the second one of two eighths is on a grid of quarters. It ends at the line
    nearest to its end, a frame later at the earliest. Onsets within a note that goes on are not to
    be seen in a piano roll.

    A note-off, or a note-on of velocity 0, ends all notes of its track, channel and key; what it
    leaves sounding ends with the track. Notes beyond the piano's keys are left out and counted,
    drums are left out, and pedals and all other events have no effect. The tracks of a file of
    type 2 follow one another.

    Args:
        path: the file.
        field: the config's field that names it.
        grid: grid lines in a quarter note.

    Raises:
        ConfigError: naming the file, if it is damaged or cut short or no MIDI file, counts seconds,
            not quarter notes, holds no note that stays, or is too long.

    Source: MIDI Manufacturers Association, "Standard MIDI Files 1.0" (RP-001).
    """
    file = _open(path, field)
    found, ticks = _ticks(file)
    frames = _line(ticks, grid, file.ticks_per_beat)
    if frames > LONGEST:
        what = f"has {frames} frames, at most {LONGEST} will do; cut it into several files"
        raise files.refusal(path, field, what)
    placed = [note for n in found if (note := _place(n, grid, file.ticks_per_beat))]
    inside = [note for note in placed if LOWEST <= note.pitch < LOWEST + KEYS]
    if not inside:
        what = f"has no note from {LOWEST} to {LOWEST + KEYS - 1} that is no drum's; take it away"
        raise files.refusal(path, field, what)
    roll = np.zeros((max(frames, *(note.end for note in inside)), KEYS), np.uint8)
    for note in inside:
        roll[note.start : note.end, note.pitch - LOWEST] = 1
    return Reading(roll, len(placed) - len(inside))


def _open(path: Path, field: str) -> mido.MidiFile:
    """A MIDI file as events, all that is wrong with it refused."""
    content = files.read_bytes(path, field)
    if len(content) > LARGEST:
        raise files.refusal(path, field, f"has {len(content)} bytes, at most {LARGEST} will do")
    try:
        file = mido.MidiFile(file=io.BytesIO(content))
    except Exception as error:  # whatever a damaged file makes mido raise
        reason = str(error) or "it is cut short"
        what = f"is no whole MIDI file ({reason}); replace it or take it away"
        raise files.refusal(path, field, what) from error
    if file.ticks_per_beat < 1:
        what = "counts seconds (SMPTE) where it must count ticks of a quarter note; export it anew"
        raise files.refusal(path, field, what)
    return file


def _ticks(file: mido.MidiFile) -> tuple[list[Note], int]:
    """The notes of all tracks in ticks, drums left out, and when the last track ends."""
    found, begin, last = [], 0, 0
    for track in file.tracks:
        end = begin + sum(message.time for message in track)
        found += [Note(n.pitch, begin + n.start, begin + n.end) for n in _sounding(track)]
        last = max(last, end)
        begin = end if file.type == 2 else 0
    return found, last


def _sounding(track: mido.MidiTrack) -> Iterator[Note]:
    """The notes of a track in ticks, in the order in which they end."""
    now, since = 0, defaultdict(list)
    for message in track:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        key = message.note, message.channel
        if message.type == "note_on" and message.velocity:
            since[key].append(now)
            continue
        starts = since.pop(key, [])
        yield from (Note(message.note, start, now) for start in starts if start < now)
        if starts and starts[0] < now == starts[-1]:  # struck anew before the old one was let go
            since[key] = [now]
    for (pitch, _), starts in since.items():
        yield from (Note(pitch, start, now) for start in starts)


def _line(tick: int, grid: int, quarter: int) -> int:
    """The grid line nearest to a tick, where a quarter note has `quarter` of them."""
    return (2 * tick * grid + quarter) // (2 * quarter)


def _place(note: Note, grid: int, quarter: int) -> Note | None:
    """A note in ticks as one in frames, None where nothing is left of it."""
    start = _line(note.start, grid, quarter)
    if note.end * grid <= start * quarter:
        return None
    return Note(note.pitch, start, max(start + 1, _line(note.end, grid, quarter)))


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


def write_midi(path: Path, roll: np.ndarray, grid: int = 1, tempo: float = 90.0) -> None:
    """Writes a piano roll as a MIDI file; `read_midi` gives it back.

    Args:
        path: the file.
        roll: [T, N], nonzero where the note LOWEST + n sounds.
        grid: frames in a quarter note.
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
    mido.MidiFile(ticks_per_beat=TICKS * grid, tracks=[track]).save(path)
