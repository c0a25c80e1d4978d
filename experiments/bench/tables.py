"""The tables of a benchmark, suite by suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from experiments.bench.contenders import label
from experiments.bench.digits import number
from experiments.bench.gpu import tables as gpu
from experiments.bench.layers import BEST, RACES
from experiments.bench.ours import OURS
from experiments.bench.streaming import OURS as OUR_STREAM
from experiments.bench.streaming import microseconds

MILLI, MIB = 1e3, 2.0**-20


class Table(NamedTuple):
    """A title and rows of text, the heading first."""

    title: str
    rows: list[list[str]]


def tables(found: dict[str, Any]) -> list[Table]:
    """The tables of every suite that has run."""
    devices = found["environment"]["devices"]
    built = []
    for name, result in found["suites"].items():
        built += _layers(result, devices) if name == "layers" else BUILDERS[name](result)
    return built


def _layers(result: dict[str, Any], devices: int) -> list[Table]:
    built = []
    for kind, part in result.items():
        for which in RACES:
            medians = {
                shape: {n: q["median"] for n, q in at_shape[which]["seconds"].items()}
                for shape, at_shape in part["shapes"].items()
            }
            built.append(_by_shape(f"{kind}, {which}: ms", medians, devices, MILLI))
        built.append(_means(kind, part["means"], devices))
    alone = {shape: at_shape["alone"] for shape, at_shape in result["lstm"]["shapes"].items()}
    for title, field, scale in [
        ("seconds of the first gradient over a later one", "first_call_seconds", 1.0),
        ("peak memory of a gradient, MiB", "peak_bytes", MIB),
        ("XLA's temporary memory of a gradient, MiB", "temp_bytes", MIB),
    ]:
        values = {
            shape: {name: measured.get(field) for name, measured in at_shape.items()}
            for shape, at_shape in alone.items()
        }
        built.append(_by_shape(f"lstm: {title}", values, devices, scale))
    return built


def _by_shape(
    title: str, values: Mapping[str, Mapping[str, float | None]], devices: int, scale: float
) -> Table:
    """One row a contender, one column a shape."""
    rows = [["T x B x D x H", *values]]
    for name in _names(values.values()):
        row = [number(at_shape.get(name), scale) for at_shape in values.values()]
        rows.append([label(name, devices), *row])
    return Table(title, rows)


def _means(kind: str, means: dict[str, Any], devices: int) -> Table:
    """One row a contender, one column for the best of ours and for each of ours."""
    columns = [(own, which) for own in (BEST, *OURS) for which in RACES if own in means[which]]
    rows = [["our time over that of", *(f"{label(own, devices)}, {w}" for own, w in columns)]]
    for name in _names(means[which][own] for own, which in columns):
        ratios = [means[which][own].get(name, {}).get("ratio") for own, which in columns]
        rows.append([label(name, devices), *map(_ratio, ratios)])
    return Table(f"{kind}: geometric means over shapes; below 1 ours is faster", rows)


def _cells(result: dict[str, Any]) -> list[Table]:
    built = []
    for which in RACES:
        for reference, title in [("lstm", "that of our lstm"), ("scan", "its own by scan")]:
            rows = [["T x B x D x H", *result]]
            for name in _names(at_shape[which]["ratios"] for at_shape in result.values()):
                found = [r[which]["ratios"][name][reference]["median"] for r in result.values()]
                rows.append([name, *map(_ratio, found)])
            built.append(Table(f"cells, {which}: fused time over {title}", rows))
    return built


def _masks(result: dict[str, Any]) -> list[Table]:
    rows = [["T x B x D x H", *result]]
    for name in _names(at_shape["ratios"] for at_shape in result.values()):
        found = [at_shape["ratios"][name]["median"] for at_shape in result.values()]
        rows.append([name, *map(_ratio, found)])
    return [Table("masks, lstm, gradient: time over that without", rows)]


def _remat(result: dict[str, Any]) -> list[Table]:
    rows = [["method, outputs with a loss", "seconds", "peak MiB", "XLA's temporary MiB"]]
    for name, run in result["runs"].items():
        fields = [("seconds", 1.0), ("peak_bytes", MIB), ("temp_bytes", MIB)]
        rows.append([name, *(number(run.get(field), scale) for field, scale in fields)])
    return [Table(f"remat, lstm, gradient at {result['shape']}", rows)]


def _compiling(result: dict[str, Any]) -> list[Table]:
    if "failed" in result:
        return []
    rows = [["", "seconds", "trace", "lower", "compile", "compilations"]]
    for name in ("first_step", "second_step"):
        step = result[name]
        fields = [number(step.get(f)) for f in ("seconds", "trace", "lower", "compile")]
        rows.append([name.replace("_", " "), *fields, str(step["compilations"])])
    return [Table("compile, character model of two layers: seconds of a training step", rows)]


def _population(result: dict[str, Any]) -> list[Table]:
    rows = [["", "ms", "over runs in turn"]]
    for name, quartiles in result["seconds"].items():
        ratio = result["ratios"].get(name, {"median": 1.0})["median"]
        rows.append([name, number(quartiles["median"], MILLI), _ratio(ratio)])
    title = f"population, {result['models']} lstms, gradient at {result['shape']}"
    return [Table(title, rows)]


def _precision(result: dict[str, Any]) -> list[Table]:
    if "failed" in result["errors"]:
        return []
    names = _names(result["errors"].values())
    rows = [["dtype, method", *names]]
    for name, errors in result["errors"].items():
        rows.append([name, *(f"{errors[value]:.1e}" for value in names)])
    title = f"precision, lstm at {result['shape']}: max |error| / max |value| against float64"
    return [Table(title, rows)]


def _stream(result: dict[str, Any]) -> list[Table]:
    units = {n: run for n, run in result["units"].items() if "failed" not in run}
    heading = [part for n in units for part in (f"{n} units, µs", "over lj.stream")]
    rows = [["", *heading]]
    for name in _names(run["seconds"] for run in units.values()):
        row = [name]
        for run in units.values():
            ratio = run["ratios"][OUR_STREAM].get(name, {"median": 1.0})["median"]
            row += [number(microseconds(run["seconds"][name])), _ratio(1 / ratio)]
        rows.append(row)
    return [Table("stream, lstm, one step of one sequence on one core", rows)] if units else []


def _gpu(result: dict[str, Any]) -> list[Table]:
    return [Table(title, rows) for title, rows in gpu.tables(result)]


def _names(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all parts, each once."""
    return list(dict.fromkeys(name for part in parts for name in part))


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


BUILDERS: dict[str, Callable[[dict[str, Any]], list[Table]]] = {
    "cells": _cells,
    "masks": _masks,
    "remat": _remat,
    "compile": _compiling,
    "population": _population,
    "precision": _precision,
    "stream": _stream,
    "gpu": _gpu,
}
