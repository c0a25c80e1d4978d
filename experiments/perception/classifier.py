"""Tasks that tell which class a sequence belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.config import choose, make_network
from experiments.perception.examples import AXES, Arrays, Augment, Batch, Batches, Split, groups
from experiments.perception.readout import Readout
from experiments.task import Mean, Task, apply

POOLINGS = ("last", "mean")
Predict = Callable[[Any, Arrays], np.ndarray]


def classifier(
    config: ConfigDict,
    splits: Mapping[str, Split],
    classes: Sequence[str],
    *,
    augment: Augment | None = None,
    moments: tuple[float, float] = (0.0, 1.0),
    baselines: Callable[[], Mapping[str, np.ndarray]] | None = None,
    sample: Callable[..., None] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Task:
    """A task in which each sequence has one label, the number of its class.

    The loss is the cross-entropy in nats. Validation selects on it: a small validation split knows
    few shares of right answers, and of many equal ones chance would decide. Results are compared by
    the share of right answers, "accuracy".

    Args:
        config: `task.pooling`, `task.bidirectional` and `task.buckets` are used.
        splits: "train", "valid" and "test".
        classes: their names.
        augment: what makes a training input another one each time.
        moments: the mean and the deviation that the model standardizes inputs by.
        baselines: the classes [N] that simpler models find for the test split, by their names.
        sample: see `Task`; it is called as `sample(predict, params, key, directory, ...)` with
            `predict(params, inputs) -> probabilities [N, K]`.
        facts: what else the results say about the data.

    Raises:
        ConfigError: if a field cannot be.
    """
    task = config.task
    model = Readout(
        make_network(config, task.bidirectional),
        len(classes),
        choose("task.pooling", task.pooling, POOLINGS),
        task.bidirectional,
        config.model.dropout,
        *moments,
    )
    batches = Batches(config, splits, augment)
    features = splits["train"].inputs[0].shape[1]

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, 1, features)), jnp.ones(1, jnp.int32)),
        initial_carry=tuple,
        loss=partial(_loss, model),
        train_batches=batches.train,
        eval_batches=batches.evaluation,
        metric="loss",
        higher_is_better=False,
        summarize=dict,
        sample=sample and partial(sample, partial(_predict, model)),
        facts={**(facts or {}), "classes": len(classes), **batches.facts()},
        batch_axes=AXES,
        headline="accuracy",
        baselines=baselines and partial(_accuracies, baselines, splits["test"]),
        serve=partial(model.served, names=classes),
    )


def _loss(
    model: Readout,
    params: Any,
    carry: tuple,
    batch: Batch,
    key: jax.Array | None,
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """The mean of -log p(class) over the sequences of a batch; `accuracy` is among the means."""
    logits = apply(model, params, jnp.asarray(batch.inputs), batch.lengths, key=key)
    classes = jnp.asarray(batch.labels)[:, 0]
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, classes)
    right = jnp.argmax(logits, axis=-1) == classes
    present = jnp.asarray(batch.present)
    means = {"loss": Mean.of(nats, present), "accuracy": Mean.of(right * 1.0, present)}
    return means["loss"].total / jnp.maximum(means["loss"].weight, 1.0), (carry, means)


@partial(jax.jit, static_argnums=0)
def _probabilities(
    model: Readout, params: Any, inputs: jax.Array, lengths: jax.Array
) -> jax.Array:
    return jax.nn.softmax(apply(model, params, inputs, lengths))


def _predict(model: Readout, params: Any, inputs: Arrays, size: int = 100) -> np.ndarray:
    """The probability of each class for each of some inputs [N, K], `size` of them at a time."""
    found = [
        np.asarray(_probabilities(model, params, padded, lengths))
        for padded, lengths in groups(inputs, size)
    ]
    return np.concatenate(found)[: len(inputs)]


def _accuracies(
    predicted: Callable[[], Mapping[str, np.ndarray]], split: Split
) -> dict[str, dict[str, float]]:
    """The share of right answers of each model."""
    truth = np.concatenate(list(split.labels))
    return {name: {"accuracy": float(np.mean(own == truth))} for name, own in predicted().items()}
