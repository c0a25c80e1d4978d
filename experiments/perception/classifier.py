"""Tasks that tell which class a sequence belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from experiments.config import choose, make_network
from experiments.data.buckets import pad
from experiments.perception.examples import AXES, Arrays, Augment, Batch, Batches, Split
from experiments.task import Mean, Task
from lstm_jax.linen import Recurrent

POOLINGS = ("last", "mean")
Prepare = Callable[[jax.Array], jax.Array]
Predict = Callable[[Any, Arrays], np.ndarray]


class Classify(nn.Module):
    """A recurrent network whose outputs are pooled over time and read by a linear layer.

    Attributes:
        network: a cell, a stack or a bidirectional network.
        classes: their number K.
        pooling: "last", the output where each direction ends; "mean", over the valid steps.
        bidirectional: whether the first half of an output runs forward, and the second backward.
        dropout: of what is pooled, in training.
    """

    network: Any
    classes: int
    pooling: str = "last"
    bidirectional: bool = False
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, inputs: jax.Array, lengths: jax.Array, deterministic: bool = True
    ) -> jax.Array:
        """Maps inputs [T, B, D] with lengths [B] to logits [B, K]."""
        _, ys = Recurrent(self.network, time_major=True)(
            inputs, lengths=lengths, deterministic=deterministic
        )
        pooled = self.pool(ys, lengths)
        pooled = nn.Dropout(self.dropout)(pooled, deterministic=deterministic)
        return nn.Dense(self.classes)(pooled).astype(jnp.float32)

    def pool(self, ys: jax.Array, lengths: jax.Array) -> jax.Array:
        """One vector [B, H] of the outputs [T, B, H] of a sequence, which are 0 in its padding."""
        if self.pooling == "mean":
            return ys.sum(axis=0) / jnp.maximum(lengths, 1)[:, None]
        last = ys[jnp.maximum(lengths - 1, 0), jnp.arange(lengths.shape[0])]
        if not self.bidirectional:
            return last
        half = ys.shape[-1] // 2
        return jnp.concatenate([last[:, :half], ys[0, :, half:]], axis=-1)


def classifier(
    config: ConfigDict,
    splits: Mapping[str, Split],
    classes: Sequence[str],
    *,
    augment: Augment | None = None,
    prepare: Prepare = lambda inputs: inputs,
    baselines: Callable[[], Mapping[str, np.ndarray]] | None = None,
    sample: Callable[..., None] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Task:
    """A task in which each sequence has one label, the number of its class.

    The loss is the cross-entropy in nats. Validation selects on the share of right answers.

    Args:
        config: `task.pooling`, `task.bidirectional` and `task.buckets` are used.
        splits: "train", "valid" and "test".
        classes: their names.
        augment: what makes a training input another one each time.
        prepare: what the model does to the inputs [T, B, D] of a batch first, on the device.
        baselines: the classes [N] that simpler models find for the test split, by their names.
        sample: see `Task`; it is called as `sample(predict, params, key, directory, ...)` with
            `predict(params, inputs) -> probabilities [N, K]`.
        facts: what else the results say about the data.

    Raises:
        ConfigError: if a field cannot be.
    """
    task = config.task
    model = Classify(
        make_network(config, task.bidirectional),
        len(classes),
        choose("task.pooling", task.pooling, POOLINGS),
        task.bidirectional,
        config.model.dropout,
    )
    batches = Batches(config, splits, augment)
    example = jax.eval_shape(prepare, splits["train"].inputs[0][:1, None])

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros(example.shape), jnp.ones(1, jnp.int32)),
        initial_carry=tuple,
        loss=partial(loss, model, prepare),
        train_batches=batches.train,
        eval_batches=batches.evaluation,
        metric="accuracy",
        higher_is_better=True,
        summarize=dict,
        sample=sample and partial(sample, partial(predict, model, prepare)),
        facts={**(facts or {}), "classes": len(classes), **batches.facts()},
        batch_axes=AXES,
        baselines=baselines and partial(accuracies, baselines, splits["test"]),
    )


def loss(
    model: Classify,
    prepare: Prepare,
    params: Any,
    carry: tuple,
    batch: Batch,
    key: jax.Array | None,
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """The mean of -log p(class) over the sequences of a batch; `accuracy` is among the means."""
    rngs = None if key is None else {"dropout": key}
    apply: Callable[..., Any] = model.apply
    inputs = prepare(jnp.asarray(batch.inputs))
    logits = apply(params, inputs, batch.lengths, deterministic=key is None, rngs=rngs)
    classes = jnp.asarray(batch.labels)[:, 0]
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, classes)
    right = jnp.argmax(logits, axis=-1) == classes
    present = jnp.asarray(batch.present)
    means = {"loss": Mean.of(nats, present), "accuracy": Mean.of(right * 1.0, present)}
    return means["loss"].total / means["loss"].weight, (carry, means)


@partial(jax.jit, static_argnums=(0, 1))
def _probabilities(
    model: Classify, prepare: Prepare, params: Any, inputs: jax.Array, lengths: jax.Array
) -> jax.Array:
    apply: Callable[..., Any] = model.apply
    return jax.nn.softmax(apply(params, prepare(inputs), lengths))


def predict(
    model: Classify, prepare: Prepare, params: Any, inputs: Arrays, size: int = 100
) -> np.ndarray:
    """The probability of each class for each of some inputs [N, K], `size` of them at a time."""
    found = []
    longest = max(map(len, inputs))
    for start in range(0, len(inputs), size):
        some = list(inputs[start : start + size])
        filled = some + [inputs[0][:0]] * (size - len(some))
        lengths = np.array(list(map(len, filled)), np.int32)
        padded = pad(filled, longest, 0, inputs[0].dtype)
        probabilities = _probabilities(model, prepare, params, padded, lengths)
        found.append(np.asarray(probabilities)[: len(some)])
    return np.concatenate(found)


def accuracies(
    predicted: Callable[[], Mapping[str, np.ndarray]], split: Split
) -> dict[str, dict[str, float]]:
    """The share of right answers of each model."""
    truth = np.concatenate(list(split.labels))
    return {name: {"accuracy": float(np.mean(own == truth))} for name, own in predicted().items()}
