"""Texts for language models: found, split, encoded, counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments.config import ConfigError, choose
from experiments.data import downloads, files
from experiments.language import corpora
from experiments.language.vocabulary import Vocabulary

TRAIN, VALID = 90, 95  # the splits' ends in hundredths of a text; the test split is the rest
SENTENCE_END = re.compile(r"[.!?]['\")\]’”]*(?=\s|$)")
LINE_END = re.compile(r"\n")


class Corpus(NamedTuple):
    """A text in its splits.

    Attributes:
        name: what it is called.
        splits: the texts "train", "valid" and "test".
        contiguous: whether the splits are one text cut in three.
        sentence_end: where a sentence ends.
        field: the config's field that names it.
    """

    name: str
    splits: dict[str, str]
    contiguous: bool = True
    sentence_end: re.Pattern[str] = SENTENCE_END
    field: str = "config.task.text"


class Counts(NamedTuple):
    """The characters that a symbol adds to a text: its own, and a blank between two words.

    Attributes:
        lengths: see `Vocabulary` [V].
        spaced: see `Vocabulary` [V].
    """

    lengths: np.ndarray
    spaced: np.ndarray

    def __call__(self, before: Any, symbols: Any) -> Any:
        """The characters of each symbol, given the one before it; of equal shapes."""
        spaced = jnp.asarray(self.spaced)
        return jnp.asarray(self.lengths)[symbols] + spaced[before] * spaced[symbols]


def load(config: ConfigDict) -> Corpus:
    """The text that `config.task` names, in its splits."""
    if config.task.path:
        path, field = Path(config.task.path), "config.task.path"
        return split_text(path.name, files.read_text(path, field), field)
    name = choose("task.text", config.task.text, ("stdlib", "shakespeare", "multi30k"))
    if name == "stdlib":
        return split_text("the Python standard library's sources", corpora.stdlib_text())
    if name == "multi30k":
        pairs = corpora.multi30k("en", "de", config.data_dir)
        splits = {split: "".join(f"{p.source}\n" for p in part) for split, part in pairs.items()}
        return Corpus("the English side of Multi30k", splits, False, LINE_END)
    path = downloads.locate(downloads.SHAKESPEARE, config.data_dir)
    return split_text(name, files.read_text(path, "config.task.text"))


def split_text(name: str, text: str, field: str = "config.task.text") -> Corpus:
    """Cuts a text into its first 90 %, the next 5 % and the last 5 %."""
    train, valid = len(text) * TRAIN // 100, len(text) * VALID // 100
    splits = {"train": text[:train], "valid": text[train:valid], "test": text[valid:]}
    if min(map(len, splits.values())) < 2:
        raise ConfigError(f"{field}: {name} has {len(text)} characters; give a text of at least 40")
    return Corpus(name, splits, field=field)


def encode(corpus: Corpus, known: Vocabulary) -> dict[str, np.ndarray]:
    """The symbols of each split, at least two."""
    symbols = {name: known.encode(text) for name, text in corpus.splits.items()}
    for name, part in symbols.items():
        if len(part) < 2:
            raise ConfigError(
                f"{corpus.field}: the {name} split of {corpus.name} has fewer than two symbols of"
                f" the level {known.level!r}; give a longer text"
            )
    return symbols


def facts(corpus: Corpus, symbols: dict[str, np.ndarray], known: Vocabulary) -> dict[str, Any]:
    """What the results say about the text."""
    found = {
        "text": corpus.name,
        "sha256": files.sha256("".join(corpus.splits.values()).encode()),
        **known.facts(),
    }
    for name, text in corpus.splits.items():
        found[f"{name}_characters"] = len(text)
        found[f"{name}_symbols"] = len(symbols[name])
        found[f"{name}_unknown_share"] = float(np.mean(symbols[name] == known.unknown))
    return found
