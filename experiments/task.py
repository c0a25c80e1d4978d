"""What a task is to the runner: pure functions, two sources of batches, one metric to select on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from experiments.config import to_json
from experiments.mesh import Part
from experiments.serving.model import Served

Params = Any  # a pytree of arrays, as flax.linen's `init` returns it
Carry = Any  # a pytree of arrays, () where batches are independent
Batch = Any  # a pytree of numpy arrays


class Mean(NamedTuple):
    """A weighted mean in the making: add two of them leaf by leaf, then divide once.

    Example:
        >>> total = jax.tree.map(lambda a, b: a + b, Mean(3.0, 2.0), Mean(5.0, 2.0))
        >>> total.total / total.weight
        2.0
    """

    total: Any
    weight: Any

    @classmethod
    def of(cls, values: jax.Array, weights: jax.Array | float = 1.0) -> Mean:
        """The mean of `values`, each counted `weights` times (any shapes that broadcast)."""
        weights = jnp.broadcast_to(jnp.asarray(weights, values.dtype), values.shape)
        return cls(jnp.sum(values * weights), jnp.sum(weights))


def apply(
    model: nn.Module, params: Params, *inputs: Any, key: jax.Array | None = None, **options: Any
) -> Any:
    """What Flax's `apply` returns, with dropout drawn by `key` and without any if it is None."""
    if key is not None:
        options |= {"deterministic": False, "rngs": {"dropout": key}}
    return model.apply(params, *inputs, **options)


class BatchIterator(Protocol):
    """An endless iterator whose position can be saved as JSON and restored."""

    def __next__(self) -> Batch: ...

    def get_state(self) -> Any: ...

    def set_state(self, state: Any) -> None: ...


class Task(NamedTuple):
    """A task, built by a factory `TASKS[config.task.name](config)`.

    Attributes:
        model: the Flax module that is trained, built from `lstm_jax.linen.Recurrent`.
        init: `key -> params`, pure; the runner maps it over seeds.
        initial_carry: `() -> carry`, what is handed from batch to batch: recurrent states [B, ...],
            counts [].
        loss: `(params, carry, batch, key) -> (loss, (carry, means))` with means a dict of `Mean`;
            pure. `key=None` means evaluation: deterministic, no dropout. While training, `key`
            differs at every step and for every member.
        train_batches: `part -> BatchIterator`, endless: this process's part of every batch.
        eval_batches: `split -> iterable`, finite; split is "valid" or "test". Every process gets
            them whole. The carry, fresh at the start, is threaded through them in their order.
        metric: the summarized value that validation selects on.
        higher_is_better: whether a larger metric is the better one.
        summarize: `{name: mean} -> {name: reported value}`, on plain floats.
        sample: `(params, key, directory, **options)`, writes or prints something to read or
            hear; None where there is nothing to sample.
        facts: what `results.json` says about the data: sha256, sizes, splits.
        batch_axes: a batch with, in place of each array, the axis that counts its sequences, along
            which devices share it; None where the loss draws the data itself.
        unit: what a `Mean` of the loss counts, for the rate on display ("characters").
        headline: the value that results are compared by, of the test metrics; `metric` if empty.
        score: `(params, split) -> {name: value}`: what is no mean over batches, such as the BLEU of
            translations; found for the test split at a run's end. None where there is nothing.
        baselines: `() -> {model: {name: value}}`: what simpler models reach on the test split,
            under the names of the metrics; found at a run's end. None where there are none.
        verdict: `(test means, baselines) -> sentence`: what these numbers come to, said plainly;
            None where they speak for themselves.
        solved_at: `carry -> number of sequences seen when the success criterion first held`, 0
            while it does not; None where the task has no such criterion. A solved run stops.
        serve: `params -> Served`, the model as it leaves the lab; None where it is more than
            inputs, a recurrent network and a linear layer.
    """

    model: nn.Module
    init: Callable[[jax.Array], Params]
    initial_carry: Callable[[], Carry]
    loss: Callable[..., tuple[jax.Array, tuple[Carry, dict[str, Mean]]]]
    train_batches: Callable[[Part], BatchIterator]
    eval_batches: Callable[[str], Iterable[Batch]]
    metric: str
    higher_is_better: bool
    summarize: Callable[[dict[str, float]], dict[str, float]]
    sample: Callable[..., None] | None
    facts: dict[str, Any]
    batch_axes: Any = None
    unit: str = "sequences"
    headline: str = ""
    score: Callable[[Params, str], dict[str, float]] | None = None
    baselines: Callable[[], dict[str, dict[str, float]]] | None = None
    verdict: Callable[[dict[str, float], dict[str, dict[str, float]]], str] | None = None
    solved_at: Callable[[Carry], jax.Array] | None = None
    serve: Callable[[Params], Served] | None = None


def identity(task: Task, config: ConfigDict) -> dict[str, Any]:
    """What makes a run the same run: its configuration, and the facts about its data, as JSON."""
    return to_json(config) | {"facts": json.loads(json.dumps(task.facts))}
