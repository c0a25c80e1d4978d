"""Missing words: predict each word of a text from all its others, fill gaps, find missing lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments import signals
from experiments.config import ConfigError, make_network
from experiments.data import batches
from experiments.data.buckets import Buckets, Draw, pad
from experiments.data.files import sha256
from experiments.language import filling, gaps, missing_lines, texts
from experiments.language.corpora import sentences
from experiments.language.gaps import GapModel
from experiments.language.missing_lines import Lines, Puzzle, join, puzzles
from experiments.language.ngrams import NGrams, perplexity
from experiments.language.samples import warn_of_unknown, write_samples
from experiments.language.vocabulary import Vocabulary, build
from experiments.task import Mean, Task, apply

LONGEST = 100  # words; what is longer counts as several lines
GUESSES = (1, 5)
RUNS, RUN_TEXTS = (2, 3), 300  # words that are hidden in a row, in so many texts
PUZZLES = 400  # passages that lack a line
SHOWN = 4  # examples of each kind in a sample
ORDER = 3  # of the Kneser-Ney baselines


class Batch(NamedTuple):
    """Texts side by side: words [T, B], and how many of them are there [B]."""

    words: np.ndarray
    lengths: np.ndarray


BATCH_AXES = Batch._make((1, 0))


class Examples(NamedTuple):
    """The texts of a split, as words [N]; by length; and as passages that lack a line."""

    words: list[np.ndarray]
    buckets: Buckets
    puzzles: list[Puzzle]

    def batch(self, draw: Draw) -> Batch:
        """The texts of a draw; those that are -1 have no words."""
        drawn = [self.words[n] if n >= 0 else self.words[0][:0] for n in draw.examples]
        lengths = np.array(list(map(len, drawn)), np.int32)
        return Batch(pad(drawn, draw.widths[0], 0), lengths)


def cloze(config: ConfigDict) -> Task:
    """Predicts each word of `config.task.path`, or of the text that `config.task.text` names.

    An example is a sentence of Multi30k, which has splits of its own, or a passage of
    `config.task.lines` lines of a text that is split 90/5/5 by lines. While training, about a share
    `config.task.hide` of the words that the model reads is hidden, so that it learns to read around
    gaps; evaluation hides nothing but the word that is predicted. Without
    `config.task.bidirectional` the model knows the words before it alone.

    Reported are the perplexity of all words, each given the others, and the shares of them that are
    the model's first guess and among its first five; a word that the vocabulary lacks is never
    guessed. The score adds how often gaps of two and three words are filled with what was there,
    and how often the missing line of a passage is found among ten.

    Raises:
        ConfigError: if there is no such text, or it is too short to be split.
    """
    name, lines, count = load(config)
    stretches = ["\n".join(part) for part in cut(lines["train"], count)]
    known = build("word", stretches, config.task.vocabulary_size, marks=True)
    splits = make_examples(config, known, lines, count)
    model = GapModel(
        make_network(config),
        known.unknown + 1,
        config.task.embedding,
        config.task.bidirectional,
        config.model.dropout,
    )
    reader, train = Reader(model, known, config.task.beams), splits["train"]
    drawn = batches.endless(lambda number: train.batch(train.buckets.draw(number)))

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, 1), jnp.int32), jnp.ones(1, jnp.int32)),
        initial_carry=tuple,
        loss=partial(loss, model, config.task.hide),
        train_batches=lambda part: batches.iterate(drawn, part, BATCH_AXES),
        eval_batches=lambda split: map(splits[split].batch, splits[split].buckets.in_order()),
        metric="perplexity",
        higher_is_better=False,
        summarize=lambda means: {"perplexity": float(np.exp(means["nats"])), **means},
        sample=partial(sample, reader, splits["test"]),
        facts={"text": name, "lines": count, **facts(lines, splits, known)},
        batch_axes=BATCH_AXES,
        unit="words",
        score=partial(score, reader, splits),
        baselines=partial(baselines, known, splits),
    )


def load(config: ConfigDict) -> tuple[str, dict[str, list[str]], int]:
    """What the text is called, the lines of each split, and how many lines are an example."""
    corpus = texts.load(config)
    if not corpus.contiguous:
        return corpus.name, {split: sentences(text) for split, text in corpus.splits.items()}, 1
    lines = sentences("".join(corpus.splits.values()))
    train, valid = len(lines) * texts.TRAIN // 100, len(lines) * texts.VALID // 100
    splits = {"train": lines[:train], "valid": lines[train:valid], "test": lines[valid:]}
    if not all(splits.values()):
        raise ConfigError(
            f"{corpus.field}: {corpus.name} has {len(lines)} lines that are not blank; give a text"
            " of at least 20"
        )
    return corpus.name, splits, config.task.lines


def make_examples(
    config: ConfigDict, known: Vocabulary, lines: dict[str, list[str]], count: int
) -> dict[str, Examples]:
    """The examples of each split, in buckets that all splits share."""
    passages = {split: cut(shorten(own, known), count) for split, own in lines.items()}
    words = {split: [join(lines, known) for lines in own] for split, own in passages.items()}
    lengths = {split: np.array([[len(text)] for text in own]) for split, own in words.items()}
    pool = np.concatenate(list(lengths.values()))
    shape = config.train.batch_size, config.task.buckets, config.seed, pool
    return {
        split: Examples(
            words[split],
            Buckets(lengths[split], *shape),
            puzzles(own, count, PUZZLES) if split != "train" and count > 1 else [],
        )
        for split, own in passages.items()
    }


def shorten(lines: list[str], known: Vocabulary) -> Lines:
    """The words of each line; a line of more than LONGEST becomes several."""
    encoded = [known.encode(line) for line in lines]
    return [line[k : k + LONGEST] for line in encoded for k in range(0, len(line), LONGEST)]


def cut(lines: list, count: int) -> list[list]:
    """Stretches of so many lines, one after the other; the last one may have fewer."""
    return [lines[k : k + count] for k in range(0, len(lines), count)]


def loss(
    model: GapModel, rate: float, params: Any, carry: tuple, batch: Batch, key: jax.Array | None
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """Cross-entropy in nats a word, of all words; in training some of those read are hidden."""
    words, dropout = jnp.asarray(batch.words), None
    seen = words
    if key is not None:
        hide_key, dropout = jax.random.split(key)
        seen = gaps.hide(hide_key, words, model.hidden, rate)
    read = apply(model, params, seen, batch.lengths, key=dropout)
    there = jnp.arange(len(words))[:, None] < batch.lengths
    nats = Mean.of(read.nats(words, gaps.LOGITS), there)
    means = {"nats": nats}
    if key is None:
        rank = ranks(read.logits(), words)
        means |= {f"top{k}": Mean.of((rank < k) * 1.0, there) for k in GUESSES}
    return nats.total / jnp.maximum(nats.weight, 1.0), (carry, means)


def ranks(logits: jax.Array, words: jax.Array) -> jax.Array:
    """How many words are likelier than the right ones [...]; V for unknown words.

    The unknown word, the last of logits [..., V], is neither guessed nor guessed right.
    """
    unknown = logits.shape[-1] - 1
    right = jnp.take_along_axis(logits, words[..., None], axis=-1)
    above = jnp.sum(logits[..., :-1] > right, axis=-1)
    return jnp.where(words == unknown, logits.shape[-1], above)


def facts(
    lines: dict[str, list[str]], splits: dict[str, Examples], known: Vocabulary
) -> dict[str, Any]:
    """What the results say about the texts."""
    text = "\n".join(line for own in lines.values() for line in own)
    found = {
        "sha256": sha256(text.encode()),
        **known.facts(),
        "padding": splits["train"].buckets.padding(),
    }
    for split, own in splits.items():
        words = np.concatenate(own.words)
        found[f"{split}_examples"] = len(own.words)
        found[f"{split}_words"] = len(words)
        found[f"{split}_unknown_share"] = float(np.mean(words == known.unknown))
        if own.puzzles:
            found[f"{split}_missing_lines"] = len(own.puzzles)
    return found


class Reader(NamedTuple):
    """A model with its vocabulary, and how many beams fill a gap."""

    model: GapModel
    known: Vocabulary
    beams: int

    def fill(self, params: Any) -> filling.Fill:
        """Fills gaps with some parameters."""
        return partial(gaps.fill_gaps, self.model, params, beams=self.beams)

    def rule(self, params: Any, puzzles: list[Puzzle]) -> Callable[[Puzzle], np.ndarray]:
        """Tells how plausible the candidates of some puzzles are."""
        nats = partial(gaps.nats, self.model, params)
        widths = missing_lines.widths(puzzles)
        return partial(missing_lines.by_context, nats, self.known, widths)


def score(reader: Reader, splits: dict[str, Examples], params: Any, split: str) -> dict[str, float]:
    """How often runs of words are filled with what was there, and missing lines are found."""
    own, found = splits[split], {}
    for run in RUNS:
        if drawn := filling.draw_runs(own.words, run, RUN_TEXTS):
            found[f"run{run}_exact"] = filling.exact(reader.fill(params), drawn)
    if own.puzzles:
        rule = reader.rule(params, own.puzzles)
        found["missing_line_accuracy"] = missing_lines.accuracy(rule, own.puzzles)
    return found


def baselines(known: Vocabulary, splits: dict[str, Examples]) -> dict[str, dict[str, float]]:
    """What counting n-grams reaches on the test split, knowing what the model knows, and chance."""
    size, train, test = known.unknown + 1, splits["train"].words, splits["test"]
    unigram, trigram = (NGrams.fit(train, order, size) for order in (1, ORDER))
    before, both = (f"Kneser-Ney {ORDER}-gram, {side}" for side in ("words before", "both sides"))
    found = {
        "unigram": guess(unigram, test.words),
        before: {"perplexity": perplexity(trigram, test.words)},
        both: guess(trigram, test.words),
    }
    if test.puzzles:
        odds = unigram.log_probability(np.arange(size))
        by_words = partial(missing_lines.by_words, odds)
        by_ngrams = partial(missing_lines.by_ngrams, trigram, known)
        found["unigram"]["missing_line_accuracy"] = missing_lines.accuracy(by_words, test.puzzles)
        found[both]["missing_line_accuracy"] = missing_lines.accuracy(by_ngrams, test.puzzles)
        found["chance"] = {"missing_line_accuracy": 1 / missing_lines.CANDIDATES}
    return found


def guess(model: NGrams, words: list[np.ndarray]) -> dict[str, float]:
    """An n-gram model's perplexity of each word given all others, and the shares of its guesses."""
    nats, above = [], []
    for text in words:
        signals.check()
        odds = model.log_probability_around(text)
        right = odds[np.arange(len(text)), text]
        likelier = (odds[:, :-1] > right[:, None]).sum(axis=1)
        above.append(np.where(text == model.vocabulary_size - 1, max(GUESSES), likelier))
        nats.append(-right)
    found = {f"top{k}": float(np.mean(np.concatenate(above) < k)) for k in GUESSES}
    return {"perplexity": float(np.exp(np.concatenate(nats).mean())), **found}


def sample(
    reader: Reader,
    test: Examples,
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Prints and writes to samples.txt gaps of one, two and three words filled, and missing lines.

    Args:
        reader: the model.
        test: where the gaps are drawn.
        params: its parameters.
        key: of what is drawn.
        directory: where samples.txt goes.
        prompt: a text with "___" for each word to fill in, instead of those of the test split.

    Raises:
        ConfigError: if a prompt has no gap.
    """
    fill, known, seed = reader.fill(params), reader.known, int(jax.random.bits(key))
    if prompt is not None:
        warn_of_unknown(filling.GAPS.sub(" ", prompt), known)
        shown = filling.show(fill, [filling.read_gaps(prompt, known)], known)
    else:
        shown = []
        for run in (1, *RUNS):
            if drawn := filling.draw_runs(test.words, run, SHOWN, seed + run):
                shown += filling.show(fill, drawn, known)
        for n in np.random.default_rng(seed).permutation(len(test.puzzles))[:SHOWN]:
            rule = reader.rule(params, test.puzzles)
            shown.append(missing_lines.show(rule, test.puzzles[n], known))
    write_samples(directory, shown)
