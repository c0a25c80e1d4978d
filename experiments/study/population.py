"""Training one population to the end: the one trainer, many trials at once."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import command_line
from experiments.study.search import Population, configuration
from experiments.study.trials import Outcome, Trial
from experiments.task import identity
from experiments.training.checkpoints import Checkpoints
from experiments.training.loop import Listener, Start, Trainer
from experiments.training.results import Recorder, parameter_count, read_metrics, write_json

Curves = dict[Trial, tuple[tuple[int, float], ...]]
Retire = Callable[[np.ndarray], bool]


def half(done: np.ndarray) -> bool:
    """Whether half of the members are done."""
    return bool(2 * done.sum() >= done.size)


def train(
    config: ConfigDict,
    population: Population,
    directory: Path,
    listener: Listener,
    retire: Retire | None = None,
) -> None:
    """Trains in `directory`, from its checkpoints if there are any; then outcomes.json is there.

    Trials that are done are retired: when half of them are, the others go on in a smaller program.
    On the CPU, where trials take turns, they go on in the same program, which skips theirs.

    Args:
        config: the study's configuration.
        population: the trials.
        directory: of this population.
        listener: is told after each window of steps.
        retire: whether the others go on by themselves, told which of the members are done; None:
            the rule above.

    Raises:
        Interrupted: if a signal came; the state is saved.
    """
    if retire is None:
        retire = np.all if jax.default_backend() == "cpu" else half
    fresh: Curves = dict.fromkeys(population.trials, ())
    found, seconds = _Round(config, listener, retire).train(population, directory, None, fresh)
    outcomes = [found[trial] for trial in population.trials]
    write_json(directory / "outcomes.json", {"outcomes": _to_json(outcomes), "seconds": seconds})
    for checkpoints in [*directory.rglob("checkpoints")]:
        shutil.rmtree(checkpoints)


def finished(directory: Path) -> bool:
    """Whether the population of a directory was trained to the end."""
    return (directory / "outcomes.json").exists()


def read(directory: Path) -> tuple[list[Outcome], dict[str, float]]:
    """What became of a finished population's trials, and how many seconds that took."""
    stored = json.loads((directory / "outcomes.json").read_text())
    return [_outcome(**values) for values in stored["outcomes"]], stored["seconds"]


class _Round(NamedTuple):
    """Training trials until enough of them are done, and the rest in a directory below."""

    config: ConfigDict
    listener: Listener
    retire: Retire

    def train(
        self, population: Population, directory: Path, start: Start | None, before: Curves
    ) -> tuple[dict[Trial, Outcome], dict[str, float]]:
        """The outcome of each trial, and the seconds by what they were spent on."""
        own = configuration(self.config, population)
        task = command_line.build_task(own)
        with Checkpoints(directory / "checkpoints", identity(task, own)) as saved:
            trainer = Trainer(task, own, directory, saved, start)
            with Recorder(directory, trainer.step, trainer.position) as recorder:
                trainer.run(recorder, self.listener, itertools.repeat(nullcontext()), self.retire)
                test = [v.get(task.metric, np.nan) for v in trainer.test(recorder)]
        curves = _extended(before, population.trials, directory, task.metric)
        done = jax.device_get(trainer.state.done) | (trainer.step == own.train.steps)
        found = _outcomes(population.trials, trainer, own, test, curves)
        found = {trial: found[trial] for trial in itertools.compress(population.trials, done)}
        if done.all():
            return found, trainer.watch.read()
        rest = population._replace(trials=tuple(itertools.compress(population.trials, ~done)))
        later, seconds = self.train(rest, directory / "rest", trainer.part(~done), curves)
        return found | later, seconds


def _extended(before: Curves, trials: Sequence[Trial], directory: Path, metric: str) -> Curves:
    """The curves with what a directory's metrics add to them."""
    curves = {trial: list(before[trial]) for trial in trials}
    for line in read_metrics(directory / "metrics.jsonl"):
        if line["split"] == "valid" and line.get(metric) is not None:
            curves[trials[line["member"]]].append((line["step"], line[metric]))
    return {trial: tuple(curve) for trial, curve in curves.items()}


def _outcomes(
    trials: Sequence[Trial],
    trainer: Trainer,
    config: ConfigDict,
    test: Sequence[float],
    curves: Curves,
) -> dict[Trial, Outcome]:
    """Each trial's outcome, as far as it has come."""
    state = trainer.state
    skips, ended, best = jax.device_get(
        (state.opt_state.notfinite_count, state.ended, state.best_metric)
    )
    found = {}
    for i, trial in enumerate(trials):
        steps = int(ended[i]) or config.train.steps
        evaluated = curves[trial][-1][0] if curves[trial] else 0
        found[trial] = Outcome(
            trial=trial,
            parameters=parameter_count(state.params) // len(trials),
            steps=steps,
            diverged=bool(skips[i] >= config.train.bad_steps or evaluated < steps),
            validation=_finite(best[i]),
            test=_finite(test[i]) if np.isfinite(best[i]) else None,
            curve=curves[trial],
        )
    return found


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _to_json(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    return [outcome._asdict() | {"trial": outcome.trial._asdict()} for outcome in outcomes]


def _outcome(trial: dict[str, Any], curve: list[list[Any]], **values: Any) -> Outcome:
    points = tuple((step, value) for step, value in curve)
    return Outcome(trial=Trial(**trial), curve=points, **values)
