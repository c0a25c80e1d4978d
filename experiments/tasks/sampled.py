"""Tasks whose sequences are sampled on the device, never stored: batches are mere counters.

What the tasks of Hochreiter & Schmidhuber (1997) share: sequences of varying length, an answer
read at the last step, a fixed test set of 2,560 sequences, and a success criterion on the latest
training sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments import mesh
from experiments.config import make_network
from experiments.perception.readout import Readout
from experiments.task import Mean, Task, apply

EVALUATION_SEED = 1997
EVALUATION_BATCH = 256
COUNTERS = {"test": range(10), "valid": range(100, 105)}  # 2,560 and 1,280 sequences


class Sequences(NamedTuple):
    """Inputs [T, B, D], lengths [B] (padding after them) and targets [B, K]."""

    inputs: jax.Array
    lengths: jax.Array
    targets: jax.Array


BATCH_AXES = Sequences._make((1, 0, 0))


class Verdict(NamedTuple):
    """Each sequence's loss [B], absolute errors [B, K] and other values to average, [B] each."""

    loss: jax.Array
    errors: jax.Array
    extras: dict[str, jax.Array]


class Criterion(NamedTuple):
    """Solved: the mean error is below `mean_error` while the latest `run` sequences are right.

    A sequence is right if all its errors are below `tolerance`. The mean is taken over the
    current run of right answers.
    """

    tolerance: float
    mean_error: float
    run: int = 2000


class Record(NamedTuple):
    """The carry: sequences seen, the current run of right ones, its summed error, success."""

    seen: jax.Array
    run: jax.Array
    error: jax.Array
    solved_at: jax.Array


class Counter:
    """Endless batches that say nothing but their number; the runner's key decides the data."""

    def __init__(self) -> None:
        self._count = 0

    def __next__(self) -> np.uint32:
        self._count += 1
        return np.uint32(self._count)

    def get_state(self) -> int:
        return self._count

    def set_state(self, state: int) -> None:
        self._count = int(state)


def integers(uniform: jax.Array, low: jax.Array | int, high: jax.Array | int) -> jax.Array:
    """Integers in [low, high) from uniform numbers in [0, 1).

    The tasks draw all their numbers at once: a generator takes longer to compile than to run.
    """
    return low + jnp.floor(uniform * (high - low)).astype(jnp.int32)


def sampled_task(
    config: ConfigDict,
    sample: Callable[[jax.Array, int], Sequences],
    judge: Callable[[jax.Array, jax.Array], Verdict],
    criterion: Criterion,
    metric: str,
    facts: dict[str, Any],
) -> Task:
    """Builds a task from `sample(key, batch_size)` and `judge(outputs, targets)`.

    Beside the verdict's values it reports `right_fraction`, the share of the sequences that the
    criterion calls right. Of `metric`, more is better.
    """
    example = jax.eval_shape(lambda key: sample(key, 1), jax.random.PRNGKey(0))
    network, outputs = make_network(config), example.targets.shape[-1]
    model = Readout(network, outputs, dropout=config.model.dropout)

    def init(key: jax.Array) -> Any:
        return model.init(key, jnp.zeros((1, 1, example.inputs.shape[-1])), jnp.ones(1, jnp.int32))

    def loss(params: Any, carry: Record, batch: jax.Array, key: jax.Array | None) -> Any:
        sequences, dropout = _draw(sample, batch, key, config.train.batch_size)
        sequences = mesh.constrain(mesh.make_mesh(config), sequences, BATCH_AXES)
        outputs = apply(model, params, sequences.inputs, sequences.lengths, key=dropout)
        verdict = judge(outputs, sequences.targets)
        right = jnp.all(verdict.errors < criterion.tolerance, axis=-1)
        values = {
            "loss": verdict.loss,
            "error": verdict.errors.mean(axis=-1),
            "right_fraction": right.astype(outputs.dtype),
            **verdict.extras,
        }
        record = _record(carry, right, values["error"], criterion)
        return verdict.loss.mean(), (record, {k: Mean.of(v) for k, v in values.items()})

    return Task(
        model=model,
        init=init,
        initial_carry=_empty_record,
        loss=loss,
        train_batches=lambda part: Counter(),
        eval_batches=_counters,
        metric=metric,
        higher_is_better=True,
        summarize=dict,
        sample=None,
        facts={**facts, "sampled": True, **_sizes()},
        solved_at=lambda carry: carry.solved_at,
    )


def _draw(sample: Callable, batch: jax.Array, key: jax.Array | None, size: int) -> tuple:
    """Training draws by the step's own key; evaluation by the batch's number, always the same."""
    if key is None:
        fixed = jax.random.fold_in(jax.random.PRNGKey(EVALUATION_SEED), batch)
        return sample(fixed, EVALUATION_BATCH), None
    data_key, dropout_key = jax.random.split(key)
    return sample(data_key, size), dropout_key


def _record(old: Record, right: jax.Array, error: jax.Array, criterion: Criterion) -> Record:
    """Adds a batch, taken as sequences in order, to the record."""
    trailing = jnp.cumprod(right[::-1].astype(jnp.int32))[::-1]  # 1 in the batch's last right run
    unbroken = trailing[0]
    run = unbroken * old.run + trailing.sum()
    total = unbroken * old.error + jax.lax.stop_gradient((trailing * error).sum())
    seen = old.seen + right.shape[0]
    solved = (run >= criterion.run) & (total < criterion.mean_error * run)
    solved_at = jnp.where((old.solved_at == 0) & solved, seen, old.solved_at)
    return Record(seen, run, total, solved_at)


def _empty_record() -> Record:
    zero = jnp.zeros((), jnp.int32)
    return Record(seen=zero, run=zero, error=jnp.zeros(()), solved_at=zero)


def _counters(split: str) -> Iterable[np.uint32]:
    return [np.uint32(number) for number in COUNTERS[split]]


def _sizes() -> dict[str, int]:
    return {f"{split}_sequences": len(c) * EVALUATION_BATCH for split, c in COUNTERS.items()}
