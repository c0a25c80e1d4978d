"""Batches of pieces, moved to other keys while training."""

from __future__ import annotations

from typing import Any

import grain
import numpy as np
from ml_collections import ConfigDict

from experiments.data import batches
from experiments.data.buckets import Buckets, Draw, pad
from experiments.mesh import Part
from experiments.music.model import Chords
from experiments.music.rolls import Pieces

AXES: Any = Chords._make((1, 0))


class Batches:
    """The batches of pieces of like length.

    Args:
        config: `seed`, `train.batch_size`, `task.buckets` and `task.transpose` are used.
        pieces: those of "train", "valid" and "test".
    """

    def __init__(self, config: ConfigDict, pieces: dict[str, Pieces]) -> None:
        self._seed, self._most, self._pieces = config.seed, config.task.transpose, pieces
        lengths = {split: np.array([[len(p)] for p in own]) for split, own in pieces.items()}
        size, count = config.train.batch_size, config.task.buckets
        self._buckets = Buckets.of_splits(lengths, size, count, config.seed)

    def train(self, part: Part) -> grain.DatasetIterator:
        """Endless training batches, see `Task.train_batches`."""
        return batches.iterate(batches.endless(self.drawn), part, AXES)

    def drawn(self, number: int) -> Chords:
        """The training batch of a number, each piece in a key drawn by this and the run's seed."""
        batch = self._batch("train", self._buckets["train"].draw(number))
        if self._most:
            rng = np.random.default_rng((self._seed, number))
            for column in range(len(batch.lengths)):
                piece = batch.roll[:, column]
                piece[:] = transpose(piece, self._most, rng)
        return batch

    def evaluation(self, split: str) -> list[Chords]:
        """Every piece of a split once, as it is."""
        return [self._batch(split, draw) for draw in self._buckets[split].in_order()]

    def _batch(self, split: str, draw: Draw) -> Chords:
        pieces = self._pieces[split]
        chosen = [pieces[n] if n >= 0 else pieces[0][:0] for n in draw.examples]
        lengths = np.array([len(piece) for piece in chosen], np.int32)
        return Chords(pad(chosen, draw.widths[0], 0, np.float32), lengths)


def transpose(piece: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """A piece moved as a whole by a number of semitones, all equally likely that are possible.

    Args:
        piece: a piano roll [T, N].
        most: how many semitones up or down at most; fewer where a note would leave the roll.
        rng: draws the number.

    Returns:
        The roll [T, N] of the moved piece.
    """
    sounding = np.flatnonzero(piece.any(axis=0))
    low, high = sounding[[0, -1]] if len(sounding) else (0, piece.shape[1] - 1)
    shift = rng.integers(-min(most, low), min(most, piece.shape[1] - 1 - high), endpoint=True)
    return np.roll(piece, shift, axis=1)
