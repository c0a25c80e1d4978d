"""From a study's directory to its outcomes."""

from __future__ import annotations

from pathlib import Path

from ml_collections import ConfigDict

from experiments import command_line
from experiments.study import population, search
from experiments.study.run import directory_of
from experiments.study.trials import Study


def gather(config: ConfigDict, workdir: Path) -> Study:
    """All that a study has come to so far."""
    populations = search.populations(config, search.draw(config))
    finished = [p for p in populations if population.finished(directory_of(workdir, p))]
    found = [population.read(directory_of(workdir, p)) for p in finished]
    outcomes = [outcome for outcomes, _ in found for outcome in outcomes]
    task = command_line.build_task(search.configuration(config, populations[0]))
    searched = search.ranges(config)
    return Study(
        outcomes=tuple(sorted(outcomes, key=lambda o: o.trial)),
        planned=dict.fromkeys(config.cells, config.study.trials),
        ranges=searched,
        logarithmic=search.LOGARITHMIC & set(searched),
        reference=config.cells[0],
        metric=task.metric,
        higher_is_better=task.higher_is_better,
        best=config.study.best,
        about=_about(config, sum(seconds["total"] for _, seconds in found)),
    )


def _about(config: ConfigDict, seconds: float) -> dict[str, str]:
    train = config.train
    return {
        "task": config.task.name,
        "optimizer": config.optimizer.name,
        "training": f"at most {train.steps:,} steps of {train.batch_size} sequences, validated"
        f" every {train.eval_every}, stopped after {train.patience} without a gain",
        "seconds": f"{seconds:,.0f}, of all devices together",
    }
