"""Batches of sequences of like length, so that little of a batch is padding."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """Which examples make up a batch, -1 where a place stays empty [B]; the padded lengths [K]."""

    examples: np.ndarray
    widths: tuple[int, ...]


class Buckets:
    """Examples of K parallel sequences, divided by length into a few buckets.

    Each bucket pads to its own longest sequences, so there are as many shapes, and compilations, as
    buckets. The division is the one with the least padding among all by the longer sequence.

    As a source of batches it goes through all examples in an order of its own for each epoch; a
    bucket's last batch is filled up with examples of the same bucket.

    Args:
        lengths: of each example's sequences [N, K].
        size: the number of examples in a batch.
        count: the largest number of buckets.
        seed: of the order.
        pool: the lengths of all examples that share the buckets [M, K], those of other splits among
            them; by default `lengths`.

    Example:
        >>> buckets = Buckets(np.array([[2], [9], [3], [8]]), size=2, count=2)
        >>> sorted((sorted(draw.examples.tolist()), draw.widths) for draw in buckets.in_order())
        [([0, 2], (3,)), ([1, 3], (9,))]
    """

    def __init__(
        self,
        lengths: np.ndarray,
        size: int,
        count: int = 4,
        seed: int = 0,
        pool: np.ndarray | None = None,
    ) -> None:
        self._lengths, self._size, self._seed = lengths, size, seed
        pool = lengths if pool is None else pool
        intervals = divide(pool, count)
        self._buckets = [_within(lengths, interval) for interval in intervals]
        self._widths = [
            tuple(int(n) for n in pool[_within(pool, interval)].max(axis=0))
            for interval in intervals
        ]
        self._places = [
            (bucket, start)
            for bucket, members in enumerate(self._buckets)
            for start in range(0, len(members), size)
        ]

    @classmethod
    def of_splits(
        cls, lengths: Mapping[str, np.ndarray], size: int, count: int, seed: int
    ) -> dict[str, Buckets]:
        """The buckets of several splits [N, K] by their names, divided alike."""
        pool = np.concatenate(list(lengths.values()))
        return {name: cls(own, size, count, seed, pool) for name, own in lengths.items()}

    def __len__(self) -> int:
        return len(self._places)

    def draw(self, index: int) -> Draw:
        """The batch of a number from 0 on; every `len(self)` of them are an epoch."""
        epoch, place = divmod(index, len(self))
        order, members = self._epoch(epoch)
        bucket, start = self._places[order[place]]
        own = members[bucket]
        return Draw(np.resize(np.roll(own, -start), self._size), self._widths[bucket])

    def in_order(self) -> list[Draw]:
        """Every example once; places of a batch that are left over are empty."""
        draws = []
        for bucket, start in self._places:
            examples = self._buckets[bucket][start : start + self._size]
            empty = np.full(self._size - len(examples), -1)
            draws.append(Draw(np.concatenate([examples, empty]), self._widths[bucket]))
        return draws

    def padding(self) -> float:
        """The share of the places of an epoch that hold no symbol."""
        drawn = [self.draw(index) for index in range(len(self))]
        places = sum(self._size * sum(draw.widths) for draw in drawn)
        return 1 - sum(int(self._lengths[draw.examples].sum()) for draw in drawn) / places

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def _epoch(self, epoch: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """The order of an epoch's batches, and of each bucket's members."""
        rng = np.random.default_rng((self._seed, epoch))
        members = [rng.permutation(bucket) for bucket in self._buckets]
        return rng.permutation(len(self)), members


def _within(lengths: np.ndarray, interval: tuple[int, int]) -> np.ndarray:
    """The examples whose longer length is in an interval (low, high]."""
    low, high = interval
    longest = lengths.max(axis=1)
    return np.flatnonzero((low < longest) & (longest <= high))


def divide(lengths: np.ndarray, count: int) -> list[tuple[int, int]]:
    """The intervals (low, high] of the longer length that need the least padding, at most `count`.

    Exact, by dynamic programming over the lengths that occur.

    Args:
        lengths: of each example's sequences [N, K], N at least 1.
        count: the largest number of intervals.
    """
    ends, places = np.unique(lengths.max(axis=1), return_inverse=True)
    widths = np.zeros((len(ends), lengths.shape[1]), np.int64)
    np.maximum.at(widths, places, lengths)
    counts = np.bincount(places)
    costs = [  # of one bucket from each length to every one from it on
        np.maximum.accumulate(widths[first:]).sum(axis=1) * np.cumsum(counts[first:])
        for first in range(len(ends))
    ]
    highs = [int(ends[last]) for last in _cheapest(costs, count)]
    return list(zip([-1, *highs[:-1]], highs, strict=True))


def _cheapest(costs: list[np.ndarray], count: int) -> list[int]:
    """Where at most `count` buckets end; `costs[a][b]` is that of one from a to a + b."""
    rest = np.append(np.full(len(costs), np.inf), 0)  # the least cost of all from each place on
    lasts = []
    for _ in range(count):
        options = [row + rest[first + 1 :] for first, row in enumerate(costs)]
        lasts.append([first + int(row.argmin()) for first, row in enumerate(options)])
        rest = np.append([row.min() for row in options], 0)
    ends, first = [], 0
    while first < len(costs):
        ends.append(lasts.pop()[first])
        first = ends[-1] + 1
    return ends


def pad(
    sequences: Sequence[np.ndarray], width: int, filler: int, dtype: np.typing.DTypeLike = np.int32
) -> np.ndarray:
    """Lays sequences [T, ...] side by side [width, B, ...]; what is beyond `width` is cut off."""
    padded = np.full((width, len(sequences), *sequences[0].shape[1:]), filler, dtype)
    for column, sequence in enumerate(sequences):
        padded[: len(sequence), column] = sequence[:width]
    return padded
