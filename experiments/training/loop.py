"""The host's side of training: batches in, values out, now and then a look at validation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from experiments import mesh, signals
from experiments.task import Task, identity
from experiments.training import checkpoints, replay, results
from experiments.training.checkpoints import Checkpoints
from experiments.training.progress import Progress
from experiments.training.step import (
    SKIPPED,
    Means,
    TrainState,
    abstract_state,
    add_scores,
    divide,
    init_state,
    make_evaluate,
    make_observe,
    make_train_step,
    total,
)
from experiments.training.stopwatch import Stopwatch
from experiments.training.summary import summarize

Start = tuple[TrainState, dict[str, Any]]  # a state, and what the host keeps beside it


class Listener(Protocol):
    """Who is told how far a run is."""

    def update(self, step: int, loss: float, steps_rate: float, items_rate: float) -> None: ...


class Diverged(ArithmeticError):
    """Step after step had to be skipped."""


def fit(task: Task, config: ConfigDict, directory: Path, profile: bool = False) -> dict[str, Any]:
    """Trains to the end, from the latest checkpoint in `directory` if there is one.

    The metrics on the test split are those of each member's best parameters.

    Args:
        task: what to train on.
        config: the run's configuration.
        directory: where everything is written.
        profile: whether to trace some steps for Perfetto, into `directory/profile`.

    Returns:
        What it also writes to `directory/results.json`.

    Raises:
        Diverged: if `config.train.bad_steps` steps in a row had to be skipped.
        Interrupted: if a signal came; the state is saved.
    """
    with Checkpoints(directory / "checkpoints", identity(task, config)) as saved:
        trainer = Trainer(task, config, directory, saved)
        steps, title = config.train.steps, f"{config.cell.name} on {config.task.name}"
        with (
            results.Recorder(directory, trainer.step, trainer.position) as recorder,
            Progress(title, steps, trainer.step, task.unit) as progress,
            signals.deferred(),
        ):
            trainer.run(recorder, progress, _windows(directory / "profile" if profile else None))
            test = trainer.test(recorder)
    final = summarize(task, config, trainer.state, trainer.watch.read(), test)
    if mesh.is_main():
        results.write_json(directory / "results.json", final)
    return final


def load_best(task: Task, config: ConfigDict, directory: Path) -> TrainState | None:
    """The state of a run's latest checkpoint, for its `best_params`; None if it has none."""
    restored = checkpoints.read(
        directory / "checkpoints", identity(task, config), abstract_state(task, config)
    )
    if restored is None:
        return None
    if not np.isfinite(restored[0].best_metric).all():
        logging.warning("%s: not validated yet, its parameters are the initial ones", directory)
    return restored[0]


class Trainer:
    """A run in progress: the state on the devices and what the host keeps beside it.

    It works in windows, which end where something is to be written, evaluated or saved. Between
    two windows the run may stop, and goes on from there to the bit.
    """

    def __init__(
        self,
        task: Task,
        config: ConfigDict,
        directory: Path,
        saved: Checkpoints,
        start: Start | None = None,
    ) -> None:
        self._task, self._config, self._train = task, config, config.train
        self._directory, self._checkpoints = directory, saved
        self._train_step = make_train_step(task, config)
        self._observe = make_observe(task, config)
        self._evaluate = make_evaluate(task, config)
        self._mesh = mesh.make_mesh(config)
        self._batches = task.train_batches(mesh.own_part())
        self._origins: deque[Any] = deque(maxlen=self._train.bad_steps + self._train.log_every)
        self.watch = Stopwatch()
        with self.watch("checkpoint"):
            self.state, extra = self._restore(start)
        self.watch.add(extra.get("seconds", {}))
        self.step = int(jax.device_get(self.state.step)[0])
        self._saved = self.step if extra else None
        self.position = extra.get("position", 0)  # bytes of metrics.jsonl
        self._evaluated = extra.get("evaluated", 0)  # the step of the latest validation

    def run(
        self,
        recorder: results.Recorder,
        progress: Listener,
        windows: Iterator[AbstractContextManager],
        enough: Callable[[np.ndarray], bool] = np.all,
    ) -> None:
        """Trains until the last step or until enough members are done.

        Args:
            recorder: what values are written to.
            progress: what is told how far the run is.
            windows: a context for each window.
            enough: tells that by which of the members are done [M].
        """
        try:
            while True:
                if self._due(self._train.eval_every) and self._evaluated != self.step:
                    self._validate(recorder)
                over = self.step == self._train.steps or enough(jax.device_get(self.state.done))
                if (over or self._due(self._train.checkpoint_every)) and self._saved != self.step:
                    self._save(recorder)
                if over:
                    return
                with next(windows):
                    self._advance(recorder, progress)
                signals.check()
        except signals.Interrupted:
            self._save(recorder)
            raise

    def test(self, recorder: results.Recorder) -> list[dict[str, float]]:
        """Evaluates and, but in a study, scores each member's best parameters on the test split."""
        with self.watch("evaluation"):
            params = self.state.best_params
            values = self._evaluate(params, "test")
            if not self._config.members:
                values = add_scores(self._task, params, "test", values)
        recorder.write(self.step, "test", values)
        return values

    def _due(self, every: int) -> bool:
        return self.step > 0 and (self.step % every == 0 or self.step == self._train.steps)

    def _advance(self, recorder: results.Recorder, progress: Listener) -> None:
        """Trains one window; its end waits for the devices."""
        train, before = self._train, self._training_seconds()
        every = (train.log_every, train.eval_every, train.checkpoint_every)
        end = min(train.steps, *(self.step + n - self.step % n for n in every))
        window = []
        while self.step < end:
            with self.watch("data"):
                self._origins.append(self._batches.get_state())
                batch = mesh.place(self._mesh, next(self._batches), self._task.batch_axes)
            with self.watch("step"):
                self.state, means = self._train_step(self.state, batch)
            window.append(means)
            self.step += 1
        with self.watch("step"):
            window = jax.device_get(window)
        self._log(window, self._training_seconds() - before, recorder, progress)
        self._stop_if_diverged()

    def _log(
        self, window: list[Means], seconds: float, recorder: results.Recorder, progress: Listener
    ) -> None:
        """Writes and shows the means of a window."""
        means = total(window)
        skipped = means.pop(SKIPPED).total
        if skipped.any():
            text = "%d of the %d steps up to %d skipped: not finite, or a spike"
            logging.warning(text, skipped.max(), len(window), self.step)
        values = [self._task.summarize(v) if v else {} for v in divide(means)]
        lines = [v | {SKIPPED: int(n)} for v, n in zip(values, skipped, strict=True)]
        recorder.write(self.step, "train", lines)
        items = max(float(mean.weight.sum()) for mean in means.values())
        losses = [v["objective"] for v in values if v]
        loss = sum(losses) / len(losses) if losses else float("nan")
        progress.update(self.step, loss, len(window) / seconds, items / seconds)

    def _validate(self, recorder: results.Recorder) -> None:
        with self.watch("evaluation"):
            rests = [self.state.done] if self._config.members else []
            values = self._evaluate(self.state.params, "valid", *rests)
            metric = jnp.array([v.get(self._task.metric, jnp.nan) for v in values], jnp.float32)
            self.state = self._observe(self.state, metric)
        recorder.write(self.step, "valid", values)
        self._evaluated, self._saved = self.step, None

    def _save(self, recorder: results.Recorder) -> None:
        extra = self._beside() | {"position": recorder.position()}
        with self.watch("checkpoint"):
            self._checkpoints.save(self.step, self.state, extra)
        self._saved = self.step

    def part(self, which: np.ndarray) -> Start:
        """From where another trainer can go on with some of the members [M]."""
        return jax.tree.map(lambda leaf: leaf[which], self.state), self._beside()

    def _beside(self) -> dict[str, Any]:
        return {
            "iterator": self._batches.get_state(),
            "seconds": self.watch.read(),
            "evaluated": self._evaluated,
        }

    def _restore(self, start: Start | None) -> Start:
        restored = self._checkpoints.restore(abstract_state(self._task, self._config)) or start
        if restored is None:
            return init_state(self._task, self._config), {}
        self._batches.set_state(restored[1]["iterator"])
        return restored

    def _stop_if_diverged(self) -> None:
        """Raises `Diverged` if a member stands still; of several learning rates, if all do.

        A study's members do not: each is done at the next evaluation.
        """
        if self._config.members:
            return
        state, rates = self.state, self._config.optimizer.learning_rates
        skips, done = jax.device_get((state.opt_state.notfinite_count, state.done))
        still = skips >= self._train.bad_steps
        if not (still.all() if rates else (still & ~done).any()):
            return
        member = int(np.argmin(np.where(still, skips, np.inf)))  # its steps are still at hand
        back = min(int(skips[member]), len(self._origins))
        first, origin = self.step - back, self._origins[-back]
        found = replay.record(
            self._task, self._config, self._directory, self.state, member, first, origin
        )
        raise Diverged(
            f"{self._train.bad_steps} steps in a row were skipped; {found}/report.json has the"
            f" numbers of step {first + 1}, and experiments.train computes it once more with"
            f" --config.debug.replay={found}; try a smaller config.optimizer.learning_rate, in"
            " another --workdir"
        )

    def _training_seconds(self) -> float:
        return self.watch.seconds["data"] + self.watch.seconds["step"]


def _windows(trace: Path | None) -> Iterator[AbstractContextManager]:
    """A context for each window: the second one is traced, as the first one compiles."""
    yield nullcontext()
    if trace:
        yield jax.profiler.trace(str(trace), create_perfetto_trace=True)
    while True:
        yield nullcontext()
