"""What a study shows while it trains: trials done, populations at work, the time left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ml_collections import ConfigDict

from experiments.study.search import Population
from experiments.training.progress import PLAIN_SECONDS, Shown, live_line


class Progress(Shown):
    """A live line on a terminal, plain lines elsewhere; several threads may tell it things.

    Work is counted in steps times hidden units, done or skipped because a trial stopped early.
    """

    def __init__(
        self, config: ConfigDict, everything: Sequence[Population], waiting: Sequence[Population]
    ) -> None:
        self._steps = config.train.steps
        self._trials = sum(len(one.trials) for one in everything)
        self._done = self._trials - sum(len(one.trials) for one in waiting)
        self._work = sum(map(_weight, waiting))
        self._finished, self._at_work = 0.0, dict[str, tuple[float, str]]()
        self._lock, self._start, self._printed = threading.Lock(), time.monotonic(), 0.0
        self._live = live_line("trials", self._trials, self._done) if sys.stdout.isatty() else None

    @contextmanager
    def of(self, one: Population) -> Iterator[Share]:
        """Who is to be told about a population while it is at work."""
        name = f"{one.variant} with {one.hidden_size} units"
        self._tell(one.name, 0.0, f"{name}: compiling")
        yield Share(self, one, name)
        with self._lock:
            self._finished += _weight(one)
            self._done += len(one.trials)
            del self._at_work[one.name]

    def update(self, one: Population, name: str, step: int, loss: float) -> None:
        """Notes how far a population is."""
        share = _weight(one) * step / self._steps
        self._tell(one.name, share, f"{name}: step {step}/{self._steps}, loss {loss:.4f}")

    def _tell(self, key: str, share: float, text: str) -> None:
        with self._lock:
            self._at_work[key] = share, text
            self._show()

    def _show(self) -> None:
        texts = "; ".join(text for _, text in self._at_work.values())
        if self._live:
            self._live.update(self._live.task_ids[0], completed=self._done, figures=texts)
        elif time.monotonic() - self._printed > PLAIN_SECONDS:
            self._printed = time.monotonic()
            print(f"{self._done} of {self._trials} trials{self._left()}; {texts}", flush=True)

    def _left(self) -> str:
        if not self._finished:  # so far it has compiled more than trained
            return ""
        done = self._finished + sum(share for share, _ in self._at_work.values())
        seconds = (time.monotonic() - self._start) * (self._work - done) / done
        return f", about {seconds:.0f} s left"


class Share:
    """Tells a study's progress about one population."""

    def __init__(self, progress: Progress, one: Population, name: str) -> None:
        self._progress, self._one, self._name = progress, one, name

    def update(self, step: int, loss: float, steps_rate: float, items_rate: float) -> None:
        """See `experiments.training.loop.Listener`."""
        del steps_rate, items_rate
        self._progress.update(self._one, self._name, step, loss)


def _weight(one: Population) -> float:
    return float(one.hidden_size * len(one.trials))

