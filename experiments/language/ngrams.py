"""Models that count n-grams, the baselines of language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

FALLBACK = np.array([0.5, 1.0, 1.5])  # discounts where the counts of counts give none
ORDERS = range(2, 9)  # that `fit_best` tries


class Level(NamedTuple):
    """What contexts of one length tell about the next token. Keys are sorted, for `_find`.

    Attributes:
        contexts: the key of each context seen [C]: (the place of the context without its oldest
            token among those of the level below, the oldest token).
        grams: the key of each n-gram seen [G]: (the context's place, the token).
        shares: (c(hw) − D(c(hw)))/c(h) of each n-gram [G].
        backoffs: γ(h), what each context leaves to the level below [C].
    """

    contexts: np.ndarray
    grams: np.ndarray
    shares: np.ndarray
    backoffs: np.ndarray


class NGrams(NamedTuple):
    """Interpolated Kneser-Ney of any order with modified discounts.

        p(w|h) = max(c(hw) − D(c(hw)), 0)/c(h) + γ(h) p(w|h')
        γ(h) = Σ_w D(c(hw))/c(h)

    h' is h without its oldest token; after an unseen h, p(w|h) = p(w|h'). The highest order counts
    occurrences, each lower one the different tokens that come before. What the empty context
    leaves, all tokens share alike. Before each sequence stand order − 1 boundaries, so that no
    context crosses its start. Order 1 is the unigram model.

    Attributes:
        levels: one for each length of a context, from 0 to order − 1.
        vocabulary_size: V; tokens are 0 to V − 1.

    Example:
        >>> model = NGrams.fit([np.array([0, 1, 0, 1, 0])], order=2, vocabulary_size=2)
        >>> np.exp(model.log_probability(np.array([0, 1, 1])))
        array([0.79166667, 0.70833333, 0.20833333])

    Source: Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling",
    Computer Speech and Language 13, section 3.
    """

    levels: tuple[Level, ...]
    vocabulary_size: int

    @classmethod
    def fit(cls, sequences: Sequence[np.ndarray], order: int, vocabulary_size: int) -> NGrams:
        """Counts the n-grams of sequences of tokens, each [N].

        Raises:
            ValueError: if there are no tokens, or some that the vocabulary lacks.
        """
        tokens, histories = _rows(sequences, order, vocabulary_size)
        if not tokens.size:
            raise ValueError("sequences must hold at least one token")
        known, contexts = [np.zeros(1, np.int64)], [np.zeros_like(tokens)]
        for oldest in histories:
            keys = _key(contexts[-1], oldest, vocabulary_size)
            found, places = np.unique(keys, return_inverse=True)
            known.append(found)
            contexts.append(places)
        levels: list[Level] = []
        rows = np.arange(len(tokens))
        for found, places in zip(reversed(known), reversed(contexts), strict=True):
            keys = _key(places[rows], tokens[rows], vocabulary_size)
            grams, first, counts = np.unique(keys, return_index=True, return_counts=True)
            levels.insert(0, _level(found, grams, grams // (vocabulary_size + 1), counts))
            rows = rows[first]  # each n-gram once: the level below counts what comes before it
        return cls(tuple(levels), vocabulary_size)

    def log_probability(self, sequence: np.ndarray) -> np.ndarray:
        """The natural logarithm of each token's probability after those before it [N].

        Raises:
            ValueError: if a token is not in the vocabulary.
        """
        return self._after(*_rows([sequence], len(self.levels), self.vocabulary_size))

    def log_probability_around(self, sequence: np.ndarray) -> np.ndarray:
        """The natural logarithm of every token's probability in each place [N, V].

            p(w | all others) ∝ Π_k p(x_{i+k} | the tokens before it), with x_i = w

        k goes from 0 to order − 1, as far as the sequence does.
        """
        order, every = len(self.levels), np.arange(self.vocabulary_size)
        stream = np.concatenate([np.full(order - 1, self.vocabulary_size), sequence])
        found = []
        for place in range(order - 1, len(stream)):
            near = range(place - order + 1, min(place + order, len(stream)))
            tokens = [every if at == place else stream[at : at + 1] for at in near]
            windows = [tokens[k : k + order] for k in range(len(tokens) - order + 1)]
            odds = sum(self._after(window[-1], window[-2::-1]) for window in windows)
            found.append(odds - logsumexp(odds))
        return np.stack(found)

    def _after(self, tokens: np.ndarray, histories: Sequence[np.ndarray]) -> np.ndarray:
        """log p of tokens after histories, the latest first; of shapes that broadcast."""
        probability = np.array(1 / self.vocabulary_size)
        context = np.zeros(1, np.int64)
        for level, oldest in zip(self.levels, [context, *histories], strict=True):
            context = _find(level.contexts, _key(context, oldest, self.vocabulary_size))
            gram = _find(level.grams, _key(context, tokens, self.vocabulary_size))
            share = np.where(gram >= 0, level.shares[gram], 0)
            interpolated = share + level.backoffs[context] * probability
            probability = np.where(context >= 0, interpolated, probability)
        return np.log(probability)


def fit_best(
    train: Sequence[np.ndarray], valid: Sequence[np.ndarray], vocabulary_size: int
) -> NGrams:
    """The model of the first of ORDERS that the next one does not better on `valid`."""
    models = (NGrams.fit(train, order, vocabulary_size) for order in ORDERS)
    best = next(models)
    least = perplexity(best, valid)
    for longer in models:
        found = perplexity(longer, valid)
        if found >= least:
            break
        best, least = longer, found
    return best


def perplexity(model: NGrams, sequences: Sequence[np.ndarray]) -> float:
    """exp of the mean negative log-probability of all tokens of some sequences."""
    nats = np.concatenate([-model.log_probability(sequence) for sequence in sequences])
    return float(np.exp(nats.mean()))


def _rows(
    sequences: Sequence[np.ndarray], order: int, vocabulary_size: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """All tokens [N], and for each distance 1 to order − 1 the tokens so far before them [N]."""
    tokens = np.concatenate([np.zeros(0, np.int64), *sequences])
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocabulary_size:
        found = f"{tokens.min()} to {tokens.max()}"
        raise ValueError(f"tokens must be in [0, {vocabulary_size}), got {found}")
    boundaries = np.full(order - 1, vocabulary_size)
    parts = [part for sequence in sequences for part in (boundaries, sequence)]
    stream = np.concatenate([boundaries, *parts])
    places = np.flatnonzero(stream < vocabulary_size)
    return tokens, [stream[places - distance] for distance in range(1, order)]


def _level(
    contexts: np.ndarray, grams: np.ndarray, owners: np.ndarray, counts: np.ndarray
) -> Level:
    """The level of n-grams that were counted; `owners` are the places of their contexts."""
    discounts = _discounts(counts)[np.minimum(counts, 3) - 1]
    totals = np.bincount(owners, counts)
    shares = (counts - discounts) / totals[owners]
    return Level(contexts, grams, shares, np.bincount(owners, discounts) / totals)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """D of n-grams that were counted once, twice, and more often [3].

        Y = n₁/(n₁ + 2n₂)
        D_k = k − (k + 1) Y n_{k+1}/n_k

    n_k is the number of n-grams that were counted k times.
    """
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5]
    if not (n1 and n2 and n3 and n4):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    discounts = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return discounts if (discounts > 0).all() else FALLBACK


def _key(places: np.ndarray, tokens: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """One number for each place and token, negative where the place is; a boundary is a token."""
    return places * (vocabulary_size + 1) + tokens


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each wanted key among sorted ones, −1 where it is none of them."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)
