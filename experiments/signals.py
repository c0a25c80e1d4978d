"""SIGINT and SIGTERM: the first ends a command in good order, the second at once.

What a command was doing decides what good order is. Training defers the end until its state is
saved; anything else, which has nothing to lose, ends where it is. Either way the exit code is
EXIT_CODE, and the same command goes on with the work. A second signal exits with 128 + its number,
even while XLA compiles: a thread waits for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax
import numpy as np
from jax.experimental import multihost_utils

EXIT_CODE = 75  # sysexits.h: EX_TEMPFAIL, try again
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal asked the command to end."""


class _Inbox:
    """Which signal came, and whether the work at hand wants to be told or to ask."""

    received = False
    deferred = False
    watcher: threading.Thread | None = None


def install() -> None:
    """Handles both signals from now on; may be called again after somebody else took them."""
    for number in SIGNALS:
        signal.signal(number, _handle)
    if _Inbox.watcher is None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        _Inbox.watcher = threading.Thread(target=_watch, args=(reader,), daemon=True)
        _Inbox.watcher.start()


@contextmanager
def deferred() -> Iterator[None]:
    """Inside, a signal waits for the next `check`."""
    _Inbox.deferred = True
    try:
        yield
    finally:
        _Inbox.deferred = False


def check() -> None:
    """Raises `Interrupted` if a signal came, to this process or to any other of the run."""
    received = _Inbox.received
    if jax.process_count() > 1:
        received = bool(np.any(multihost_utils.process_allgather(np.array(received))))
    if received:
        raise Interrupted


def _handle(number: int, frame: FrameType | None) -> None:
    _Inbox.received = True
    if not _Inbox.deferred:
        raise Interrupted


def _watch(reader: int) -> None:
    """Reads the numbers of signals as they come, whatever the main thread is doing."""
    came = 0
    while number := os.read(reader, 1):
        if number[0] in SIGNALS:
            came += 1
        if came > 1:
            os._exit(128 + number[0])
        if came:
            name = signal.Signals(number[0]).name
            print(f"{name}: ending in good order; once more to end at once", file=sys.stderr)
