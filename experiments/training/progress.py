"""What a run shows while it trains: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich import progress

PLAIN_SECONDS = 10.0


class Shown:
    """Something with a live line, or none, that is shown inside a `with`."""

    _live: progress.Progress | None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()


class Progress(Shown):
    """Shows step, loss, steps a second, items a second and the time left.

    Example:
        >>> with Progress("lstm", steps=100, first=0, unit="sequences") as shown:
        ...     shown.update(10, loss=1.5, steps_rate=20.0, items_rate=640.0)
    """

    def __init__(self, title: str, steps: int, first: int, unit: str) -> None:
        self._title, self._steps, self._unit = title, steps, unit
        self._live = live_line(title, steps, first) if sys.stdout.isatty() else None
        self._printed = 0.0

    def update(self, step: int, loss: float, steps_rate: float, items_rate: float) -> None:
        """Shows the latest figures."""
        rates = f"loss {loss:.4f}, {steps_rate:.1f} steps/s, {items_rate:,.0f} {self._unit}/s"
        if self._live:
            self._live.update(self._live.task_ids[0], completed=step, figures=rates)
        elif time.monotonic() - self._printed > PLAIN_SECONDS:
            self._printed = time.monotonic()
            left = (self._steps - step) / steps_rate if steps_rate else float("nan")
            print(
                f"{self._title}: step {step}/{self._steps}, {rates}, at most {left:.0f} s left",
                flush=True,
            )


def live_line(title: str, total: int, first: int) -> progress.Progress:
    """A line for a terminal, with a bar and a text `figures`."""
    columns = (
        "{task.description}",
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        "{task.fields[figures]}",
        progress.TimeRemainingColumn(),
    )
    live = progress.Progress(*columns)
    live.add_task(title, total=total, completed=first, figures="compiling")
    return live
