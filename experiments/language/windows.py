"""A text as parallel streams, read in windows of equal length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """A stretch of several streams of text.

    Attributes:
        inputs: symbols [T, B].
        targets: the symbols that follow them [T, B].
        weights: 1.0 where the prediction counts, 0.0 in padding and warm-up [T, B].
        fresh: whether a stream starts here and must forget what was before [B].
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    fresh: np.ndarray


class Windows:
    """Text as parallel streams, cut into windows of equal length: a random-access source.

    Stream b holds the b-th of B equal parts, so window k continues window k - 1 in every stream.
    Each symbol after the first is predicted exactly once. With `warm_up`, every stream first reads
    the window before its own part, uncounted, so that no prediction lacks its context.

    With `restart`, every stream is fresh once in so many windows, each stream at another time:
    what a model keeps can then not drift to where it never is when it starts to read.

    Args:
        symbols: the text [N].
        streams: the number of streams B.
        steps: the length T of a window.
        warm_up: whether there is an uncounted window first.
        restart: the number of windows after which a stream is fresh again; 0: never.

    Example:
        >>> windows = Windows(np.arange(9), streams=2, steps=2)
        >>> [window.inputs.tolist() for window in windows]
        [[[0, 4], [1, 5]], [[2, 6], [3, 7]]]
    """

    def __init__(
        self,
        symbols: np.ndarray,
        streams: int,
        steps: int,
        warm_up: bool = False,
        restart: int = 0,
    ):
        self._symbols, self._steps, self._warm_up = symbols, steps, warm_up
        self._restart = restart
        self._count = -(-(len(symbols) - 1) // (streams * steps))
        self._starts = np.arange(streams) * self._count * steps

    def __len__(self) -> int:
        return self._count + self._warm_up

    def __iter__(self) -> Iterator[Window]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Window:
        window = index - self._warm_up
        places = self._starts + window * self._steps + np.arange(self._steps)[:, None]
        inside = (places >= 0) & (places < len(self._symbols) - 1)
        places = np.where(inside, places, 0)
        return Window(
            inputs=self._symbols[places],
            targets=self._symbols[places + 1],
            weights=(inside & (window >= 0)).astype(np.float32),
            fresh=self._fresh(window),
        )

    def _fresh(self, window: int) -> np.ndarray:
        streams = np.arange(len(self._starts))
        fresh = (window == -self._warm_up) | ((streams == 0) & (window == 0))
        if self._restart:
            fresh |= (window + streams) % self._restart == 0
        return fresh
