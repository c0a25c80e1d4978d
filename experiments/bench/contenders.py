"""The registry of contenders, and which of them can run."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from experiments.bench.ours import OURS, floor
from experiments.bench.peers import PEERS
from experiments.bench.problem import Calls, Problem, Unsuitable, check_outputs

FLOOR = "gemms"
CONTENDERS = {**OURS, **PEERS, FLOOR: floor}
JAX_PEERS = [name for name in PEERS if name != "torch"]


def label(name: str, devices: int) -> str:
    """How tables call a contender."""
    labels = {"fused_devices": f"fused, {devices} devices", FLOOR: "matrix products alone"}
    return labels.get(name, name)


def missing(names: Iterable[str], devices: int) -> dict[str, str]:
    """The contenders that cannot run here, each with the reason."""
    reasons = {}
    for name in names:
        package = name.split(".")[0]
        if name in PEERS and importlib.util.find_spec(package) is None:
            reasons[name] = f"{package} is not installed; pip install -e '.[bench]' brings it"
        elif name == "fused_devices" and devices == 1:
            reasons[name] = "there is one device; --devices=2 makes two"
    return reasons


def build(names: Iterable[str], problem: Problem) -> tuple[dict[str, Calls], dict[str, str]]:
    """The calls of those contenders that can run a problem, and why the others cannot.

    Raises:
        RuntimeError: if a contender's outputs have the wrong shape.
    """
    calls, skipped = {}, {}
    for name in names:
        try:
            calls[name] = CONTENDERS[name](problem)
        except Unsuitable as reason:
            skipped[name] = str(reason)
        else:
            check_outputs(name, calls[name], problem)
    return calls, skipped
