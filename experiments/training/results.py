"""What a run leaves behind: metrics.jsonl, TensorBoard events, results.json."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
from absl import logging
from tensorboardX import SummaryWriter

from experiments.config import ConfigError

PACKAGES = ("jax", "jaxlib", "flax", "optax", "lstm_jax")
COMPILING = {  # what JAX calls the parts of a compilation
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}
_compilations: dict[str, list[float]] = {part: [] for part in COMPILING.values()}


class Recorder:
    """Appends values to `metrics.jsonl`, one line a member, and to TensorBoard's event files.

    Where several processes make up a run, the first one writes.

    Example:
        >>> with Recorder(directory) as recorder:
        ...     recorder.write(10, "train", [{"loss": 1.5}])
    """

    def __init__(self, directory: Path, step: int = 0, position: int = 0) -> None:
        """Goes on after `step`, when the lines were `position` bytes; later ones are dropped."""
        self._writes = jax.process_index() == 0
        self._directory, self._purge = directory / "tensorboard", step + 1
        self._events: dict[int, SummaryWriter] = {}
        path = directory / "metrics.jsonl" if self._writes else Path(os.devnull)
        if self._writes:
            path.touch()
            if path.stat().st_size < position:
                logging.warning("%s has lost lines of steps up to %d", path, step)
                position = path.read_bytes().rfind(b"\n") + 1
            os.truncate(path, position)
        self._lines = path.open("ab")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError, ValueError):  # on a full disk the error is on its way already
            self._lines.close()
            for writer in self._events.values():
                writer.close()

    def position(self) -> int:
        """The number of bytes that the lines have on the disk."""
        if self._writes:
            os.fsync(self._lines.fileno())
        return self._lines.tell()

    def write(self, step: int, split: str, values: Sequence[Mapping[str, float]]) -> None:
        """Writes each member's values at a step of a split."""
        for member, named in enumerate(values if self._writes else ()):
            line = {"step": step, "split": split, "member": member, **finite(named)}
            self._lines.write(json.dumps(line).encode() + b"\n")
            for name, value in named.items():
                if math.isfinite(value):
                    self._writer(member).add_scalar(f"{split}/{name}", value, step)
        self._lines.flush()

    def _writer(self, member: int) -> SummaryWriter:
        if member not in self._events:
            directory = str(self._directory / f"member_{member}")
            self._events[member] = SummaryWriter(directory, purge_step=self._purge)
        return self._events[member]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last line cut short by a crash is left out."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def read_results(directory: Path) -> dict[str, Any]:
    """The results of a run that is complete.

    Raises:
        ConfigError: if the file holds no JSON.
    """
    path = directory / "results.json"
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{path} holds no results ({error}); delete it to train on") from error


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        file.write(json.dumps(finite(value), indent=2, sort_keys=True, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def mean_and_deviation(values: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation (0 for a single value)."""
    if not all(map(math.isfinite, values)):
        return {"mean": statistics.fmean(values), "sd": math.nan}
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "sd": deviation}


def mean_text(value: Mapping[str, float | None], several: bool) -> str:
    """A mean in words, with the standard deviation over seeds if there are several."""
    mean, deviation = (math.nan if v is None else v for v in (value["mean"], value["sd"]))
    return f"{mean:.4f} ± {deviation:.4f}" if several else f"{mean:.4f}"


def parameter_count(params: Any) -> int:
    """The number of parameters in a pytree of arrays or shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def environment() -> dict[str, Any]:
    """Versions, machine and revision: what a result depends on besides its configuration."""
    device = jax.devices()[0]
    return {
        "versions": {"python": platform.python_version(), **versions(PACKAGES)},
        "platform": device.platform,
        "device": _cpu_model() if device.platform == "cpu" else device.device_kind,
        "device_count": jax.device_count(),
        "cpu_cores": os.cpu_count(),
        "git_revision": _git_revision(),
    }


def compile_seconds() -> float:
    """Seconds that this process has spent on compiling, as JAX reports them."""
    return sum(map(sum, _compilations.values()))


def compilations() -> dict[str, list[float]]:
    """The seconds of each compilation of this process, by its parts "lower" and "compile"."""
    return {part: list(seconds) for part, seconds in _compilations.items()}


def _count_compilation(event: str, duration_secs: float, **_: str | int) -> None:
    if event in COMPILING:
        _compilations[COMPILING[event]].append(duration_secs)


jax.monitoring.register_event_duration_secs_listener(_count_compilation)


def finite(tree: Any) -> Any:
    """A tree of JSON with null for NaN and infinity, for which it has no word."""
    if isinstance(tree, Mapping):
        return {name: finite(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of each package."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _git_revision() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
