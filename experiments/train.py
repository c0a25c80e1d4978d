r"""Train a cell on a task, or go on with a run that was interrupted.

    python -m experiments.train --config=configs/char_lm.py --workdir=runs/text
    python -m experiments.train --config=configs/char_lm.py --workdir=runs/gru \
        --config.cell.name=gru --config.seeds=3 --config.train.steps=500
    python -m experiments.train --config=configs/adding.py --workdir=runs/try \
        --config.mode=tiny
    python -m experiments.train --config=configs/pixels.py:permuted \
        --workdir=runs/permuted

The directory then holds config.json, metrics.jsonl, TensorBoard events, checkpoints, results.json
and the learning curves. Any field of configs/default.py or of the config file can be set by
--config.NAME=VALUE.

A run that a signal ends, or the machine, goes on when the same command is given again, to the bit.
Over several devices: --config.mesh.data=-1. Over several processes: the same command in each, by
srun or with JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from experiments import command_line, mesh
from experiments.config import ConfigError, read_json
from experiments.task import Task
from experiments.training.loop import fit
from experiments.training.replay import replay
from experiments.training.results import mean_text, read_results
from experiments.training.workdir import open_workdir

PROFILE = flags.DEFINE_bool("profile", False, "Trace some steps, for Perfetto, into profile/.")


def train(config: ConfigDict, workdir: Path, profile: bool = False) -> dict[str, Any]:
    """Trains in `workdir`, or returns the results that are there if the run is complete."""
    return _train(_unfinished(config, workdir), config, workdir, profile)


def _unfinished(config: ConfigDict, workdir: Path) -> Task | None:
    """The task, or None if the run is complete."""
    return None if (workdir / "results.json").exists() else command_line.build_task(config)


def _train(task: Task | None, config: ConfigDict, workdir: Path, profile: bool) -> dict[str, Any]:
    with open_workdir(config, workdir):  # only now: a mistake in config leaves nothing
        results = fit(task, config, workdir, profile) if task else read_results(workdir)
        curves = workdir / "curves.png"
        if mesh.is_main() and (task or not curves.exists()):
            from experiments import plots  # matplotlib is slow to import

            plots.learning_curves({config.cell.name: workdir}, results["metric"], curves)
    return results


def describe(results: dict[str, Any]) -> str:
    """The test metrics, those of the task's baselines, a line each, and the task's verdict."""
    several, seconds = len(results["members"]) > 1, results["seconds"]
    values = [f"{name} {mean_text(v, several)}" for name, v in results["test"].items()]
    waiting = seconds["data"] / max(seconds["data"] + seconds["step"], 1e-9)
    lines = [
        f"{results['cell']}, {results['parameters']:,} parameters, {results['steps']:,} steps in"
        f" {seconds['total']:.0f} s, {waiting:.1%} of the steps' time waiting for data",
        f"test: {', '.join(values)}",
    ]
    for name, known in results["baselines"].items():
        lines.append(f"{name}: {', '.join(f'{k} {v:.4f}' for k, v in known.items())}")
    return "\n".join([*lines, *filter(None, [results.get("verdict")])])


def main(config: ConfigDict, workdir: Path) -> None:
    if config.debug.replay:
        print(json.dumps(compute_again(Path(config.debug.replay)), indent=2, sort_keys=True))
        return
    task = _unfinished(config, workdir)
    results = _train(task, config, workdir, PROFILE.value)
    if task is None:
        print(f"the run in {workdir} is complete; choose another --workdir to train afresh")
    print(describe(results))
    if (workdir / "profile").exists():
        print(f"trace for https://ui.perfetto.dev: {workdir / 'profile'}")
    if task:
        print(command_line.next_step(following(task), workdir))


def following(task: Task) -> str:
    """The command that shows what a network has learnt."""
    return "sample" if task.sample else "inspect"


def compute_again(recorded: Path) -> dict[str, Any]:
    """The numbers of a step that a run recorded, with the configuration of that run."""
    stored = recorded.parent / "config.json"
    if not stored.exists():
        raise ConfigError(f"config.debug.replay is {recorded}, which lies in no run's directory")
    config = read_json(stored)
    return replay(command_line.build_task(config), config, recorded)


if __name__ == "__main__":
    command_line.run(main)
