"""The suite `gpu`: every case of the mode, with and without command buffers, and the verdicts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from experiments.bench.gpu import child
from experiments.bench.gpu.cases import MODES, Case
from experiments.bench.gpu.contenders import CONTENDERS, PORTABLE
from experiments.bench.gpu.targets import verdicts
from experiments.bench.settings import Settings, say
from experiments.config import ConfigError

NEEDS = (
    "--suites=gpu needs an NVIDIA GPU of the Hopper generation, and JAX runs on {platform}; there"
    " it races scan, fused, cudnn and gpu against torch on {count} layers, with and without XLA's"
    " command buffers, and repeats gpu {repetitions:,} times to the bit; --mode=tiny tries its"
    " code on any machine"
)


def gpu(settings: Settings) -> dict[str, Any]:
    """Forward and backward of layers on one GPU, each in a process of its own.

    Raises:
        ConfigError: JAX has no GPU, and the mode is not "tiny".
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves the rest to others
    require_gpu(settings)
    found = {str(case): one_case(case, settings) for case in MODES[settings.mode]}
    return {"mode": settings.mode, "command_buffers": child.COMMAND_BUFFERS, "cases": found,
            "targets": verdicts(found)}


def require_gpu(settings: Settings) -> None:
    """Raises `ConfigError` where there is no GPU and one is needed."""
    platform = jax.default_backend()
    if settings.mode != "tiny" and platform != "gpu":
        count = len(MODES[settings.mode])
        raise ConfigError(
            NEEDS.format(platform=platform, count=count, repetitions=settings.repetitions)
        )


def one_case(case: Case, settings: Settings) -> dict[str, Any]:
    """A case's race, its repetitions, and its loops in command buffers."""
    say(f"gpu: {case}")
    found = contest(case, settings)
    for name, quartiles in found["seconds"].items():
        say(f"  {name}: {1e3 * quartiles['median']:.3g} ms")
    for name, why in found["unavailable"].items():
        say(f"  {name}: unavailable: {why}")
    say(f"gpu: {case}, loops in command buffers")
    buffered = child.in_child(case, PORTABLE, settings.seconds, flags=child.COMMAND_BUFFERS)
    return found | {"command_buffers": compared(none_for(PORTABLE, buffered), found)}


def contest(case: Case, settings: Settings) -> dict[str, Any]:
    """The race of all; once more without "gpu" if their process died."""
    names = list(CONTENDERS)
    found = child.in_child(case, names, settings.seconds, settings.repetitions)
    if "failed" in found:
        why = found["failed"]
        others = [name for name in names if name != "gpu"]
        found = none_for(others, child.in_child(case, others, settings.seconds))
        found["unavailable"]["gpu"] = why
    return found


def none_for(names: Sequence[str], found: dict[str, Any]) -> dict[str, Any]:
    """A result; of a process that died, one in which nobody could run."""
    if "failed" not in found:
        return found
    unavailable = dict.fromkeys(names, found["failed"])
    return {"rounds": 0, "seconds": {}, "unavailable": unavailable, "differences": {}} | (
        child.derived({}, 1)
    )


def compared(buffered: Mapping[str, Any], without: Mapping[str, Any]) -> dict[str, Any]:
    """A race with command buffers, and by contender its median over that without."""
    return {
        "seconds": buffered["seconds"],
        "unavailable": buffered["unavailable"],
        "over_without": {
            name: quartiles["median"] / without["seconds"][name]["median"]
            for name, quartiles in buffered["seconds"].items()
            if name in without["seconds"]
        },
    }
