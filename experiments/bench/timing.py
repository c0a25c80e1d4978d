"""Races: contenders timed in turn, so that what slows the machine slows all of them."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.bench.problem import SEED

LEAST_ROUNDS = 5
Times = dict[str, list[float]]
Quartiles = dict[str, float]


def race(calls: Mapping[str, Callable[[], Any]], seconds: float) -> Times:
    """Times every contender once a round, each round in another order.

    A timed call follows an untimed one of the same contender, which brings its data into the
    caches and lets the threads of the one before come to rest.

    Args:
        calls: by name; each returns when all is computed.
        seconds: what the race takes in all, unless `LEAST_ROUNDS` take longer.

    Returns:
        The seconds of each contender's call, round by round.
    """
    times: Times = {name: [] for name in calls}
    rng = np.random.default_rng(SEED)
    with _no_garbage_collection():
        started, rounds = time.perf_counter(), 0
        while calls and (rounds < LEAST_ROUNDS or time.perf_counter() - started < seconds):
            for place in rng.permutation(len(calls)):
                name = list(calls)[place]
                calls[name]()
                times[name].append(seconds_of(calls[name]))
            rounds += 1
    return times


def seconds_of(call: Callable[[], Any]) -> float:
    """The seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def summarize(times: Times, references: Iterable[str] = ()) -> dict[str, Any]:
    """A race as the results hold it.

    Returns:
        `rounds`, `seconds` (quartiles by contender), and `ratios`: for each reference, the
        quartiles of its time over each other contender's in the same round.
    """
    return {
        "rounds": max(map(len, times.values()), default=0),
        "seconds": {name: quartiles(values) for name, values in times.items()},
        "ratios": {
            own: {name: ratio(times[own], times[name]) for name in times if name != own}
            for own in references
            if own in times
        },
    }


def ratio(times: Sequence[float], others: Sequence[float]) -> Quartiles:
    """Quartiles of the ratios times/others, round by round."""
    return quartiles(np.asarray(times) / np.asarray(others))


def quartiles(values: Sequence[float] | np.ndarray) -> Quartiles:
    """The lower quartile, the median and the upper quartile."""
    lower, median, upper = np.percentile(values, [25, 50, 75]).tolist()
    return {"lower": lower, "median": median, "upper": upper}


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
