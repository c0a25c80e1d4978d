"""Pieces of music as piano rolls, out of the files that hold them, divided for training and tests.

The chorales are Bach's, once in quarter notes (Boulanger-Lewandowski et al. 2012, arXiv:1206.6392)
and once in sixteenths, voice by voice (github.com/czhuang/JSB-Chorales-dataset). Those in quarters
have been moved into C, major and minor, 6 to 15 semitones above those in sixteenths, which are in
Bach's own keys: of the 382 pieces 356 end above a bass C in the former, 31 in the latter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.data import downloads, files, matlab
from experiments.music import folders
from experiments.music.midi import KEYS, LOWEST

FIELD = "config.task.path"
SPLITS = {"train": "traindata", "valid": "validdata", "test": "testdata"}  # in a MATLAB file
REST = -1  # of a voice, in a JSON file
DATA = {"jsb": downloads.JSB_CHORALES, "jsb16": downloads.JSB_SIXTEENTHS}
GRIDS = {"jsb": 1, "jsb16": 4}  # frames in a quarter note

Pieces = list[np.ndarray]  # piano rolls uint8 [frames, notes] of 0 and 1


class Music(NamedTuple):
    """The pieces of "train", "valid" and "test", and what the results say of their origin."""

    pieces: dict[str, Pieces]
    facts: dict[str, Any]


def load(path: Path, grid: int = 1) -> Music:
    """The pieces of a folder of MIDI files, of a JSON file or of a MATLAB file.

    - A folder is read by `folders.load`.
    - A JSON file, whose name ends in .json, is an object of "train", "valid" and "test": lists of
      pieces, which are lists of frames, which are lists of the MIDI numbers that sound; -1 stands
      for a voice that rests. Voices are merged, so that a note held looks like one repeated.
    - Any other file is MATLAB's, with cells traindata, validdata, testdata of [frames, notes].

    Args:
        path: the folder or file.
        grid: the frames in a quarter note that a folder's files are read with.

    Raises:
        ConfigError: naming the file and what is wrong with it.
    """
    if path.is_dir():
        pieces, facts = folders.load(path, FIELD, grid)
        return Music(pieces, {"data": path.resolve().name, **facts})
    content = files.read_bytes(path, FIELD)
    pieces = read_json(path) if path.suffix.lower() == ".json" else read_matlab(path, content)
    return Music(pieces, {"file": path.name, "sha256": files.sha256(content)})


def read_matlab(path: Path, content: bytes) -> dict[str, Pieces]:
    """The pieces in the cells of a MATLAB file, see `load`."""
    try:
        cells = matlab.read_cells(content)
    except ValueError as error:
        what = f"is no whole MATLAB file of version 5 to 7.2 ({error})"
        raise files.refusal(path, FIELD, what) from error
    pieces: dict[str, Pieces] = {}
    for split, name in SPLITS.items():
        if not cells.get(name):
            needed = ", ".join(SPLITS.values())
            raise files.refusal(path, FIELD, f"has no pieces {name}; give it the cells {needed}")
        pieces[split] = cells[name]
        for number, piece in enumerate(cells[name]):
            if fault := _fault(piece, pieces["train"][0]):
                raise files.refusal(path, FIELD, f"{name}[{number}] {fault}")
    return pieces


def _fault(piece: np.ndarray, first: np.ndarray) -> str:
    """What is wrong with a piece, empty if nothing is."""
    if piece.ndim != 2 or len(piece) < 2 or not 0 < piece.shape[1] == first.shape[1]:
        return f"has the shape {piece.shape}, it must be two or more frames of notes alike"
    if not np.isin(piece, (0, 1)).all():
        return "holds more than zeros and ones"
    return ""


def read_json(path: Path) -> dict[str, Pieces]:
    """The pieces of a JSON file as piano rolls of KEYS notes, see `load`."""
    text = files.read_text(path, FIELD)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise files.refusal(path, FIELD, f"is no JSON ({error}); export it anew") from error
    if not isinstance(content, dict):
        raise files.refusal(path, FIELD, f"must be an object of {', '.join(SPLITS)}")
    try:
        return {split: _pieces(split, content.get(split)) for split in SPLITS}
    except Unlike as error:
        raise files.refusal(path, FIELD, str(error)) from error


class Unlike(Exception):
    """A part of a JSON file is not what it must be; the message begins with its place."""


def _pieces(split: str, found: Any) -> Pieces:
    if not isinstance(found, list) or not found:
        raise Unlike(f"has no pieces at {split}; give it a list of pieces there")
    return [_roll(f"{split}[{number}]", piece) for number, piece in enumerate(found)]


def _roll(place: str, piece: Any) -> np.ndarray:
    """The piano roll of a list of frames."""
    if not isinstance(piece, list) or len(piece) < 2:
        raise Unlike(f"{place} must be a list of two frames or more")
    roll = np.zeros((len(piece), KEYS), np.uint8)
    for number, frame in enumerate(piece):
        if not isinstance(frame, list):
            raise Unlike(f"{place}[{number}] must be a list of MIDI numbers")
        for note in frame:
            if type(note) is not int or not (note == REST or LOWEST <= note < LOWEST + KEYS):
                wanted = f"a MIDI number from {LOWEST} to {LOWEST + KEYS - 1}, or {REST} for a rest"
                raise Unlike(f"{place}[{number}] holds {str(note)[:40]!r}, where must be {wanted}")
            if note != REST:
                roll[number, note - LOWEST] = 1
    return roll


def counts(pieces: dict[str, Pieces]) -> dict[str, int]:
    """How many notes, pieces, and frames after each piece's first there are."""
    return {
        "notes": pieces["train"][0].shape[1],
        **{f"{split}_pieces": len(found) for split, found in pieces.items()},
        **{f"{split}_frames": sum(len(p) - 1 for p in found) for split, found in pieces.items()},
    }
