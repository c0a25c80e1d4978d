"""Folders of MIDI files, divided for training and tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.data import files
from experiments.music.midi import read_midi

SUFFIXES = (".mid", ".midi")
SHARE = 10  # one piece in so many is for testing, and one for validation
ORDER = ("test", "valid", "train")  # which of several splits keeps a piece


class Piece(NamedTuple):
    """What a file holds.

    Attributes:
        path: the file.
        part: the first folder in the folder that is read that holds it, "" if there is none.
        roll: its piano roll uint8 [T, KEYS].
        outside: how many notes lie beyond the piano's keys.
        essence: the sha256 of the music, in whatever key, without silence before and after it.
    """

    path: Path
    part: str
    roll: np.ndarray
    outside: int
    essence: str


def load(folder: Path, field: str, grid: int) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    """The pieces of all files *.mid and *.midi in a folder and its folders, see `midi.read_midi`.

    If there are such files in each of its folders train, valid and test, these are the splits.
    Otherwise the pieces are put in the order of the sha256 of their music: the first tenth of them,
    rounded up, is for testing, the second one for validation and the rest for training, however
    the files are named. The same music, even in another key, is kept only once: for testing rather
    than for validation, and for validation rather than for training.

    Args:
        folder: the folder.
        field: the config's field that names it.
        grid: grid lines in a quarter note.

    Returns:
        The piano rolls of "train", "valid" and "test", in the order of their files' names, and what
        the results say about them.

    Raises:
        ConfigError: naming the first file that cannot be used, or the folder if too few are left.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise files.refusal(folder, field, f"holds no file *{' or *'.join(SUFFIXES)}; add some")
    pieces = [_read(path, folder, field, grid) for path in paths]
    given = set(ORDER) <= {piece.part for piece in pieces}
    splits = _as_given(pieces, folder, field) if given else _by_content(pieces)
    if not all(splits.values()):
        kept = ", ".join(f"{len(own)} for {split}" for split, own in splits.items())
        what = f"has too few pieces that differ ({kept}); add some, three are the least"
        raise files.refusal(folder, field, what)
    names = [f"{path.relative_to(folder).as_posix()} {_sha256(path)}\n" for path in paths]
    return {split: [piece.roll for piece in splits[split]] for split in reversed(ORDER)}, {
        "files": len(paths),
        "sha256": files.sha256("".join(names).encode()),  # of their names and their own
        "split": "by folder" if given else "by sha256",
        "repeated_pieces": len(pieces) - sum(map(len, splits.values())),
        "notes_outside": sum(piece.outside for piece in pieces),
    }


def _read(path: Path, folder: Path, field: str, grid: int) -> Piece:
    roll, outside = read_midi(path, field, grid)
    if len(roll) < 2:
        what = f"has one frame, with {grid} in a quarter note, and needs two; take it away"
        raise files.refusal(path, field, what)
    parts = path.relative_to(folder).parts
    return Piece(path, parts[0] if len(parts) > 1 else "", roll, outside, _essence(roll))


def _essence(roll: np.ndarray) -> str:
    frames, notes = np.flatnonzero(roll.any(axis=1)), np.flatnonzero(roll.any(axis=0))
    music = roll[frames[0] : frames[-1] + 1, notes[0] : notes[-1] + 1]
    return files.sha256(f"{music.shape}".encode() + music.tobytes())


def _sha256(path: Path) -> str:
    return files.sha256(path.read_bytes())


def _as_given(pieces: Sequence[Piece], folder: Path, field: str) -> dict[str, list[Piece]]:
    """The splits that the folders train, valid and test make."""
    for piece in pieces:
        if piece.part not in ORDER:
            what = f"has folders {', '.join(ORDER)}, and {piece.path.name} is in none; move it"
            raise files.refusal(folder, field, what)
    known: set[str] = set()
    return {split: _new([p for p in pieces if p.part == split], known) for split in ORDER}


def _by_content(pieces: Sequence[Piece]) -> dict[str, list[Piece]]:
    """The splits that the order of the sha256 of the music makes."""
    different = _new(pieces, set())
    held = math.ceil(len(different) / SHARE)
    ranks = {essence: rank for rank, essence in enumerate(sorted(p.essence for p in different))}
    splits: dict[str, list[Piece]] = {split: [] for split in ORDER}
    for piece in different:
        splits[ORDER[min(ranks[piece.essence] // held, 2)]].append(piece)
    return splits


def _new(pieces: Sequence[Piece], known: set[str]) -> list[Piece]:
    """The first one of each music that is not known, which it is from then on."""
    kept = []
    for piece in pieces:
        if piece.essence not in known:
            known.add(piece.essence)
            kept.append(piece)
    return kept
