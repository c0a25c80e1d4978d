"""Evaluate the best parameters of a run on its validation or test split.

    python -m experiments.evaluate --workdir=runs/text
    python -m experiments.evaluate --workdir=runs/text --split=valid
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from experiments import command_line, tables
from experiments.config import members
from experiments.training.step import add_scores, make_evaluate

SPLIT = flags.DEFINE_enum("split", "test", ["valid", "test"], "The split to evaluate on.")


def evaluate(config: ConfigDict, workdir: Path, split: str) -> list[dict[str, float]]:
    """Each member's metrics with its best parameters."""
    task = command_line.build_task(config)
    state = command_line.trained(task, config, workdir)
    values = make_evaluate(task, config)(state.best_params, split)
    return add_scores(task, state.best_params, split, values)


def main(config: ConfigDict, workdir: Path) -> None:
    values = evaluate(config, workdir, SPLIT.value)
    heading = ["seed\nlearning rate", *(f"{seed}\n{rate:g}" for seed, rate, *_ in members(config))]
    body = [[name, *(f"{named[name]:.4f}" for named in values)] for name in values[0]]
    tables.show([heading, *body], f"{SPLIT.value} split")


if __name__ == "__main__":
    command_line.run(main)
