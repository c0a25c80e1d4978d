"""Training one population to the end: the one trainer, many trials at once."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import command_line
from experiments.study.search import Population, configuration
from experiments.study.trials import Outcome, Trial
from experiments.task import Task, identity
from experiments.training.checkpoints import Checkpoints
from experiments.training.loop import Trainer
from experiments.training.results import Recorder, parameter_count, read_metrics, write_json
from experiments.training.step import TrainState


class Listener(Protocol):
    """Who is told how far a population is."""

    def update(self, step: int, loss: float, steps_rate: float, items_rate: float) -> None: ...


def train(config: ConfigDict, population: Population, directory: Path, listener: Listener) -> None:
    """Trains in `directory`, from its checkpoint if there is one; then outcomes.json is there.

    Args:
        config: the study's configuration.
        population: the trials.
        directory: of this population.
        listener: is told after each window of steps.

    Raises:
        Interrupted: if a signal came; the state is saved.
    """
    own = configuration(config, population)
    task = command_line.build_task(own)
    with Checkpoints(directory / "checkpoints", identity(task, own)) as saved:
        trainer = Trainer(task, own, directory, saved)
        with Recorder(directory, trainer.step, trainer.position) as recorder:
            trainer.run(recorder, listener, itertools.repeat(nullcontext()))
            test = trainer.test(recorder)
    found = _outcomes(task, own, population, trainer.state, test, directory)
    seconds = trainer.watch.read()
    write_json(directory / "outcomes.json", {"outcomes": _to_json(found), "seconds": seconds})
    shutil.rmtree(directory / "checkpoints")


def finished(directory: Path) -> bool:
    """Whether the population of a directory was trained to the end."""
    return (directory / "outcomes.json").exists()


def read(directory: Path) -> tuple[list[Outcome], dict[str, float]]:
    """What became of a finished population's trials, and how many seconds that took."""
    stored = json.loads((directory / "outcomes.json").read_text())
    return [_outcome(**values) for values in stored["outcomes"]], stored["seconds"]


def _outcomes(
    task: Task,
    config: ConfigDict,
    population: Population,
    state: TrainState,
    test: Sequence[dict[str, float]],
    directory: Path,
) -> list[Outcome]:
    count = len(population.trials)
    skips, ended, best = jax.device_get(
        (state.opt_state.notfinite_count, state.ended, state.best_metric)
    )
    curves: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    for line in read_metrics(directory / "metrics.jsonl"):
        if line["split"] == "valid" and line.get(task.metric) is not None:
            curves[line["member"]].append((line["step"], line[task.metric]))
    steps = np.where(ended > 0, ended, config.train.steps)
    lost = (skips >= config.train.bad_steps) | [
        not curve or curve[-1][0] < end for curve, end in zip(curves, steps, strict=True)
    ]
    tests = [values.get(task.metric, np.nan) for values in test]
    return [
        Outcome(
            trial=trial,
            parameters=parameter_count(state.params) // count,
            steps=int(steps[i]),
            diverged=bool(lost[i]),
            validation=_finite(best[i]),
            test=_finite(tests[i]) if np.isfinite(best[i]) else None,
            curve=tuple(curves[i]),
        )
        for i, trial in enumerate(population.trials)
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _to_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [outcome._asdict() | {"trial": outcome.trial._asdict()} for outcome in outcomes]


def _outcome(trial: dict[str, Any], curve: list[list[Any]], **values: Any) -> Outcome:
    points = tuple((step, value) for step, value in curve)
    return Outcome(trial=Trial(**trial), curve=points, **values)
