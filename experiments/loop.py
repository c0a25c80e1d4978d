"""The host's side of training: batches in, values out, now and then a look at validation."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments import results
from experiments.checkpoints import Checkpoints
from experiments.config import learning_rates, members, to_json
from experiments.progress import Progress
from experiments.step import (
    Means,
    TrainState,
    abstract_state,
    check_finite,
    divide,
    init_state,
    make_evaluate,
    make_observe,
    make_train_step,
    total,
)
from experiments.task import Task


@dataclasses.dataclass
class Times:
    """Seconds of a run so far, over all its resumptions."""

    train: float = 0.0  # in training steps, compilation, evaluation and saving apart
    compile: float = 0.0
    total: float = 0.0


def fit(task: Task, config: ConfigDict, directory: Path) -> dict[str, Any]:
    """Trains to the end, from the latest checkpoint in `directory` if there is one.

    The metrics on the test split are those of each member's best parameters.

    Returns:
        What it also writes to `directory/results.json`.

    Raises:
        Diverged: if the training loss is no longer finite.
    """
    with Checkpoints(directory / "checkpoints") as checkpoints:
        trainer = Trainer(task, config, checkpoints)
        steps, title = config.train.steps, f"{config.cell.name} on {config.task.name}"
        with (
            results.Recorder(directory, trainer.step) as recorder,
            Progress(title, steps, trainer.step, task.unit) as progress,
        ):
            trainer.run(recorder, progress)
            test = trainer.evaluate(trainer.state.best_params, "test")
            recorder.write(trainer.step, "test", test)
        trainer.keep_time()
    final = summarize(task, config, trainer.state, trainer.times, test)
    results.write_json(directory / "results.json", final)
    return final


def load_best(task: Task, config: ConfigDict, directory: Path) -> TrainState | None:
    """The state of a run's latest checkpoint, for its `best_params`; None if it has none."""
    if not (directory / "checkpoints").is_dir():
        return None
    with Checkpoints(directory / "checkpoints") as checkpoints:
        restored = checkpoints.restore(abstract_state(task, config))
    return restored[0] if restored else None


class Trainer:
    """A run in progress: the state on the device and what the host keeps beside it."""

    def __init__(self, task: Task, config: ConfigDict, checkpoints: Checkpoints) -> None:
        self._task, self._train, self._config = task, config.train, config
        self._checkpoints = checkpoints
        self._train_step = make_train_step(task, config)
        self._observe = make_observe(task, config)
        self.evaluate = make_evaluate(task)
        self._started, self._compiled = time.perf_counter(), results.compile_seconds()
        self._batches = task.train_batches()
        self.state, self.times = self._restore()
        self.step = int(self.state.step[0])
        self.finished = bool(self.state.done.all())
        self._window: list[Means] = []

    def run(self, recorder: results.Recorder, progress: Progress) -> None:
        """Trains until the last step or until every member is done."""
        self._open_window()
        while self.step < self._train.steps and not self.finished:
            self.state, means = self._train_step(self.state, next(self._batches))
            self._window.append(means)
            self.step += 1
            last = self.step == self._train.steps
            evaluates = last or self.step % self._train.eval_every == 0
            saves = last or self.step % self._train.checkpoint_every == 0
            if evaluates or saves or self.step % self._train.log_every == 0:
                self._log(recorder, progress)
            if evaluates:
                self._validate(recorder)
            if saves or self.finished:
                self._save()
            if not self._window:
                self._open_window()

    def keep_time(self) -> None:
        """Adds the time since the last call to the run's total and compilation times."""
        now, compiled = time.perf_counter(), results.compile_seconds()
        self.times.total += now - self._started
        self.times.compile += compiled - self._compiled
        self._started, self._compiled = now, compiled

    def _open_window(self) -> None:
        self._window = []
        self._window_start = (time.perf_counter(), results.compile_seconds())

    def _log(self, recorder: results.Recorder, progress: Progress) -> None:
        """Fetches the window's values, which waits for the device; writes and shows them."""
        window, self._window = jax.device_get(self._window), []
        start, compiled = self._window_start
        seconds = time.perf_counter() - start - (results.compile_seconds() - compiled)
        check_finite(window, self.step - len(window) + 1, self._config)
        means = total(window)
        values = [self._task.summarize(v) for v in divide(means)]
        items = max(float(mean.weight.sum()) for mean in means.values())
        self.times.train += seconds
        recorder.write(self.step, "train", values)
        loss = sum(v["objective"] for v in values) / len(values)
        progress.update(self.step, loss, len(window) / seconds, items / seconds)

    def _validate(self, recorder: results.Recorder) -> None:
        values = self.evaluate(self.state.params, "valid")
        recorder.write(self.step, "valid", values)
        metric = jnp.array([v[self._task.metric] for v in values], jnp.float32)
        self.state = self._observe(self.state, metric)
        self.finished = bool(self.state.done.all())

    def _save(self) -> None:
        self.keep_time()
        extra = {"iterator": self._batches.get_state(), "times": dataclasses.asdict(self.times)}
        self._checkpoints.save(self.step, self.state, extra)

    def _restore(self) -> tuple[TrainState, Times]:
        restored = self._checkpoints.restore(abstract_state(self._task, self._config))
        if restored is None:
            return init_state(self._task, self._config), Times()
        state, extra = restored
        self._batches.set_state(extra["iterator"])
        return state, Times(**extra["times"])


def summarize(
    task: Task,
    config: ConfigDict,
    state: TrainState,
    times: Times,
    test: list[dict[str, float]],
) -> dict[str, Any]:
    """All that `results.json` holds; over several learning rates, the best by validation."""
    steps, everyone = int(state.step[0]), _members(task, config, state, test)
    rate = _best_rate(task, config, everyone)
    chosen = [member for member in everyone if member["learning_rate"] == rate]
    return {
        "task": config.task.name,
        "cell": config.cell.name,
        "metric": task.metric,
        "higher_is_better": task.higher_is_better,
        "test": {
            name: results.mean_and_deviation([member["test"][name] for member in chosen])
            for name in chosen[0]["test"]
        },
        "learning_rate": rate,
        "members": everyone,
        "parameters": results.parameter_count(state.params) // len(everyone),
        "steps": steps,
        "steps_per_second": steps / times.train if times.train else None,
        "seconds": dataclasses.asdict(times),
        "seeds": [seed for seed, _ in members(config)][: config.seeds],
        "facts": task.facts,
        "config": to_json(config),
        **results.environment(),
    }


def _members(
    task: Task, config: ConfigDict, state: TrainState, test: list[dict[str, float]]
) -> list[dict[str, Any]]:
    best = jax.device_get(state.best_metric)
    solved = jax.vmap(task.solved_at)(state.carry) if task.solved_at else None
    found = []
    for i, (seed, rate) in enumerate(members(config)):
        metric = float(best[i]) if math.isfinite(best[i]) else None
        member = {"seed": seed, "learning_rate": rate, "validation": metric, "test": test[i]}
        if solved is not None:
            member["solved_at"] = int(solved[i]) or None
        found.append(member)
    return found


def _best_rate(task: Task, config: ConfigDict, everyone: list[dict[str, Any]]) -> float:
    sign = 1.0 if task.higher_is_better else -1.0

    def merit(rate: float) -> float:
        of_rate = [m["validation"] for m in everyone if m["learning_rate"] == rate]
        return -math.inf if None in of_rate else sign * sum(of_rate)

    return max(learning_rates(config), key=merit)
