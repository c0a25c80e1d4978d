"""The race of the layers: ours, other libraries', and the matrix products alone."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from experiments.bench import alone
from experiments.bench.contenders import JAX_PEERS, build
from experiments.bench.ours import OURS
from experiments.bench.problem import Problem, Shape
from experiments.bench.settings import Settings, say
from experiments.bench.timing import race, summarize

KINDS = ("lstm", "gru_reset_after", "rnn")
RACES = ("gradient", "forward")
BEST, BEST_PEER = "best of ours", "fastest JAX peer"


def layers(settings: Settings) -> dict[str, Any]:
    """Forward and gradient of three kinds of layers; for the LSTM first calls and memory too."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        races = {str(shape): _races(kind, shape, settings) for shape in settings.shapes}
        found[kind] = {"shapes": races, "means": means(races.values())}
    for shape in settings.shapes:
        at_shape = found["lstm"]["shapes"][str(shape)]
        at_shape["alone"] = _alone(shape, at_shape["gradient"]["seconds"], settings)
    return found


def means(races: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Geometric means over shapes of our time over each contender's; below 1 we are faster.

    Besides each of our ways alone, `BEST` takes the fastest at each shape; besides each
    contender, `BEST_PEER` is the fastest other JAX library there.

    Returns:
        By "gradient" and "forward", by ours, by contender: `ratio` and the number of `shapes`.
    """
    races = list(races)
    return {which: _means([r[which] for r in races]) for which in RACES}


def _means(races: list[dict[str, Any]]) -> dict[str, Any]:
    ratios: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in races:
        own, peer = fastest(result, OURS), fastest(result, JAX_PEERS)
        for name, others in result["ratios"].items():
            for shown in [name, BEST] if name == own else [name]:
                for other, ratio in others.items():
                    ratios[shown][other].append(ratio["median"])
                if peer:
                    ratios[shown][BEST_PEER].append(others[peer]["median"])
    return {
        own: {
            name: {"ratio": statistics.geometric_mean(values), "shapes": len(values)}
            for name, values in others.items()
        }
        for own, others in ratios.items()
    }


def fastest(result: dict[str, Any], names: Iterable[str]) -> str | None:
    """The one of `names` with the smallest median in a race, None if none of them ran."""
    seconds = {n: result["seconds"][n]["median"] for n in names if n in result["seconds"]}
    return min(seconds, key=lambda name: seconds[name], default=None)


def _races(kind: str, shape: Shape, settings: Settings) -> dict[str, Any]:
    say(f"layers: {kind} {shape}")
    calls, skipped = build(settings.contenders, Problem(kind, shape, settings.devices))
    for name, reason in skipped.items():
        say(f"  without {name}: {reason}")
    found: dict[str, Any] = {"skipped": skipped}
    for which in RACES:
        raced = race({name: getattr(c, which) for name, c in calls.items()}, settings.seconds)
        found[which] = summarize(raced, OURS)
        times = found[which]["seconds"].items()
        shown = ", ".join(f"{name} {1000 * quartiles['median']:.3g}" for name, quartiles in times)
        say(f"  {which}, ms: {shown}")
    return found


def _alone(shape: Shape, names: Iterable[str], settings: Settings) -> dict[str, Any]:
    found = {}
    for name in names:
        say(f"layers: lstm {shape}, {name} in a process of its own")
        problem = Problem("lstm", shape, settings.devices)
        found[name] = alone.in_fresh_process(alone.contender, name, problem)
    return found
