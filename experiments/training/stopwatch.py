"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import jax

from experiments.training.results import compile_seconds

BUCKETS = ("compile", "data", "step", "evaluation", "checkpoint")
EVENT = "/lstm_jax/"  # with a bucket's name: what jax.monitoring tells its listeners


class Stopwatch:
    """Seconds of a run by bucket, over all its resumptions; compilation has a bucket of its own.

    Example:
        >>> watch = Stopwatch()
        >>> with watch("data"):
        ...     batch = next(batches)
        >>> watch.seconds["data"]
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys((*BUCKETS, "total"), 0.0)
        self._started, self._compiled = time.perf_counter(), compile_seconds()

    def add(self, seconds: Mapping[str, float]) -> None:
        """Adds the seconds of the processes before."""
        for bucket, spent in seconds.items():
            self.seconds[bucket] += spent

    @contextmanager
    def __call__(self, bucket: str) -> Iterator[None]:
        """Adds the time inside, but for compilation, to a bucket, which traces show by its name."""
        jax.monitoring.record_event(EVENT + bucket)
        start, compiled = time.perf_counter(), compile_seconds()
        try:
            with jax.profiler.TraceAnnotation(bucket):
                yield
        finally:
            spent = time.perf_counter() - start - (compile_seconds() - compiled)
            self.seconds[bucket] += max(spent, 0.0)

    def read(self) -> dict[str, float]:
        """The seconds so far, with the total and the compilation up to now."""
        now, compiled = time.perf_counter(), compile_seconds()
        self.seconds["total"] += now - self._started
        self.seconds["compile"] += compiled - self._compiled
        self._started, self._compiled = now, compiled
        return dict(self.seconds)
