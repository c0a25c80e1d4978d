"""Gaps in texts: how often a model fills them as they were, and fillings to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments import signals
from experiments.config import ConfigError
from experiments.data.buckets import pad
from experiments.language.gaps import Filled
from experiments.language.vocabulary import Vocabulary

GAP, GAPS = "____", re.compile(r"(?<!\w)_{2,}(?!\w)")
ROWS = 40  # texts that are filled at a time

Fill = Callable[[np.ndarray, np.ndarray, np.ndarray], Filled]  # as `gaps.fill`, the model bound


class Gap(NamedTuple):
    """A text's words [N], those in the gaps among them, and the places of the gaps [G]."""

    words: np.ndarray
    places: np.ndarray

    def show(self, known: Vocabulary) -> str:
        """The text with its gaps."""
        tokens = known.tokens(self.words)
        for place in self.places:
            tokens[place] = GAP
        return " ".join(tokens).replace("\n ", "\n").replace(" \n", "\n")


def draw_runs(texts: Sequence[np.ndarray], run: int, count: int, seed: int = 0) -> list[Gap]:
    """Hides `run` words in a row in each of `count` texts, or in all that have more words."""
    rng = np.random.default_rng(seed)
    longer = [text for text in texts if len(text) > run]
    drawn = [longer[n] for n in rng.permutation(len(longer))[:count]]
    return [Gap(text, rng.integers(len(text) - run + 1) + np.arange(run)) for text in drawn]


def read_gaps(prompt: str, known: Vocabulary) -> Gap:
    """A user's text, with "___" for each word that is missing.

    Raises:
        ConfigError: if nothing is missing.
    """
    first, *others = [known.encode(part) for part in GAPS.split(prompt)]
    if not others:
        raise ConfigError("--prompt has no gap; write ___ for each word that is missing")
    words, places = [first], []
    for part in others:
        places.append(sum(map(len, words)))
        words += [np.array([known.unknown], np.int32), part]
    return Gap(np.concatenate(words), np.array(places))


def fill_all(fill: Fill, gaps: Sequence[Gap]) -> Filled:
    """Fills texts that have equally many gaps, a few at a time: words [N, K, G], scores [N, K]."""
    width, found = max(len(gap.words) for gap in gaps), []
    for start in range(0, len(gaps), ROWS):
        signals.check()
        part = gaps[start : start + ROWS]
        part = [*part, *[part[-1]] * (min(ROWS, len(gaps)) - len(part))]  # one shape for all
        words = [gap.words for gap in part]
        lengths = np.array(list(map(len, words)), np.int32)
        places = np.stack([gap.places for gap in part])
        found.append(jax.device_get(fill(pad(words, width, 0), lengths, places)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(gaps)], *found)


def exact(fill: Fill, gaps: Sequence[Gap]) -> float:
    """The share of texts whose likeliest filling is what was there."""
    likeliest = fill_all(fill, gaps).words[:, 0]
    hidden = np.stack([gap.words[gap.places] for gap in gaps])
    return float((likeliest == hidden).all(axis=1).mean())


def show(fill: Fill, gaps: Sequence[Gap], known: Vocabulary) -> list[str]:
    """Each text with its gaps, what was there if that is known, and the likeliest fillings."""
    blocks, found = [], fill_all(fill, gaps)
    for gap, words, scores in zip(gaps, found.words, found.scores, strict=True):
        hidden = gap.words[gap.places]
        there = "" if (hidden == known.unknown).all() else f"  was    {in_a_line(hidden, known)}\n"
        lines = [
            f"  {np.exp(score):5.1%}  {in_a_line(filling, known)}\n"
            for filling, score in zip(words, scores, strict=True)
            if score > -np.inf
        ]
        blocks.append(f"{gap.show(known)}\n{there}{''.join(lines)}")
    return blocks


def in_a_line(words: np.ndarray, known: Vocabulary) -> str:
    """Some words, line ends as ↵."""
    return " ".join(known.tokens(words)).replace("\n", "↵")
