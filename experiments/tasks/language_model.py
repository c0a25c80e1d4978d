"""Language modelling: read a text, predict each next symbol of it, write more."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments import signals
from experiments.config import ConfigError, make_network
from experiments.data import batches
from experiments.language import vocabulary
from experiments.language.ngrams import NGrams, fit_best
from experiments.language.running_text import LanguageModel, sample
from experiments.language.texts import Counts, encode, facts, load
from experiments.language.vocabulary import Vocabulary
from experiments.language.windows import Window, Windows
from experiments.task import Mean, Task, apply

BATCH_AXES = Window._make((1, 1, 1, 0))


def language_model(config: ConfigDict) -> Task:
    """Language modelling of `config.task.path`, or of the text that `config.task.text` names.

    A text is split 90/5/5 without shuffling; Multi30k has splits of its own. Training runs through
    `config.train.batch_size` parallel streams in windows of `config.task.steps` symbols and carries
    the state from window to window (truncated backpropagation through time), except that once in
    `config.task.restart` windows a stream starts afresh, as a reader of a new text does. Evaluation
    always carries the state on, and predicts every symbol of a split but its first exactly once.

    Bits per character are the bits of all symbols over the characters that they decode to. They
    compare models of all levels but words, which decode with one blank between two of them: a
    text's other blanks are neither predicted nor counted, and a word that the vocabulary lacks
    counts as one character. The facts say what share of each split such words are.

    Raises:
        ConfigError: if there is no such text, or it is too short to be split.
    """
    check(config)
    corpus = load(config)
    level = config.task.level
    known = vocabulary.build(level, [corpus.splits["train"]], config.task.vocabulary_size, False)
    symbols = encode(corpus, known)
    network = make_network(config)
    options = config.task.embedding, config.task.tied, config.model.dropout
    model = LanguageModel(network, known.size, *options)
    streams, steps = config.train.batch_size, config.task.steps
    windows = Windows(symbols["train"], streams, steps, restart=config.task.restart)
    fresh = partial(network.initial_state, streams)
    counts = Counts(known.lengths, known.spaced)
    read = partial(loss, model, fresh, counts, config.task.ar, config.task.tar)

    def in_order(split: np.ndarray) -> Windows:
        return Windows(split, streams, steps, warm_up=True)

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, streams), jnp.int32), fresh()),
        initial_carry=fresh,
        loss=read,
        train_batches=lambda part: batches.iterate(
            grain.MapDataset.source(windows).repeat(), part, BATCH_AXES
        ),
        eval_batches=lambda split: in_order(symbols[split]),
        metric="perplexity" if level == "word" else "bits_per_character",
        higher_is_better=False,
        summarize=summarize,
        sample=partial(sample, model, known, corpus.sentence_end),
        facts=facts(corpus, symbols, known),
        batch_axes=BATCH_AXES,
        unit="characters",
        score=partial(last_tenth, read, fresh, in_order, symbols) if corpus.contiguous else None,
        baselines=partial(baselines, known, counts, symbols),
        serve=partial(model.served, names=known.tokens(range(known.size))),
    )


def check(config: ConfigDict) -> None:
    """Raises `ConfigError` for what the fields of `config.task` cannot be together."""
    for field, least in [("steps", 1), ("restart", 0), ("embedding", 0)]:
        if config.task[field] < least:
            raise ConfigError(
                f"config.task.{field} is {config.task[field]}, it must be at least {least}"
            )
    if config.task.tied and not config.task.embedding:
        raise ConfigError(
            "config.task.tied is True, but config.task.embedding is 0; give the embedding a size"
        )


def loss(
    model: LanguageModel,
    fresh: Callable[[], Any],
    counts: Counts,
    ar: float,
    tar: float,
    params: Any,
    carry: Any,
    batch: Window,
    key: jax.Array | None,
) -> tuple[jax.Array, tuple[Any, dict[str, Mean]]]:
    """Cross-entropy in nats, averaged over the places of a window; padding adds nothing.

    While training, activations are regularized (Merity et al. 2017, arXiv:1708.02182): added are
    ar · mean(m⊙h_t)² and tar · mean(h_t − h_{t−1})², with h the network's outputs and m their
    dropout.
    """
    state = jax.tree.map(
        lambda new, old: jnp.where(batch.fresh.reshape(-1, *[1] * (old.ndim - 1)), new, old),
        fresh(),
        carry,
    )
    carry, reading = apply(model, params, batch.inputs, state, method="read", key=key)
    nats = reading.following.nats(jnp.asarray(batch.targets))
    weights = jnp.asarray(batch.weights)
    mean = Mean.of(nats, weights)
    characters = jnp.sum(weights * counts(batch.inputs, batch.targets))
    objective = mean.total / nats.size
    if key is not None:
        objective += regularizer(reading.outputs, reading.dropped, ar, tar)
    means = {"nats_per_character": Mean(mean.total, characters), "nats_per_symbol": mean}
    return objective, (carry, means)


def regularizer(outputs: jax.Array, dropped: jax.Array, ar: float, tar: float) -> jax.Array | float:
    """ar · mean(m⊙h_t)² + tar · mean(h_t − h_{t−1})², of outputs h and m⊙h [T, B, H]."""
    activation = ar * jnp.mean(jnp.square(dropped)) if ar else 0.0
    if not tar or len(outputs) == 1:
        return activation
    return activation + tar * jnp.mean(jnp.square(outputs[1:] - outputs[:-1]))


def summarize(means: dict[str, float]) -> dict[str, float]:
    """Bits per character and perplexity per symbol instead of the nats per symbol."""
    means = dict(means)
    return {
        "bits_per_character": means["nats_per_character"] / math.log(2),
        "perplexity": float(np.exp(means.pop("nats_per_symbol"))),
        **means,
    }


def last_tenth(
    read: Callable[..., Any],
    fresh: Callable[[], Any],
    in_order: Callable[[np.ndarray], Windows],
    symbols: dict[str, np.ndarray],
    params: Any,
    split: str,
) -> dict[str, float]:
    """Bits per character of the valid and test splits together, read as one text."""
    if split != "test":
        return {}
    advance = jax.jit(partial(read, key=None))
    carry, nats, characters = fresh(), 0.0, 0.0
    for window in in_order(np.concatenate([symbols["valid"], symbols["test"]])):
        signals.check()
        _, (carry, means) = advance(params, carry, window)
        nats += float(means["nats_per_character"].total)
        characters += float(means["nats_per_character"].weight)
    return {"last_tenth_bits_per_character": nats / characters / math.log(2)}


def baselines(
    known: Vocabulary, counts: Counts, symbols: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """What counting n-grams reaches on the test split."""
    train, valid, test = (symbols[split] for split in ("train", "valid", "test"))
    characters = float(np.sum(counts(test[:-1], test[1:])))
    best = fit_best([train], [valid], known.size)
    models = {
        "unigram": NGrams.fit([train], 1, known.size),
        f"Kneser-Ney {len(best.levels)}-gram": best,
    }
    found = {}
    for name, model in models.items():
        nats = -model.log_probability(test)[1:]
        means = {
            "nats_per_character": nats.sum() / characters,
            "nats_per_symbol": nats.mean(),
        }
        found[name] = summarize({mean: float(value) for mean, value in means.items()})
    return found
