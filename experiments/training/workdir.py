"""A run's directory: of one configuration, and in the hands of one run at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ml_collections import ConfigDict

from experiments import mesh
from experiments.config import ConfigError, differences, read_json, to_json
from experiments.training.results import write_json


@contextmanager
def open_workdir(config: ConfigDict, workdir: Path) -> Iterator[None]:
    """Makes the directory of a run, stores its configuration there and keeps others out.

    Where several processes make up the run, the first does this for all.

    Raises:
        ConfigError: if another run is at work there, or one with another configuration was.
    """
    if not mesh.is_main():
        yield
        return
    with _lock_file(workdir) as lock:
        _claim(lock, workdir)
        _store(config, workdir)
        yield


def _lock_file(workdir: Path) -> TextIO:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        return (workdir / "lock").open("a+")
    except OSError as error:
        raise ConfigError(f"--workdir: {error}; choose a directory that can be written") from error


def _claim(lock: TextIO, workdir: Path) -> None:
    """Locks a file until it is closed, by us or by our death."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        raise ConfigError(
            f"another run is at work in {workdir} ({lock.read().strip() or 'just started'});"
            " wait for its end or choose another --workdir"
        ) from error
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {os.uname().nodename}")
    lock.flush()


def _store(config: ConfigDict, workdir: Path) -> None:
    path = workdir / "config.json"
    if not path.exists():
        write_json(path, to_json(config))
        return
    changed = differences(to_json(read_json(path)), to_json(config))
    if changed:
        raise ConfigError(
            f"{workdir} holds a run with another configuration ({'; '.join(changed)});"
            " choose another --workdir"
        )
