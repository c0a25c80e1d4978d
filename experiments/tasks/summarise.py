"""Summarisation: read what a docstring says at length, write its first line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ml_collections import ConfigDict

from experiments.config import ConfigError
from experiments.language import corpora, pairs, scores
from experiments.language.corpora import Documented, Pair
from experiments.language.vocabulary import Vocabulary, build
from experiments.task import Task

SENTENCE_END = re.compile(r"(?<=[.!?])\s")


def summarise(config: ConfigDict) -> Task:
    """Summaries of the standard library's docstrings, or of the files in `config.task.path`.

    What is read is the body of a docstring after the name, in words, of what it documents, which
    docstrings take for granted; what is to be written is the docstring's first line. Both sides
    have one vocabulary, so that `config.task.pointer` can copy from one to the other. Validation
    selects on perplexity; what counts is the ROUGE-L of the test summaries by beam search.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    used = config.task
    if used.pointer and used.attention == "none":
        raise ConfigError(
            "config.task.pointer copies from where attention looks, but config.task.attention is"
            " 'none'; choose luong or bahdanau"
        )
    texts = load(config)
    splits = {name: list(map(as_pair, split)) for name, split in texts.items()}
    both = [side for pair in splits["train"] for side in pair]
    target = build(used.level, both, used.vocabulary_size, marks=True)
    source = cut(target, used.longest_source)
    splits["train"] = pairs.short(splits["train"], used.longest, target=target)
    writer = pairs.pair_writer(config, splits, source, target, used.pointer)
    return writer.task(
        headline="rouge_l",
        score=lambda params, split: rate(writer.write(params, split), texts[split], target),
        baselines=lambda: baselines(texts["test"], target),
        sample=partial(pairs.sample, writer, source, splits["test"], "summary"),
        facts=pairs.facts(splits) | target.facts() | {"padding": writer.buckets["train"].padding()},
    )


def load(config: ConfigDict) -> dict[str, list[Documented]]:
    """The texts of each split; those of files have no names."""
    if not config.task.path:
        return corpora.docstrings()
    found = corpora.parallel_files(Path(config.task.path), "body", "summary")
    return {name: [Documented("", *pair) for pair in split] for name, split in found.items()}


def as_pair(text: Documented) -> Pair:
    """What is read, "name: body" where there is a name, and what is to be written."""
    return Pair(f"{text.name}: {text.body}" if text.name else text.body, text.summary)


def cut(vocabulary: Vocabulary, longest: int) -> Vocabulary:
    """The same symbols, but of a text only the first `longest`."""
    return dataclasses.replace(vocabulary, encoder=lambda text: vocabulary.encoder(text)[:longest])


def rate(
    summaries: Sequence[str], texts: Sequence[Documented], vocabulary: Vocabulary
) -> dict[str, float]:
    """How near summaries come to those of the texts, all as the vocabulary spells them."""
    written = list(map(vocabulary.spell, summaries))
    references = [vocabulary.spell(text.summary) for text in texts]
    rouge_l, error = scores.rouge_l(written, references)
    return {
        "rouge_l": rouge_l,
        "rouge_l_standard_error": error,
        "exact_match": scores.exact_match(written, references),
    }


def baselines(test: Sequence[Documented], vocabulary: Vocabulary) -> dict[str, dict[str, float]]:
    """What comes of taking over the body's first sentence, or the name, or both."""
    firsts = [SENTENCE_END.split(text.body, maxsplit=1)[0] for text in test]
    found = {"the body's first sentence": rate(firsts, test, vocabulary)}
    if all(text.name for text in test):
        names = [text.name for text in test]
        both = [f"{name} {first}" for name, first in zip(names, firsts, strict=True)]
        found["the name"] = rate(names, test, vocabulary)
        found["the name and that sentence"] = rate(both, test, vocabulary)
    return found
