"""Sequences with their labels, and batches of them by length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import grain
import numpy as np
from ml_collections import ConfigDict

from experiments.data import batches
from experiments.data.buckets import Buckets, Draw, pad
from experiments.data.files import sha256
from experiments.mesh import Part

Arrays = Sequence[np.ndarray] | np.ndarray
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""From a training input [T, D] to another one, of its dtype and not longer."""


class Split(NamedTuple):
    """The examples of a split.

    Attributes:
        inputs: of each example [T, D], T at least 1.
        labels: of each example int32 [L]; a class is a sequence of one label.
    """

    inputs: Arrays
    labels: Arrays

    def lengths(self) -> np.ndarray:
        """T and L of each example [N, 2]."""
        return np.array([list(map(len, self.inputs)), list(map(len, self.labels))]).T


class Batch(NamedTuple):
    """Padded inputs [T, B, D] and labels [B, L] with the lengths of both [B].

    Where `present` [B] is false, the place is empty and both lengths are 0.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    label_lengths: np.ndarray
    present: np.ndarray


AXES: Any = Batch._make((1, 0, 0, 0, 0))


class Batches:
    """The batches of a task's splits.

    Args:
        config: `train.batch_size`, `seed` and, if there is one, `task.buckets` are used.
        splits: "train", "valid" and "test".
        augment: what makes a training input another one each time.
    """

    def __init__(
        self, config: ConfigDict, splits: Mapping[str, Split], augment: Augment | None = None
    ) -> None:
        self._config, self._splits, self._augment = config, splits, augment

    @cached_property
    def _buckets(self) -> dict[str, Buckets]:
        lengths = {name: split.lengths() for name, split in self._splits.items()}
        size, count = self._config.train.batch_size, self._config.task.get("buckets", 1)
        return Buckets.of_splits(lengths, size, count, self._config.seed)

    def train(self, part: Part) -> grain.DatasetIterator:
        """Endless training batches, see `Task.train_batches`."""
        return batches.iterate(batches.endless(self.drawn), part, AXES)

    def drawn(self, number: int) -> Batch:
        """The training batch of a number."""
        rng = np.random.default_rng((self._config.seed, number))
        return self._batch("train", self._buckets["train"].draw(number), rng)

    def evaluation(self, split: str) -> list[Batch]:
        """Every example of a split once, as it is."""
        return [self._batch(split, draw) for draw in self._buckets[split].in_order()]

    def facts(self) -> dict[str, Any]:
        """What the results say about the examples."""
        return {
            **{f"{name}_examples": len(split.inputs) for name, split in self._splits.items()},
            "sha256": sha256(b"".join(map(_essence, self._splits.values()))),
            "padding": self._buckets["train"].padding(),
        }

    def _batch(self, split: str, draw: Draw, rng: np.random.Generator | None = None) -> Batch:
        inputs, labels = self._splits[split]
        steps, width = draw.widths
        present = draw.examples >= 0
        chosen = [inputs[n] if n >= 0 else inputs[0][:0] for n in draw.examples]
        if rng is not None and self._augment is not None:
            chosen = [self._augment(sequence, rng) for sequence in chosen]
        said = [labels[n] if n >= 0 else labels[0][:0] for n in draw.examples]
        padded, lengths = side_by_side(chosen, steps)
        symbols, label_lengths = side_by_side(said, width)
        return Batch(padded, lengths, symbols.T, label_lengths, present)


def _essence(split: Split) -> bytes:
    """What tells a split from any other, and is the same wherever it is made.

    Lengths, labels and whole numbers count to the bit. Real inputs may differ in their last bits
    from machine to machine: of them count the norm and the scalar product with random numbers, to
    a thousandth of the norm.
    """
    labels = (np.asarray(own, np.int32).tobytes() for own in split.labels)
    exact = b"".join([split.lengths().astype(np.int64).tobytes(), *labels])
    if np.issubdtype(split.inputs[0].dtype, np.integer):
        return exact + b"".join(sequence.tobytes() for sequence in split.inputs)
    random, product, squares = np.random.default_rng(0), 0.0, 0.0
    for sequence in split.inputs:
        values = np.ravel(sequence).astype(np.float64)
        product += float(values @ (random.random(len(values)) - 0.5))
        squares += float(values @ values)
    norm = math.sqrt(squares)
    return exact + f"{norm:.3e} {product / (norm or 1):.3f}".encode()


def groups(inputs: Arrays, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All inputs in their order, `size` at a time: padded [T, size, D] alike, with lengths [size].

    Places that are left over in the last group are empty, of length 0.
    """
    longest = max(map(len, inputs))
    for start in range(0, len(inputs), size):
        some = list(inputs[start : start + size])
        yield side_by_side(some + [inputs[0][:0]] * (size - len(some)), longest)


def side_by_side(sequences: Sequence[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [T, ...] padded to [width, B, ...], and their lengths [B]."""
    lengths = np.array(list(map(len, sequences)), np.int32)
    return pad(sequences, width, 0, sequences[0].dtype), lengths
