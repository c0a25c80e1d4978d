"""Tasks that tell which symbols a sequence says, by connectionist temporal classification."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from rich.progress import track

from experiments import signals
from experiments.config import make_network
from experiments.perception import ctc
from experiments.perception.examples import AXES, Arrays, Augment, Batch, Batches, Split, groups
from experiments.perception.readout import Readout
from experiments.task import Mean, Task, apply

GROUP = 32  # inputs that the model reads at once


class Transcript(NamedTuple):
    """The symbols that were found [L], and the log-probabilities of each frame [T, 1 + K]."""

    symbols: np.ndarray
    log_probs: np.ndarray


def transcriber(
    config: ConfigDict,
    splits: Mapping[str, Split],
    symbols: Sequence[str],
    *,
    augment: Augment | None = None,
    sample: Callable[..., None] | None = None,
    baselines: Callable[[], dict[str, dict[str, float]]] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Task:
    """A task in which each sequence says symbols, one after the other, and the labels are those.

    The loss is the negative log-likelihood in nats a label, and validation selects on it. The label
    error rate, in per cent, is found by prefix beam search, and once more by the best path.

    Args:
        config: `task.bidirectional`, `task.buckets` and `task.beams` are used.
        splits: "train", "valid" and "test"; no example has more labels, with a blank between equal
            neighbours, than frames.
        symbols: their names; label k is the symbol `symbols[k]`.
        augment: what makes a training input another one each time.
        sample: see `Task`; it is called as `sample(transcribe, params, key, directory, ...)` with
            `transcribe(params, inputs) -> list of Transcript`.
        baselines: see `Task`; `ctc.label_error_rate` is named "label_error_rate" there too.
        facts: what else the results say about the data.

    Returns:
        The task.

    Raises:
        ConfigError: if the network cannot be built.

    Source: Graves et al. 2006, "Connectionist temporal classification", ICML.
    """
    network = make_network(config, config.task.bidirectional)
    model = Readout(network, 1 + len(symbols), "steps", dropout=config.model.dropout)
    batches = Batches(config, splits, augment)
    features = splits["train"].inputs[0].shape[1]
    read = partial(_transcribe, model, config.task.beams)

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
        sample=sample and partial(sample, read),
        facts={**(facts or {}), "symbols": len(symbols), **batches.facts()},
        batch_axes=AXES,
        unit="labels",
        headline="label_error_rate",
        score=lambda params, split: _error_rates(read(params, splits[split].inputs), splits[split]),
        baselines=baselines,
        serve=partial(model.served, names=("<blank>", *symbols)),
    )


def _loss(
    model: Readout, params: Any, carry: tuple, batch: Batch, key: jax.Array | None
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """The negative log-likelihood of a batch's labels, in nats a label."""
    logits = apply(model, params, jnp.asarray(batch.inputs), batch.lengths, key=key)
    nats = ctc.losses(logits, batch.lengths, batch.labels, batch.label_lengths)
    labels = jnp.asarray(batch.label_lengths, nats.dtype)
    mean = Mean(jnp.sum(nats, where=batch.present), jnp.sum(labels, where=batch.present))
    return mean.total / jnp.maximum(mean.weight, 1.0), (carry, {"loss": mean})


@partial(jax.jit, static_argnums=0)
def _log_probs(model: Readout, params: Any, inputs: jax.Array, lengths: jax.Array) -> jax.Array:
    return jax.nn.log_softmax(apply(model, params, inputs, lengths))


def _transcribe(model: Readout, beams: int, params: Any, inputs: Arrays) -> list[Transcript]:
    """What prefix beam search finds in each of some inputs [T, D]."""
    found = []
    read, quiet = list(groups(inputs, min(GROUP, len(inputs)))), not sys.stdout.isatty()
    for padded, lengths in track(read, "transcribing", transient=True, disable=quiet):
        signals.check()
        log_probs = np.asarray(_log_probs(model, params, padded, lengths))
        own = [log_probs[:length, column] for column, length in enumerate(lengths) if length]
        found += [Transcript(ctc.prefix_beam_search(probs, beams), probs) for probs in own]
    return found


def _error_rates(transcripts: Sequence[Transcript], split: Split) -> dict[str, float]:
    """The label error rates of a split's transcripts, and of the best paths through the same."""
    labels = list(split.labels)
    best = [ctc.greedy(transcript.log_probs) for transcript in transcripts]
    return {
        "label_error_rate": ctc.label_error_rate([t.symbols for t in transcripts], labels),
        "label_error_rate_greedy": ctc.label_error_rate(best, labels),
    }
