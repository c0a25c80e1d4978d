"""The tables of the suite `gpu`, as a title and rows of text, the heading first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.bench.contenders import label
from experiments.bench.digits import number
from experiments.bench.gpu.contenders import PORTABLE
from experiments.bench.gpu.targets import in_words

Rows = list[list[str]]

MILLI = 1e3
HEADING = ["by", "ms", "over torch", "µs a step", "over the products alone", "off scan", ""]


def tables(result: Mapping[str, Any]) -> Iterator[tuple[str, Rows]]:
    """One table a case, then command buffers, repetitions and verdicts."""
    for case, found in result["cases"].items():
        yield f"gpu, {case}: forward and backward", times(found)
    yield "gpu: loops in XLA's command buffers, time over that without", buffers(result["cases"])
    yield "gpu: the same input again and again", repetitions(result["cases"])
    yield "gpu: targets", targets(result["targets"])


def times(found: Mapping[str, Any]) -> Rows:
    """One row a contender; who could not run has the reason for a time."""
    rows = [HEADING]
    for name, quartiles in found["seconds"].items():
        numbers = [
            number(found[field].get(name))
            for field in ("ratios", "microseconds_a_step", "over_floor")
        ]
        off = found["differences"].get(name)
        error = "–" if off is None else f"{off:.1e}"
        rows.append([label(name, 1), number(quartiles["median"], MILLI), *numbers, error, ""])
    for name, why in found["unavailable"].items():
        rows.append([label(name, 1), *["–"] * 5, f"unavailable: {why}"])
    return rows


def buffers(cases: Mapping[str, Any]) -> Rows:
    """One row a case."""
    rows = [["layer", *PORTABLE]]
    for case, found in cases.items():
        part = found["command_buffers"]
        rows.append([case, *(_buffered(part, name) for name in PORTABLE)])
    return rows


def _buffered(part: Mapping[str, Any], name: str) -> str:
    if name in part["unavailable"]:
        return f"unavailable: {part['unavailable'][name]}"
    return number(part["over_without"].get(name))


def repetitions(cases: Mapping[str, Any]) -> Rows:
    """One row a case, of method "gpu"."""
    rows = [["layer", "gpu"]]
    for case, found in cases.items():
        why = found["unavailable"].get("gpu", "none were asked for")
        rows.append([case, in_bits(found.get("repetitions", {"failed": why}))])
    return rows


def in_bits(found: Mapping[str, Any]) -> str:
    """What `child.repeat` found, in words."""
    if "failed" in found:
        return f"not repeated: {found['failed']}"
    if found["differing"]:
        return f"{found['differing']:,} of {found['repetitions']:,} repetitions differ"
    return f"{found['repetitions']:,} repetitions bitwise equal"


def targets(found: list[dict[str, Any]]) -> Rows:
    """One row a target and case."""
    rows = [["layer", "target", "value", "verdict"]]
    for one in found:
        rows.append([one["case"], one["target"], number(one["value"]), in_words(one)])
    return rows
