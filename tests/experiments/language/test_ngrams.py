"""Kneser-Ney against its formulas written out, against sums, and on text with structure."""

import math
import time
from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest

from experiments.language.ngrams import NGrams, fit_best, perplexity

SIZE = 6


def corpus(seed, count, size=SIZE):
    """Up to 11 tokens in each sequence, some more often; the vocabulary's last never comes."""
    rng = np.random.default_rng(seed)
    odds = rng.dirichlet(np.full(size - 1, 0.6))
    return [rng.choice(size - 1, rng.integers(0, 12), p=odds) for _ in range(count)]


class Twin:
    """p(w|h) of the formulas, one token at a time, from sets of what comes before."""

    def __init__(self, sequences, order, size):
        self.order, self.size = order, size
        self.counts = {order: Counter()}
        before = defaultdict(set)
        for sequence in sequences:
            padded = ["start"] * (order - 1) + sequence.tolist()
            for end in range(order, len(padded) + 1):
                self.counts[order][tuple(padded[end - order : end])] += 1
                for n in range(1, order):
                    before[tuple(padded[end - n : end])].add(padded[end - n - 1])
        for n in range(1, order):
            self.counts[n] = Counter({g: len(b) for g, b in before.items() if len(g) == n})

    def discount(self, n, count):
        n1, n2, n3, n4 = (sum(c == k for c in self.counts[n].values()) for k in (1, 2, 3, 4))
        if min(n1, n2, n3, n4) > 0:
            y = n1 / (n1 + 2 * n2)
            found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
            if min(found) > 0:
                return found[min(count, 3) - 1]
        return [0.5, 1.0, 1.5][min(count, 3) - 1]

    def probability(self, token, context):
        """p(token | context), a tuple of tokens shorter than the order."""
        n = len(context) + 1
        lower = self.probability(token, context[1:]) if context else 1 / self.size
        following = {g[-1]: c for g, c in self.counts[n].items() if g[:-1] == context}
        if not following:
            return lower
        count, total = following.get(token, 0), sum(following.values())
        left = sum(self.discount(n, c) for c in following.values()) / total
        own = max(count - self.discount(n, count), 0) / total if count else 0
        return own + left * lower

    def of(self, sequence):
        padded = ["start"] * (self.order - 1) + sequence.tolist()
        contexts = [tuple(padded[i : i + self.order - 1]) for i in range(len(sequence))]
        return [self.probability(t, c) for t, c in zip(sequence.tolist(), contexts, strict=True)]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("count", "size"), [(1, 6), (10, 6), (100, 60)])
def test_probabilities_are_those_of_the_formulas(order, count, size):
    sequences = [np.array([2, 0, 2]), *corpus(order, count, size)]
    model, twin = NGrams.fit(sequences, order, size), Twin(sequences, order, size)
    for sequence in [*sequences[:5], *corpus(99, 5, size), np.arange(size)]:
        expected = twin.of(sequence)
        np.testing.assert_allclose(np.exp(model.log_probability(sequence)), expected, rtol=1e-9)


def test_discounts_are_estimated_and_fallen_back_to_above():
    many, few = (Twin(corpus(2, count, size), 2, size) for count, size in [(100, 60), (1, 6)])
    assert all(many.discount(n, count) % 0.5 for n in (1, 2) for count in (1, 2, 3))
    assert [few.discount(n, count) for n in (1, 2) for count in (1, 2, 3)] == [0.5, 1.0, 1.5] * 2


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_sum_to_one_after_every_context(order):
    model = NGrams.fit(corpus(5, 12), order, SIZE)
    for length in range(4):
        for context in product(range(SIZE), repeat=length):  # those of the last token are unseen
            last = [model.log_probability(np.array([*context, w]))[-1] for w in range(SIZE)]
            assert np.exp(last).sum() == pytest.approx(1.0, abs=1e-12)


def test_a_bigram_model_by_hand():
    """Of 0 1 0 1 0: after 0 twice 1, after 1 twice 0; all discounts are the fallback's."""
    model = NGrams.fit([np.array([0, 1, 0, 1, 0])], order=2, vocabulary_size=2)
    zero, one = 1 / 3 + 0.5 / 2, 0.5 / 3 + 0.5 / 2  # 0 follows two different tokens, 1 follows one
    expected = [0.5 + 0.5 * zero, 0.5 + 0.5 * one, 0.5 * one]
    np.testing.assert_allclose(np.exp(model.log_probability(np.array([0, 1, 1]))), expected)


def test_contexts_do_not_cross_the_start_of_a_sequence():
    sequences = [np.array([0, 1, 2]), np.array([3, 4])] * 3
    model = NGrams.fit(sequences, 3, SIZE)
    joined = NGrams.fit([np.concatenate(sequences)], 3, SIZE)
    read = np.array([0, 1, 2, 3])
    assert model.log_probability(read)[3] < math.log(0.3) < joined.log_probability(read)[3]
    assert model.log_probability(np.array([3]))[0] > math.log(0.3)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_token_given_all_others_is_its_share_of_the_whole(order):
    """Every token is put into every place, and the whole sequence's probability taken."""
    model = NGrams.fit(corpus(3, 30), order, SIZE)
    for sequence in (np.array([0, 2, 1, 1, 4, 5]), np.array([3])):
        found = model.log_probability_around(sequence)
        assert found.shape == (len(sequence), SIZE)
        for place, odds in enumerate(found):
            changed = [[*sequence[:place], token, *sequence[place + 1 :]] for token in range(SIZE)]
            whole = [model.log_probability(np.array(s)).sum() for s in changed]
            expected = np.exp(whole) / np.exp(whole).sum()
            np.testing.assert_allclose(np.exp(odds), expected, rtol=1e-9)


def test_the_best_order_is_the_first_that_the_next_does_not_better():
    rng = np.random.default_rng(1)
    steps = rng.integers(1, 3, 3000)  # each token tells from the two before it, none further back
    tokens = [0, 1]
    for step in steps:
        tokens.append(int(tokens[-1] * step + tokens[-2]) % SIZE)
    train, valid = [np.array(tokens[:2500])], [np.array(tokens[2500:])]
    found = [perplexity(NGrams.fit(train, order, SIZE), valid) for order in range(2, 9)]
    order = 2 + next(k for k in range(6) if found[k + 1] >= found[k])
    assert len(fit_best(train, valid, SIZE).levels) == order == 3
    endless = [np.zeros(500, int)]
    assert len(fit_best(endless, endless, 2).levels) in range(2, 9)


def test_perplexity_is_over_all_tokens_at_once():
    model = NGrams.fit(corpus(7, 5), 2, SIZE)
    sequences = [np.array([0]), np.array([1, 5, 5, 2]), np.array([], np.int32)]
    nats = [math.log(p) for s in sequences for p in np.exp(model.log_probability(s))]
    assert len(nats) == 5
    assert perplexity(model, sequences) == pytest.approx(math.exp(-sum(nats) / 5))
    fair = NGrams.fit([np.arange(4)], 1, 4)
    assert perplexity(fair, [np.array([2, 2, 0])]) == pytest.approx(4.0)


def test_longer_contexts_help_where_there_is_structure():
    """A third token tells from the two before it, hardly from one; four of five times."""
    rng = np.random.default_rng(0)

    def text(length):
        tokens = [0, 1]
        while len(tokens) < length:
            follows = (2 * tokens[-1] + 5 * tokens[-2] + 1) % 8
            tokens.append(follows if rng.random() < 0.8 else rng.choice([0, 1, 2, 3]))
        return np.array(tokens)

    train, test = text(4000), text(1000)
    unigram, bigram, trigram = (perplexity(NGrams.fit([train], n, 9), [test]) for n in (1, 2, 3))
    assert trigram < 0.7 * bigram < 0.7 * 0.95 * unigram


def test_a_long_text_takes_a_moment():
    rng = np.random.default_rng(0)
    text = (10_000 * rng.random(400_000) ** 4).astype(np.int32)
    started = time.process_time()
    model = NGrams.fit(np.array_split(text, 30_000), 3, 10_000)
    assert perplexity(model, np.array_split(text, 1000)) > 1
    assert time.process_time() - started < 5.0


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        NGrams.fit([], 2, SIZE)
    for tokens in ([0, SIZE], [-1, 0]):
        with pytest.raises(ValueError, match=r"tokens must be in \[0, 6\)"):
            NGrams.fit([np.array(tokens)], 2, SIZE)
