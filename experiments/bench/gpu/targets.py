"""What method "gpu" is meant to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from experiments.bench.gpu.cases import FULL, Case

MET, MISSED, NOT_MEASURED = "met", "missed", "not measured"


class Target(NamedTuple):
    """An upper limit for the cases whose fields have some of the given values.

    Attributes:
        reference: what the median time is divided by, a contender; None: the limit is in
            milliseconds.
        limit: the most that is allowed.
        where: by the name of a field of a case, the values it may have; without it, any.
    """

    reference: str | None
    limit: float
    where: Mapping[str, tuple]

    def __str__(self) -> str:
        what = "ms" if self.reference is None else f"times {self.reference}"
        return f"at most {self.limit:g} {what}"


LSTMS = ("lstm", "peephole_lstm", "coupled_lstm")
TARGETS = (
    Target("torch", 2.0, dict(cell=(*LSTMS, "gru_reset_after"), units=(768,), heads=(1,))),
    Target(None, 8.6, dict(units=(768,), heads=(12,))),
    Target("torch", 0.8, dict(units=(128,))),
    Target("scan", 0.1, {}),
)


def verdicts(
    measured: Mapping[str, Mapping[str, Any]], cases: Iterable[Case] = FULL
) -> list[dict[str, Any]]:
    """The verdict on every target at every case that it is about.

    Args:
        measured: results of `child.measure` by the text of their case.
        cases: what the targets are about.

    Returns:
        For each `target`, `case`, `limit`, `value`, `verdict`, and `reason` if not measured.
    """
    return [
        {"target": str(target), "case": str(case), "limit": target.limit}
        | verdict(target, measured.get(str(case)))
        for target in TARGETS
        for case in cases
        if all(getattr(case, field) in values for field, values in target.where.items())
    ]


def verdict(target: Target, result: Mapping[str, Any] | None) -> dict[str, Any]:
    """Whether a case's result keeps within a target."""
    if result is None:
        return _not_measured("the mode leaves this case out")
    for name in ("gpu", target.reference):
        if name is not None and name not in result["seconds"]:
            return _not_measured(f"{name} is unavailable: {result['unavailable'][name]}")
    seconds = result["seconds"]["gpu"]["median"]
    if target.reference is None:
        value = 1e3 * seconds
    else:
        value = seconds / result["seconds"][target.reference]["median"]
    return {"value": value, "verdict": MET if value <= target.limit else MISSED}


def _not_measured(reason: str) -> dict[str, Any]:
    return {"value": None, "verdict": NOT_MEASURED, "reason": reason}


def in_words(found: Mapping[str, Any]) -> str:
    """A verdict: met, missed by how many times, or why there is none."""
    if found["verdict"] == NOT_MEASURED:
        return f"{NOT_MEASURED}: {found['reason']}"
    if found["verdict"] == MISSED:
        return f"{MISSED} by {found['value'] / found['limit']:.2f} times"
    return MET
