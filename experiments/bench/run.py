"""One benchmark from its settings to its files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiments.bench import devices, report
from experiments.bench.contenders import missing
from experiments.bench.problem import SEED
from experiments.bench.settings import Settings, say
from experiments.bench.suites import SUITES
from experiments.bench.timing import LEAST_ROUNDS
from experiments.training import results

PACKAGES = ("torch", "dm-haiku", "equinox", "keras", "numpy")
VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_", "XLA_", "JAX_")


def bench(settings: Settings, suites: Iterable[str], workdir: Path) -> dict[str, Any]:
    """Runs the suites, and writes after each what has been found so far.

    Returns:
        What it also writes to `workdir/results.json`.
    """
    devices.set_devices(settings.devices)
    workdir.mkdir(parents=True, exist_ok=True)
    left_out = missing(settings.contenders, settings.devices)
    for name, reason in left_out.items():
        say(f"without {name}: {reason}")
    settings = settings.without(left_out)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found: dict[str, Any] = {"left_out": left_out, "load_before": load, "suites": {}}
    say(f"load average before: {load}; other work on the cores distorts the races")
    for name in suites:
        found["suites"][name] = SUITES[name](settings)
        found["environment"] = environment(settings)
        results.write_json(workdir / "results.json", found)
        report.write(found, workdir)
    return found


def environment(settings: Settings) -> dict[str, Any]:
    """What the results depend on: the machine, versions, threads and the settings."""
    common = results.environment()
    torch = sys.modules.get("torch")
    return common | {
        "versions": common["versions"] | results.versions(PACKAGES),
        "usable_cores": devices.core_count(),
        "torch_threads": torch.get_num_threads() if torch else None,
        "variables": {k: v for k, v in os.environ.items() if k.startswith(VARIABLES)},
        "seed": SEED,
        "devices": settings.devices,
        "seconds_per_race": settings.seconds,
        "least_rounds": LEAST_ROUNDS,
    }
