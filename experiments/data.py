"""Where batches come from: the standard library's sources, texts as streams of windows."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grain
import numpy as np

from experiments.config import ConfigError
from experiments.mesh import Part

STDLIB_MODULES = """
    abc argparse ast base64 bisect calendar code codecs codeop colorsys configparser contextlib
    copy copyreg csv dataclasses datetime dis enum filecmp fileinput fnmatch fractions functools
    getopt getpass glob graphlib gzip hashlib heapq hmac inspect keyword linecache numbers
    opcode operator os pkgutil pprint queue quopri random reprlib runpy sched secrets selectors
    shelve shlex shutil socket socketserver statistics string subprocess symtable tempfile
    textwrap threading timeit tokenize traceback types typing uuid warnings wave weakref zipapp
"""
STDLIB_CAP = 2_000_000
BATCHES = 2**40  # more than any run draws


def stdlib_text(modules: str = STDLIB_MODULES, cap: int = STDLIB_CAP) -> str:
    """The sources of some modules of this Python's standard library, one after the other.

    The modules exist in Python 3.11, 3.12 and 3.13; their text differs from version to version.

    Args:
        modules: names of modules that are single files, between blanks.
        cap: the largest number of characters.

    Raises:
        ConfigError: if this Python came without its sources.
    """
    directory = Path(sysconfig.get_path("stdlib"))
    text = ""
    for name in modules.split():
        path = directory / f"{name}.py"
        if not path.is_file():
            raise ConfigError(
                f"this Python has no source file {path}; name a text with --config.task.path"
            )
        text += path.read_text(encoding="utf-8")
    return text[:cap]


def endless(batch: Callable[[int], Any]) -> grain.MapDataset:
    """The batches of all numbers from 0 on, each computed from its number when it is drawn."""
    return grain.MapDataset.range(BATCHES).map(batch)


def iterate(batches: grain.MapDataset, part: Part, axes: Any) -> grain.DatasetIterator:
    """Iterates over a process's part of batches; its position can be saved and restored.

    The position counts batches, so that any number of processes can go on from it. No threads
    read ahead: with data in memory that would only take the processor's time.

    Args:
        batches: the whole batches.
        part: the process's part of each.
        axes: see `Task.batch_axes`.
    """
    data = batches.map(lambda batch: part.take(batch, axes)) if part.of > 1 else batches
    return iter(data.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)))


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
