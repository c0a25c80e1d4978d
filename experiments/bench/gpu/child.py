"""One case in a process of its own, so that nothing of it can harm the next.

A kernel that fails can make every later call of its process fail, and one that waits for ever
ends with its process alone. The flags of XLA are read once a process:

    --xla_gpu_enable_command_buffer=+WHILE
        Adds whole loops to what XLA records into command buffers, which on CUDA are graphs;
        by default it records single steps. A list without signs would replace the default one.
    --xla_gpu_graph_min_graph_size=1
        Records however few operations there are; by default five or more.

XLA records a loop only if everything in it can be recorded, else it runs as without the flags.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bench.contenders import FLOOR
from experiments.bench.gpu.cases import Case
from experiments.bench.gpu.contenders import METHODS, TORCH, Call, build, reason
from experiments.bench.timing import race, summarize

ROOT = Path(__file__).parents[3]
COMMAND_BUFFERS = "--xla_gpu_enable_command_buffer=+WHILE --xla_gpu_graph_min_graph_size=1"
PATIENCE = 300.0  # seconds beyond those of the race
WORDS = {1: "uint8", 2: "uint16", 4: "uint32"}


def in_child(
    case: Case, names: Sequence[str], seconds: float, repetitions: int = 0, flags: str = ""
) -> dict[str, Any]:
    """What `measure` returns in a process whose XLA has further flags.

    Returns:
        It, or `{"failed": reason}` if the process died or gave no answer.
    """
    request = dict(case=dataclasses.asdict(case), names=list(names), seconds=seconds,
                   repetitions=repetitions)
    try:
        done = subprocess.run(
            command(request), env=environment(os.environ, flags), cwd=ROOT, check=False,
            capture_output=True, text=True, timeout=PATIENCE + seconds,
        )
    except subprocess.TimeoutExpired as error:
        return {"failed": f"the process gave no answer in {error.timeout:.0f} seconds"}
    if done.returncode:
        last = (done.stderr.splitlines() or [""])[-1]
        return {"failed": f"the process ended with code {done.returncode} ({last})"}
    return json.loads(done.stdout.splitlines()[-1])


def command(request: Mapping[str, Any]) -> list[str]:
    """The command that measures what is asked for, and prints JSON."""
    return [sys.executable, "-m", "experiments.bench.gpu.child", json.dumps(request)]


def environment(variables: Mapping[str, str], flags: str) -> dict[str, str]:
    """A process's variables with further flags of XLA, after those that are there."""
    if not flags:
        return dict(variables)
    return {**variables, "XLA_FLAGS": f"{variables.get('XLA_FLAGS', '')} {flags}".strip()}


def measure(case: Case, names: Sequence[str], seconds: float, repetitions: int) -> dict[str, Any]:
    """Races the named contenders at a case.

    Returns:
        `rounds`; `seconds`, quartiles by contender; `unavailable`, reasons by contender;
        `differences` of ours from "scan"; what `derived` and, for "gpu", `repeat` return.
    """
    calls, unavailable = build(names, case)
    methods = {name: call for name, call in calls.items() if name in METHODS}
    found = {"unavailable": unavailable, "differences": differences(methods)}
    if repetitions and "gpu" in calls:
        found["repetitions"] = repeat(calls["gpu"], repetitions)
    raced = summarize(race(calls, seconds))
    medians = {name: q["median"] for name, q in raced["seconds"].items()}
    return raced | found | derived(medians, case.steps)


def derived(medians: Mapping[str, float], steps: int) -> dict[str, Any]:
    """What follows from the median seconds.

    Returns:
        By contender: `microseconds_a_step`, forward and backward together; `ratios`, the median
        over that of PyTorch; `over_floor`, the median over that of the matrix products alone.
    """
    return {
        "microseconds_a_step": {name: 1e6 * s / steps for name, s in medians.items()},
        "ratios": _over(medians, TORCH),
        "over_floor": _over(medians, FLOOR),
    }


def _over(medians: Mapping[str, float], reference: str) -> dict[str, float]:
    if reference not in medians:
        return {}
    return {name: s / medians[reference] for name, s in medians.items() if name != reference}


def differences(calls: Mapping[str, Call]) -> dict[str, float]:
    """The largest max |a − b| / max |b| of outputs and gradients from those of "scan"."""
    if "scan" not in calls:
        return {}
    wanted = _numbers(calls["scan"]())
    return {
        name: max(
            float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30))
            for a, b in zip(_numbers(call()), wanted, strict=True)
        )
        for name, call in calls.items()
        if name != "scan"
    }


def _numbers(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]


def repeat(call: Callable[[], Any], repetitions: int) -> dict[str, Any]:
    """Calls again and again, and counts the answers that are not the first one to the bit.

    Returns:
        `repetitions` and `differing`, or `failed` with the reason.
    """
    try:
        first = call()
        differing = sum(bool(differs(call(), first)) for _ in range(repetitions))
    except Exception as error:  # whatever the driver makes of it
        return {"failed": reason(error)}
    return {"repetitions": repetitions, "differing": differing}


@jax.jit
def differs(a: Any, b: Any) -> jax.Array:
    """Whether any bit of two trees of arrays differs."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jnp.any(jnp.stack([jnp.any(_bits(x) != _bits(y)) for x, y in pairs]))


def _bits(array: jax.Array) -> jax.Array:
    return jax.lax.bitcast_convert_type(array, WORDS[array.dtype.itemsize])


def main() -> None:
    """Prints what the request on the command line asks for."""
    request = json.loads(sys.argv[1])
    print(json.dumps(measure(**request | {"case": Case(**request["case"])})))


if __name__ == "__main__":
    main()
