"""The suites: each a function from the settings to results that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import lstm_jax as lj
from experiments.bench import alone
from experiments.bench.gpu.suite import gpu
from experiments.bench.layers import RACES, layers
from experiments.bench.ours import init, one_device, outputs
from experiments.bench.problem import SEED, Calls, Problem, Shape, gradient_of, jax_calls
from experiments.bench.settings import Settings, say
from experiments.bench.streaming import streaming
from experiments.bench.timing import race, ratio, summarize

LONG = Shape(10_000, 16, 256, 256)
LONG_ROUNDS = 3
LONG_RUNS = {  # method, remat, which outputs have a loss
    "scan, last": ("scan", None, "last"),
    "fused in chunks of 100, last": ("fused", 100, "last"),
    "fused, last": ("fused", None, "last"),
    "fused in chunks of 100, all": ("fused", 100, "all"),
    "fused, all": ("fused", None, "all"),
}
POPULATION, POPULATION_SHAPE = 16, Shape(128, 32, 64, 64)
PRECISION_SHAPE = Shape(128, 32, 128, 128)


def cells(settings: Settings) -> dict[str, Any]:
    """Each cell by the fused method, against itself by scan and against our LSTM."""
    return {str(shape): _cells(shape, settings) for shape in settings.shapes}


def _cells(shape: Shape, settings: Settings) -> dict[str, Any]:
    say(f"cells: {shape}")
    runs: dict[str, Calls] = {"lstm, fused": one_device("fused", Problem("lstm", shape))}
    for name in settings.cells:
        for method in ("fused", "scan"):
            runs[f"{name}, {method}"] = one_device(method, Problem(name, shape))
    found: dict[str, Any] = {}
    for which in RACES:
        times = race({name: getattr(calls, which) for name, calls in runs.items()},
                     settings.seconds)
        found[which] = summarize(times) | {
            "ratios": {
                name: {
                    "lstm": ratio(times[f"{name}, fused"], times["lstm, fused"]),
                    "scan": ratio(times[f"{name}, fused"], times[f"{name}, scan"]),
                }
                for name in settings.cells
            }
        }
    return found


def masks(settings: Settings) -> dict[str, Any]:
    """An LSTM's gradient with lengths in T/2..T, with resets at 2 % of the steps, with neither."""
    return {str(shape): _masks(shape, settings) for shape in settings.shapes}


def _masks(shape: Shape, settings: Settings) -> dict[str, Any]:
    say(f"masks: {shape}")
    problem, cell = Problem("lstm", shape), lj.lstm(shape.hidden)
    rng = np.random.default_rng(SEED)
    lengths = rng.integers(shape.steps // 2, shape.steps, shape.batch, endpoint=True)
    resets = rng.random((shape.steps, shape.batch)) < 0.02
    options = {"none": (None, None), "lengths": (lengths, None), "resets": (None, resets)}
    function, params, arrays = outputs(cell, "fused"), init(cell, problem), problem.arrays()
    calls = {
        name: jax_calls(function, params, *arrays, *given).gradient
        for name, given in options.items()
    }
    times = race(calls, settings.seconds)
    ratios = {name: ratio(times[name], times["none"]) for name in ("lengths", "resets")}
    return summarize(times) | {"ratios": ratios}


def remat(settings: Settings) -> dict[str, Any]:
    """Time and memory of one long sequence's gradient, each way in a process of its own."""
    del settings
    found: dict[str, Any] = {"shape": str(LONG), "rounds": LONG_ROUNDS, "runs": {}}
    for name, (method, chunk, loss) in LONG_RUNS.items():
        say(f"remat: {name}")
        found["runs"][name] = alone.in_fresh_process(
            alone.long_sequence, LONG, method, chunk, loss, LONG_ROUNDS
        )
    return found


def compiling(settings: Settings) -> dict[str, Any]:
    """What the first training step of a character model of two layers takes."""
    del settings
    say("compile: the first steps of the character model")
    return alone.in_fresh_process(alone.first_steps, 2)


def population(settings: Settings) -> dict[str, Any]:
    """The gradients of several models by vmap and by lax.map, against as many runs in turn."""
    say(f"population: {POPULATION} models")
    problem = Problem("lstm", POPULATION_SHAPE)
    cell = lj.lstm(POPULATION_SHAPE.hidden)
    gradient, (xs, dy) = gradient_of(outputs(cell, "fused")), problem.arrays()
    keys = jax.random.split(jax.random.key(SEED), POPULATION)
    params = jax.vmap(lambda key: cell.init(key, POPULATION_SHAPE.inputs))(keys)

    single, together = jax.jit(gradient), jax.jit(jax.vmap(gradient, (0, None, None)))
    mapped = jax.jit(lambda p, xs, dy: jax.lax.map(lambda own: gradient(own, xs, dy), p))
    each = [jax.tree.map(lambda leaf, n=n: leaf[n], params) for n in range(POPULATION)]
    xs, dy = jax.device_put((xs, dy))
    calls: dict[str, Callable[[], Any]] = {
        "vmap": lambda: jax.block_until_ready(together(params, xs, dy)),
        "lax.map": lambda: jax.block_until_ready(mapped(params, xs, dy)),
        "in turn": lambda: [jax.block_until_ready(single(own, xs, dy)) for own in each],
    }
    times = race(calls, settings.seconds)
    ratios = {name: ratio(times[name], times["in turn"]) for name in ("vmap", "lax.map")}
    return summarize(times) | {
        "models": POPULATION, "shape": str(POPULATION_SHAPE), "ratios": ratios
    }


def precision(settings: Settings) -> dict[str, Any]:
    """Errors of an LSTM against float64."""
    del settings
    say("precision: an LSTM against float64")
    errors = alone.in_fresh_process(alone.precision, PRECISION_SHAPE)
    return {"shape": str(PRECISION_SHAPE), "errors": errors}


SUITES: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "layers": layers,
    "cells": cells,
    "masks": masks,
    "remat": remat,
    "compile": compiling,
    "population": population,
    "precision": precision,
    "stream": streaming,
    "gpu": gpu,
}
USUAL = [name for name in SUITES if name != "gpu"]
