"""Tasks whose sequences are sampled on the device, never stored: batches are mere counters.

What the long-time-lag tasks share: sequences with a lag that is a number in the configuration, a
fixed test set, a success criterion on the latest training sequences, none of which was seen
before, and further test sets at lags that the model never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments import mesh
from experiments.config import ConfigError, make_network
from experiments.perception.readout import Readout
from experiments.task import Mean, Task, apply

EVALUATION_SEED = 1997
EVALUATION_BATCH = 256
COUNTERS = {"test": range(10), "valid": range(100, 105)}  # 2,560 and 1,280 sequences
OTHER_LAGS = range(200, 202)  # 512 sequences at each lag of config.task.lags


class Sequences(NamedTuple):
    """Inputs [T, B, D], lengths [B] (padding after them) and targets, what `judge` wants to know.

    The leaves of targets are [B, ...] where the last step is read, [T, B, ...] where each is.
    """

    inputs: jax.Array
    lengths: jax.Array
    targets: Any


class Verdict(NamedTuple):
    """Each sequence's loss [B], absolute errors [B, ...] and other values to average, [B] each."""

    loss: jax.Array
    errors: jax.Array
    extras: dict[str, jax.Array]


class Criterion(NamedTuple):
    """Solved: of the latest `window` training sequences at most `wrong` are wrong.

    A sequence is right if all its errors are below `tolerance`. The mean error over the window
    must be below `mean_error` too. What is reported is the number of sequences up to the window's
    end, or, `before` it, up to its beginning.
    """

    tolerance: float
    window: int = 2000
    wrong: int = 0
    mean_error: float = float("inf")
    before: bool = False


class Record(NamedTuple):
    """The carry: sequences seen, whether the latest were right [window], their errors, success."""

    seen: jax.Array
    right: jax.Array
    errors: jax.Array
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
    sample: Callable[[jax.Array, int, int], Sequences],
    judge: Callable[[jax.Array, Any], Verdict],
    criterion: Criterion,
    *,
    outputs: int,
    source: str,
    least: int,
    metric: str = "right_fraction",
    every_step: bool = False,
    shorter: Sequence[int] = (),
    published: str = "",
    facts: dict[str, Any] | None = None,
) -> Task:
    """Builds a task from `sample(key, batch_size, lag)` and `judge(outputs, targets)`.

    Beside the verdict's values it reports `right_fraction`, the share of the sequences that the
    criterion calls right, and `right_fraction_at_LAG` on the test split for every lag of
    `config.task.lags`.

    Args:
        config: the configuration; `config.task.length` is the lag.
        sample: draws sequences.
        judge: compares outputs [B, K], or [T, B, K], with the targets.
        criterion: when the task is solved.
        outputs: K.
        source: where the task is from.
        least: the shortest lag that the task can have.
        metric: what to select on; more is better.
        every_step: whether the outputs of every step are read, or of the last valid one.
        shorter: further lags that training takes turns with, a batch of each; the criterion counts
            the sequences of all.
        published: how many sequences a published model needed.
        facts: what `results.json` says about the task beside that.

    Raises:
        ConfigError: if a lag is too short.
    """
    lag, lags = config.task.length, config.task.lags
    named = [("length is", lag)]
    named += [("lags has", other) for other in lags] + [("shorter has", other) for other in shorter]
    for fault, value in named:
        if value < least:
            name = config.task.name
            raise ConfigError(f"config.task.{fault} {value}, {name} needs at least {least}")
    example = jax.eval_shape(lambda key: sample(key, 1, lag), jax.random.PRNGKey(0))
    pooling = "steps" if every_step else "last"
    model = Readout(make_network(config), outputs, pooling, dropout=config.model.dropout)
    axes = Sequences._make((1, 0, jax.tree.map(lambda _: int(every_step), example.targets)))

    def init(key: jax.Array) -> Any:
        return model.init(key, jnp.zeros((1, 1, example.inputs.shape[-1])), jnp.ones(1, jnp.int32))

    def verdict_on(params: Any, sequences: Sequences, key: jax.Array | None) -> dict:
        sequences = mesh.constrain(mesh.make_mesh(config), sequences, axes)
        read = apply(model, params, sequences.inputs, sequences.lengths, key=key)
        verdict = judge(read, sequences.targets)
        errors = verdict.errors.reshape(verdict.loss.shape[0], -1)
        right = (errors < criterion.tolerance).all(axis=1).astype(verdict.loss.dtype)
        return {
            "loss": verdict.loss,
            "error": errors.mean(axis=1),
            "right_fraction": right,
            **verdict.extras,
        }

    def train_at(lag: int, params: Any, key: jax.Array) -> dict:
        own, dropout = jax.random.split(key)
        return verdict_on(params, sample(own, config.train.batch_size, lag), dropout)

    def loss(params: Any, carry: Record, batch: jax.Array, key: jax.Array | None) -> Any:
        if key is None:  # evaluation draws by the batch's number, always the same
            values = verdict_on(params, sample(_fixed(batch), EVALUATION_BATCH, lag), None)
        else:
            turns = [partial(train_at, own) for own in (*shorter, lag)]
            values = jax.lax.switch(batch % len(turns), turns, params, key)
        record = add(carry, values["right_fraction"], values["error"], criterion)
        return values["loss"].mean(), (record, {k: Mean.of(v) for k, v in values.items()})

    @partial(jax.jit, static_argnames="lag")
    def right_at(params: Any, batch: jax.Array, lag: int) -> jax.Array:
        sequences = sample(_fixed(batch), EVALUATION_BATCH, lag)
        return verdict_on(params, sequences, None)["right_fraction"].mean()

    def score(params: Any, split: str) -> dict[str, float]:
        return {
            f"right_fraction_at_{other}": float(
                np.mean([right_at(params, batch, other) for batch in OTHER_LAGS])
            )
            for other in lags
        }

    return Task(
        model=model,
        init=init,
        initial_carry=partial(empty_record, criterion),
        loss=loss,
        train_batches=lambda part: Counter(),
        eval_batches=_counters,
        metric=metric,
        higher_is_better=True,
        summarize=dict,
        sample=None,
        facts={
            "source": source,
            "published": published,
            "lag": lag,
            **(facts or {}),
            "sampled": True,
            **_sizes(),
        },
        score=score,
        solved_at=lambda carry: carry.solved_at,
        serve=model.served,
    )


def empty_record(criterion: Criterion) -> Record:
    """A record of nothing."""
    zero, blank = jnp.zeros((), jnp.int32), jnp.zeros(criterion.window)
    return Record(seen=zero, right=blank, errors=blank, solved_at=zero)


def add(old: Record, right: jax.Array, errors: jax.Array, criterion: Criterion) -> Record:
    """The record after a batch, taken as sequences in order: right [B] is 0 or 1, errors [B]."""
    seen = old.seen + right.shape[0]
    right = jnp.concatenate([old.right, right])[-criterion.window :]
    errors = jnp.concatenate([old.errors, jax.lax.stop_gradient(errors)])[-criterion.window :]
    solved = (seen >= criterion.window) & (right.sum() >= criterion.window - criterion.wrong)
    solved &= errors.mean() < criterion.mean_error
    after = seen - criterion.before * criterion.window
    solved_at = jnp.where((old.solved_at == 0) & solved, jnp.maximum(after, 1), old.solved_at)
    return Record(seen, right, errors, solved_at)


def _fixed(batch: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.PRNGKey(EVALUATION_SEED), batch)


def _counters(split: str) -> Iterable[np.uint32]:
    return [np.uint32(number) for number in COUNTERS[split]]


def _sizes() -> dict[str, int]:
    return {f"{split}_sequences": len(c) * EVALUATION_BATCH for split, c in COUNTERS.items()}
