"""Translation: read a sentence in one language, write it in another."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments.config import ConfigError
from experiments.language import corpora, pairs, scores
from experiments.language.corpora import Pair, Splits
from experiments.language.vocabulary import Vocabulary, build, most_frequent
from experiments.language.writer import Writer
from experiments.task import Task


def translation(config: ConfigDict) -> Task:
    """Translation of Multi30k's captions, or of the parallel files in `config.task.path`.

    An encoder, bidirectional unless `config.task.bidirectional` is off, reads the sentence; a
    decoder of the same cell writes the translation, with `config.task.attention`. Validation
    selects on perplexity; what counts is the BLEU of the test sentences' translations by beam
    search.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    splits = load(config)
    source, target = vocabularies(config, splits["train"])
    longest = config.task.longest
    splits["train"] = pairs.short(splits["train"], longest, source=source, target=target)
    writer = pairs.pair_writer(config, splits, source, target)
    return writer.task(
        headline="bleu",
        score=lambda params, split: judge(writer, splits[split], params, split),
        baselines=partial(baselines, splits, target),
        sample=partial(pairs.sample, writer, source, splits["test"], "translation"),
        facts=pairs.facts(splits)
        | {
            "source_symbols": source.size,
            "target_symbols": target.size,
            "bleu_signature": scores.bleu(["a"], ["a"])[1],
            "padding": writer.buckets["train"].padding(),
        },
    )


def load(config: ConfigDict) -> Splits:
    """The pairs of each split."""
    used = config.task
    if used.source == used.target:
        raise ConfigError(
            f"config.task.source and config.task.target are both {used.source!r}; choose two"
        )
    if used.path:
        return corpora.parallel_files(Path(used.path), used.source, used.target)
    return corpora.multi30k(used.source, used.target, config.data_dir)


def vocabularies(config: ConfigDict, train: list[Pair]) -> tuple[Vocabulary, Vocabulary]:
    """The symbols of the language that is read and of the one that is written."""
    used, sides = config.task, zip(*train, strict=True)
    read, written = (build(used.level, side, used.vocabulary_size, marks=True) for side in sides)
    return read, written


def judge(writer: Writer, split: list[Pair], params: Any, name: str) -> dict[str, float]:
    """The BLEU of a split's translations."""
    texts = writer.write(params, name)
    references = [writer.vocabulary.spell(pair.target) for pair in split]
    return {"bleu": scores.bleu(texts, references)[0]}


def baselines(splits: Splits, target: Vocabulary) -> dict[str, dict[str, float]]:
    """What comes of copying the sentence, and of the most frequent target word in its length."""
    test = splits["test"]
    sources = [target.spell(pair.source) for pair in test]
    references = [target.spell(pair.target) for pair in test]
    counts = Counter(word for pair in splits["train"] for word in target.spell(pair.target).split())
    (frequent,) = most_frequent(counts, 1)
    monotonous = [" ".join([frequent] * len(source.split())) for source in sources]
    return {
        "the source itself": {"bleu": scores.bleu(sources, references)[0]},
        f"{frequent!r} for every word": {"bleu": scores.bleu(monotonous, references)[0]},
    }
