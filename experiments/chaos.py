"""Kill runs again and again, and hold what is left of them against a run that was let alone.

    python -m experiments.chaos
    python -m experiments.chaos --kills=100 --workdir=runs/hundred

Victims are killed (SIGKILL) while they start, compile, read data, step, evaluate and save, and
started again, until they end by themselves. Then parameters, optimizer, keys, iterator, carried
state, best metric and counters, `metrics.jsonl` and, but for times, `results.json` must be the
reference's to the bit. Exit code 1 if anything differs.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from experiments import command_line, tables
from experiments.config import ConfigError, read_json
from experiments.task import identity
from experiments.training import checkpoints
from experiments.training.step import abstract_state

KILLS = flags.DEFINE_integer("kills", 10, "How many kills.", lower_bound=1)
CONFIG = flags.DEFINE_string("config", "configs/chaos.py", "What is trained.")
SEED = flags.DEFINE_integer("kill_seed", 0, "Seed of the moments of the kills.")

TIMES = ("seconds", "steps_per_second")  # of results.json and of checkpoints: these may differ
SLACK = 1.5  # kills fall up to so many times a phase's usual seconds after its beginning


class Moment(NamedTuple):
    """`delay` seconds after the `entry`-th time that a run enters a phase."""

    phase: str
    entry: int
    delay: float


def chaos(config: str, workdir: Path, kills: int, seed: int) -> tuple[Counter, list[str]]:
    """Trains a reference, then victims under fire until all kills are used up.

    Returns:
        The number of kills in each phase, and what differs from the reference.

    Raises:
        ConfigError: if there is something in `workdir`.
    """
    if workdir.exists() and any(workdir.iterdir()):
        raise ConfigError(f"--workdir: {workdir} is not empty; choose another one")
    reference, hits, found = workdir / "reference", Counter[str](), list[str]()
    _run(config, reference)
    moments = draw(random.Random(seed), json.loads((reference / "results.json").read_text()))
    while hits.total() < kills:
        victim = workdir / f"victim_{hits.total() + 1}"
        while not (victim / "results.json").exists():
            moment = next(moments) if hits.total() < kills else None
            if _run(config, victim, moment) and moment:
                hits[moment.phase] += 1
                print(f"kill {hits.total()} of {kills}: {moment.phase}, {victim.name}", flush=True)
        found += [f"{victim.name}: {what}" for what in differences(reference, victim)]
    return hits, found


def draw(rng: random.Random, reference: dict[str, Any]) -> Iterator[Moment]:
    """Random moments, all phases alike often; how long they last is read off the reference."""
    seconds, train = reference["seconds"], reference["config"]["train"]
    evaluations = reference["steps"] // train["eval_every"] + 1
    saves = reference["steps"] // train["checkpoint_every"] + 1
    phases = {  # the latest entry worth waiting for, and the usual seconds
        "start": (1, 3.0),
        "compile": (1, seconds["compile"]),
        "data": (2 * train["checkpoint_every"], seconds["data"] / reference["steps"]),
        "step": (2 * train["checkpoint_every"], seconds["step"] / reference["steps"]),
        "evaluation": (2, seconds["evaluation"] / evaluations),
        "checkpoint": (2, seconds["checkpoint"] / saves),
    }
    while True:
        phase = rng.choice(list(phases))
        latest, usual = phases[phase]
        yield Moment(phase, rng.randint(1, latest), rng.uniform(0, SLACK * usual))


def differences(reference: Path, victim: Path) -> list[str]:
    """What of two finished runs is not equal to the bit."""
    found = []
    for name in ("metrics.jsonl", "config.json"):
        if (reference / name).read_bytes() != (victim / name).read_bytes():
            found.append(f"{name} differs")
    ours, theirs = (json.loads((d / "results.json").read_text()) for d in (reference, victim))
    found += [f"results.json: {k}" for k in ours if k not in TIMES and ours[k] != theirs.get(k)]
    (state, extra), (other, other_extra) = _final(reference), _final(victim)
    pairs = zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(other), strict=True)
    for (path, a), b in pairs:
        if np.asarray(a).tobytes() != np.asarray(b).tobytes():
            found.append(f"the checkpoint's {jax.tree_util.keystr(path)}")
    found += [
        f"the checkpoint's {k}" for k in extra if k not in TIMES and extra[k] != other_extra.get(k)
    ]
    return found


def _final(workdir: Path) -> tuple[Any, dict[str, Any]]:
    config = read_json(workdir / "config.json")
    task = command_line.build_task(config)
    like = abstract_state(task, config)
    restored = checkpoints.read(workdir / "checkpoints", identity(task, config), like)
    assert restored, f"{workdir} holds no checkpoint"
    return restored


def _run(config: str, workdir: Path, moment: Moment | None = None) -> bool:
    """Trains, or goes on with it, up to a moment; returns whether it was killed then.

    Raises:
        RuntimeError: if the run ends in any other way.
    """
    command = [sys.executable, "-m", "experiments.victim", f"--config={config}"]
    command.append(f"--workdir={workdir}")
    if moment and moment.phase != "start":
        command += [f"--{name}={value}" for name, value in moment._asdict().items()]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        if moment and moment.phase == "start":
            time.sleep(moment.delay)
            process.kill()
        _, said = process.communicate()
    if process.returncode not in (0, -9):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:]}")
    return process.returncode == -9


def main(workdir: Path) -> None:
    command_line.load(CONFIG.value)  # a mistake is the command's own, not that of its runs
    started = time.perf_counter()
    hits, found = chaos(CONFIG.value, workdir, KILLS.value, SEED.value)
    rows = [["phase", "kills"], *([phase, str(count)] for phase, count in hits.most_common())]
    tables.show(rows, f"{hits.total()} kills in {time.perf_counter() - started:.0f} s")
    if found:
        raise RuntimeError(f"{len(found)} differences: {'; '.join(found)}")
    print("every run ended as the one that was let alone, to the bit")


if __name__ == "__main__":
    command_line.run_without_config(main, workdir="runs/chaos")
