"""Train a cell on a task, or go on with a run that was interrupted.

    python -m experiments.train --config=configs/char_lm.py --workdir=runs/char_lm
        --config.cell.name=gru --config.seeds=3

The directory then holds config.json, metrics.jsonl, TensorBoard events, checkpoints, results.json
and the learning curves. Any field of configs/default.py or of the config file can be set by
--config.NAME=VALUE.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments import command_line
from experiments.loop import fit


def train(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Trains in `workdir`, or returns the results that are there if the run is complete."""
    path = workdir / "results.json"
    task = None if path.exists() else command_line.build_task(config)
    command_line.open_workdir(config, workdir)  # only now: a mistake in config leaves nothing
    if task is None:
        return json.loads(path.read_text())
    results = fit(task, config, workdir)

    from experiments import plots  # matplotlib is slow to import

    plots.learning_curves({config.cell.name: workdir}, results["metric"], workdir / "curves.png")
    return results


def describe(results: dict[str, Any]) -> str:
    """The test metrics in one line."""
    several = len(results["members"]) > 1
    values = [
        f"{name} {v['mean']:.4f}" + (f" ± {v['sd']:.4f}" if several else "")
        for name, v in results["test"].items()
    ]
    return (
        f"{results['cell']}, {results['parameters']:,} parameters, {results['steps']:,} steps in"
        f" {results['seconds']['total']:.0f} s; test: {', '.join(values)}"
    )


def main(config: ConfigDict, workdir: Path) -> None:
    if (workdir / "results.json").exists():
        print(f"the run in {workdir} is complete; choose another --workdir to train afresh")
    print(describe(train(config, workdir)))


if __name__ == "__main__":
    command_line.run(main)
