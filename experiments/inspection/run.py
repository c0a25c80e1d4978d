"""A trained run, taken apart."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import command_line
from experiments.config import ConfigError
from experiments.inspection.calls import Reading, read, taken_apart, titled
from experiments.sample import best_member
from experiments.task import Params, Task
from experiments.training.results import read_metrics
from lstm_jax import analysis
from lstm_jax.analysis import Curves, Layer

LAGS = 300  # steps that gradients are followed back, at most
SEQUENCES = 16  # and of how many sequences

Parts = dict[str, list[Layer]]
"""The layers of a model by title, one for each batch."""


class Run(NamedTuple):
    """A trained run, and what its networks read of the validation split.

    Attributes:
        config: its configuration.
        task: its task.
        params: the best parameters of its best member.
        reading: what the networks read.
        parts: their layers.
        curves: the losses of its training; None where they are not recorded.
    """

    config: ConfigDict
    task: Task
    params: Params
    reading: Reading
    parts: Parts
    curves: Curves | None

    @property
    def untrained(self) -> Parts:
        """The layers with parameters as they were before training."""
        return _parts(read(self.task, self.task.init(jax.random.PRNGKey(self.config.seed))))


def load(config: ConfigDict, workdir: Path) -> Run:
    """Loads a run and lets its networks read.

    Raises:
        ConfigError: if the run has no checkpoint, or no network that reads whole sequences.
    """
    task = command_line.build_task(config)
    params = best_member(task, command_line.trained(task, config, workdir))
    reading = read(task, params)
    if not reading.calls:
        raise ConfigError(
            f"the network of the task {config.task.name!r} reads step by step; only those that read"
            " whole sequences can be inspected"
        )
    return Run(config, task, params, reading, _parts(reading), losses(task, workdir))


def whole(layer: Layer, sequences: int = SEQUENCES) -> Layer:
    """Some sequences of a layer, cut to a length that all of them have.

    Raises:
        ConfigError: if none has two steps.
    """
    lengths = np.asarray(layer.mask.sum(axis=0))
    if lengths.max(initial=0) < 2:
        raise ConfigError("the sequences of the validation split have one step; none has a lag")
    steps = int(min(np.median(lengths[lengths > 1]), LAGS))
    chosen = np.flatnonzero(lengths >= steps)[:sequences]
    return layer._replace(
        xs=layer.xs[:steps, chosen],
        mask=layer.mask[:steps, chosen],
        record={name: values[:steps, chosen] for name, values in layer.record.items()},
        initial_state=jax.tree.map(lambda leaf: leaf[chosen], layer.initial_state),
    )


def flow(layer: Layer) -> jax.Array:
    """‖∂L/∂s_t‖ [T, B] of what a layer ends with, over sequences that are long enough."""
    own = whole(layer)
    found = analysis.gradient_flow(
        own.cell, own.params, own.xs, initial_state=own.initial_state
    )
    return found[own.cell.name]["state"]


def middle(batches: list[Layer]) -> Layer:
    """A layer at work on a batch that is neither the first nor the last, if there are more."""
    return batches[len(batches) // 2]


def flows(parts: Parts) -> dict[str, jax.Array]:
    """The gradients of every layer, over a batch from the middle."""
    return {title: flow(middle(batches)) for title, batches in parts.items()}


def losses(task: Task, workdir: Path) -> Curves | None:
    """Training and validation losses at the steps of validation, the means over members.

    A loss is what the task selects on, or what it calls so where it selects on something that is
    the better the larger. Training losses are the means of all that was recorded since the
    validation before.
    """
    name = "loss" if task.higher_is_better else task.metric
    train: dict[int, list[float]] = defaultdict(list)
    valid: dict[int, list[float]] = defaultdict(list)
    for line in read_metrics(workdir / "metrics.jsonl"):
        if line.get(name) is not None and line["split"] in ("train", "valid"):
            (train if line["split"] == "train" else valid)[line["step"]].append(line[name])
    steps, means = sorted(valid), []
    for before, step in zip([-1, *steps], steps, strict=False):
        since = [loss for s, losses in train.items() if before < s <= step for loss in losses]
        means.append(np.mean(since) if since else np.nan)
    known = np.isfinite(np.array(means))
    if not known.any():
        return None
    validation = np.array([np.mean(valid[step]) for step in steps])
    return Curves(np.array(steps)[known], np.array(means)[known], validation[known])


def _parts(reading: Reading) -> Parts:
    parts = defaultdict(list)
    for module, batches in taken_apart(reading).items():
        for layers in batches:
            for layer in layers:
                parts[titled(module, layer.name, reading)].append(layer)
    return dict(parts)
