"""Checkpoints: one pytree and a little JSON a step, written whole or not at all, by Orbax.

A checkpoint is a directory named by its step. Beside what Orbax writes it holds a record: the run's
configuration, the JSON, each leaf's dtype, shape and sha256, each file's sha256, and that of all
this. The files are checked before Orbax reads them, the leaves afterwards.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from experiments.config import ConfigError, differences, first_line
from experiments.data.files import sha256

RECORD = "record.json"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Damaged(Exception):
    """A checkpoint that cannot be read, or that holds something else than was saved."""


class Checkpoints:
    """The latest two checkpoints of a run; a damaged one is set aside when restoring.

    With several processes, all of them save and restore together.

    Example:
        >>> with Checkpoints(directory, to_json(config)) as checkpoints:
        ...     checkpoints.save(10, state, {"iterator": 10})
        ...     state, extra = checkpoints.restore(state)
    """

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        """Makes the directory; removes what a killed process left unfinished there.

        Args:
            directory: the place of the checkpoints, and of nothing else.
            config: the run's configuration as JSON holds it.
        """
        self._directory, self._config = directory.absolute(), config
        self._unfinished = self._directory / "unfinished"
        self._directory.mkdir(parents=True, exist_ok=True)
        self._tidy()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self._tidy()

    def save(self, step: int, state: Any, extra: dict[str, Any]) -> None:
        """Saves the pytree `state` and JSON `extra`; returns when they are on the disk.

        Waiting is deliberate: the next training step reuses the state's buffers.

        Raises:
            RuntimeError: if they cannot be written; earlier checkpoints are as they were.
        """
        arrays = {name: _fetch(leaf) for name, leaf in _named(state).items()}
        try:
            self._write(step, arrays, {"config": self._config, "extra": extra})
        except Exception as error:  # a full disk has many names
            raise RuntimeError(self._failure(step, error)) from error
        if jax.process_index() == 0:
            for old in sorted(_steps(self._directory) - {step})[:-1]:
                shutil.rmtree(self._directory / str(old))

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Loads the latest checkpoint that is whole; later ones are renamed to `STEP.damaged`.

        Args:
            like: a pytree of arrays, or of shapes with dtypes and shardings.

        Returns:
            (state, extra) with the structure and shardings of `like`; None without a checkpoint.

        Raises:
            ConfigError: if the checkpoint belongs to another configuration.
            RuntimeError: if its arrays do not fit `like`, or all checkpoints are damaged.
        """
        found = _latest(self._directory, _set_aside)
        if found is None:
            return None
        return _place(self._directory, self._config, *found, like)

    def _write(self, step: int, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> None:
        free = shutil.disk_usage(self._directory).free
        if free < sum(array.nbytes for array in arrays.values()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        new = self._unfinished / str(step)
        with _quiet():
            ocp.save(new, arrays, overwrite=True)
        if jax.process_index() == 0:
            record = {**record, "leaves": _describe(arrays)}
            _publish(new, self._directory / str(step), record)

    def _failure(self, step: int, error: Exception) -> str:
        text = "".join(traceback.format_exception(error))
        if any(os.strerror(code) in text for code in FULL):
            reason, advice = "the disk is full", "free some space"
        else:
            reason, advice = first_line(error), "mend this"
        latest = max(_steps(self._directory), default="none")
        return (
            f"checkpoint {step} cannot be written to {self._directory} ({reason}); the latest"
            f" whole one is {latest}; {advice} and run the same command again"
        )

    def _tidy(self) -> None:
        """Removes what is unfinished; a step that was about to be replaced comes back."""
        if jax.process_index() == 0:
            for old in self._unfinished.glob("*.old"):
                if not (self._directory / old.stem).exists():
                    old.rename(self._directory / old.stem)
            shutil.rmtree(self._unfinished, ignore_errors=True)


def read(directory: Path, config: dict[str, Any], like: Any) -> tuple[Any, dict[str, Any]] | None:
    """What `Checkpoints.restore` returns, perhaps of a run that is training; changes nothing.

    Raises:
        ConfigError: if the checkpoint belongs to another configuration.
        RuntimeError: if its arrays do not fit `like`, or all checkpoints are damaged.
    """
    found = _latest(directory.absolute(), _pass_over)
    return found and _place(directory, config, *found, like)


def _latest(
    directory: Path, skip: Callable[[Path, Damaged], None]
) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The record and the arrays of the latest whole checkpoint; `skip` is told the damaged ones.

    The directory is listed afresh each time: a run may go on in it.
    """
    skipped: set[int] = set()
    while (step := _first_process(max(_steps(directory) - skipped, default=-1))) >= 0:
        path = directory / str(step)
        found, reason = None, Damaged("another process cannot read it")
        try:
            found = _read(path)
        except Damaged as error:
            reason = error
        if _all_processes(found is not None):
            return found
        skip(path, reason)
        skipped.add(step)
    names = sorted(path.name for path in directory.glob("[0-9]*"))
    if names:
        raise RuntimeError(
            f"no checkpoint in {directory} can be read, {' and '.join(names)} are damaged;"
            " put back a whole one under its number, or delete them to start afresh"
        )
    return None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and the arrays of a checkpoint, checked against their hashes."""
    try:
        record = _read_record(path)
        with _quiet():
            arrays = ocp.load(path)
        found = _describe(arrays)
    except (Damaged, MemoryError, PermissionError):
        raise
    except Exception as error:  # whatever a damaged file makes Python and Orbax raise
        raise Damaged(f"{type(error).__name__}: {error}") from error
    for name in {**record["leaves"], **found}:
        if found.get(name) != record["leaves"].get(name):
            raise Damaged(f"{name} is not what was saved")
    return record, arrays


def _read_record(path: Path) -> dict[str, Any]:
    """The record of a checkpoint, once all files are found to be what was written."""
    signed = json.loads((path / RECORD).read_bytes())
    if signed != _sign(signed["record"]):
        raise Damaged(f"{RECORD} is not what was written")
    for name, digest in signed["record"]["files"].items():
        if _digest(path / name) != digest:
            raise Damaged(f"{name} is not what was written")
    return signed["record"]


def _place(
    directory: Path,
    config: dict[str, Any],
    record: dict[str, Any],
    arrays: dict[str, np.ndarray],
    like: Any,
) -> tuple[Any, dict[str, Any]]:
    """Puts the arrays where and in what structure `like` has them, if all of it fits."""
    changed = differences(record["config"], config)
    if changed:
        raise ConfigError(
            f"{directory} holds checkpoints of another configuration"
            f" ({'; '.join(changed)}); choose another --workdir"
        )
    names = _named(like)
    for name in {**names, **arrays}:
        old, new = _type(arrays.get(name)), _type(names.get(name))
        if old != new:
            raise RuntimeError(
                f"the checkpoints in {directory} are of another version of the code: {name} was"
                f" {old}, now {new}; go on with that version or choose another --workdir"
            )
    leaves = [
        jax.make_array_from_callback(leaf.shape, leaf.sharding, arrays[name].__getitem__)
        for name, leaf in names.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves), record["extra"]


def _publish(new: Path, final: Path, record: dict[str, Any]) -> None:
    """Gives a checkpoint its final place once all of it, with its record, is on the disk."""
    files = {str(p.relative_to(new)): _digest(p) for p in new.rglob("*") if p.is_file()}
    (new / RECORD).write_text(json.dumps(_sign({**record, "files": files})))
    for path in (*new.rglob("*"), new):
        _flush(path)
    old = new.with_name(f"{final.name}.old")
    if final.exists():
        final.rename(old)
    new.rename(final)
    _flush(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_aside(path: Path, error: Damaged) -> None:
    if jax.process_index() == 0:
        names = (f"{path.name}.damaged{n}" for n in itertools.chain([""], itertools.count(2)))
        new = next(path.with_name(name) for name in names if not path.with_name(name).exists())
        path.rename(new)
        logging.error("checkpoint %s is damaged (%s); it is now %s", path, error, new.name)


def _pass_over(path: Path, error: Damaged) -> None:
    if path.exists():  # and was not just deleted by a run that goes on
        logging.error("checkpoint %s is damaged (%s); it is passed over", path, error)


def _steps(directory: Path) -> set[int]:
    return {int(path.name) for path in directory.glob("*") if path.name.isdecimal()}


def _named(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree under names such as "params/kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _describe(arrays: dict[str, np.ndarray]) -> dict[str, list[str]]:
    return {name: [_type(array), sha256(array.tobytes())] for name, array in arrays.items()}


def _type(array: Any) -> str:
    return "absent" if array is None else f"{array.dtype}{list(array.shape)}"


def _sign(record: dict[str, Any]) -> dict[str, Any]:
    return {"record": record, "sha256": sha256(json.dumps(record).encode())}


@contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs the tracebacks of its threads; what they say is in the exception too."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _fetch(leaf: Any) -> np.ndarray:
    """A leaf's whole value, also if other processes hold parts of it."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        leaf = multihost_utils.process_allgather(leaf, tiled=True)
    return np.asarray(leaf)


def _first_process(value: int) -> int:
    """The first process's value, in all of them."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def _all_processes(value: bool) -> bool:
    return bool(multihost_utils.process_allgather(np.array(value)).all())
