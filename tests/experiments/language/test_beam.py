"""Beam search against the enumeration of every text, greedy search, and its rows one by one."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.language.beam import beam_search

V, T, END, START = 4, 4, 2, 3


class History:
    """A model whose logits depend on all symbols so far, by a table of hashes in the state."""

    def __init__(self, seed, forbidden=()):
        rng = np.random.default_rng(seed)
        self.table = rng.normal(size=(97, V)) * 1.5
        self.table[:, END] -= 1.0
        for symbol in forbidden:
            self.table[:, symbol] = -np.inf
        self.logits = jnp.asarray(self.table, jnp.float32)

    def step(self, state, symbols):
        state = {"hash": (state["hash"] * V + symbols + 1) % 97}
        return state, self.logits[state["hash"]]

    def start(self, rows):
        return {"hash": jnp.asarray(rows)}

    def log_probability(self, row, text):
        """Of a text and its end, or of a text that was cut off after T symbols."""
        number, before, total = row, START, 0.0
        for symbol in [*text, END][:T]:
            number = (number * V + before + 1) % 97
            odds = np.exp(self.table[number])
            with np.errstate(divide="ignore"):
                total += math.log(odds[symbol] / odds.sum()) if odds[symbol] else -np.inf
            before = symbol
        return total

    def ranking(self, row, alpha):
        """(score, text) of all texts, the best first."""
        others = [symbol for symbol in range(V) if symbol != END]
        texts = [text for n in range(T + 1) for text in itertools.product(others, repeat=n)]
        scores = [
            self.log_probability(row, text) / ((5 + min(len(text) + 1, T)) / 6) ** alpha
            for text in texts
        ]
        return sorted(zip(scores, texts, strict=True), reverse=True)


def search(model, rows, beams, alpha=0.0, steps=T):
    first = jnp.full(len(rows), START)
    run = partial(beam_search, model.step, end=END, beams=beams, steps=steps, alpha=alpha)
    return jax.jit(run)(model.start(rows), first)


def texts(found, row):
    """The texts of a row as tuples, the best first; what follows them must be ends."""
    lengths, symbols = np.asarray(found.lengths[row]), np.asarray(found.symbols[row])
    for length, text in zip(lengths, symbols, strict=True):
        assert END not in text[:length]
        assert (text[length:] == END).all()
    return [tuple(text[:n].tolist()) for n, text in zip(lengths, symbols, strict=True)]


@pytest.mark.parametrize("alpha", [0.0, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_with_a_place_for_every_text_the_search_is_exact(seed, alpha):
    model, rows = History(seed), [5, 40]
    found = search(model, rows, beams=V**T, alpha=alpha)
    for b, row in enumerate(rows):
        expected = model.ranking(row, alpha)
        scores = np.asarray(found.scores[b, : len(expected)])
        np.testing.assert_allclose(scores, [score for score, _ in expected], rtol=1e-4)
        assert texts(found, b)[: len(expected)] == [text for _, text in expected]
        assert np.isneginf(found.scores[b, len(expected) :]).all()


def test_the_penalty_changes_the_order():
    rankings = [[t for _, t in History(0).ranking(5, alpha)] for alpha in (0.0, 0.8)]
    assert rankings[0] != rankings[1]


@pytest.mark.parametrize("seed", range(3))
def test_one_beam_is_greedy(seed):
    model, rows = History(seed), list(range(8))
    found = search(model, rows, beams=1)
    for b, number in enumerate(rows):
        text, before = [], START
        while len(text) < T and before != END:
            number = (number * V + before + 1) % 97
            before = int(np.argmax(model.table[number]))
            text.append(before)
        assert texts(found, b)[0] == tuple(symbol for symbol in text if symbol != END)


def test_more_beams_find_no_worse_texts_and_scores_are_those_of_the_texts():
    """The state must follow its parent: only then are the scores those of the texts found."""
    model, rows = History(1), list(range(20))
    best = []
    for beams in (1, 3, V**T):
        found = search(model, rows, beams)
        for b, row in enumerate(rows):
            for text, score in zip(texts(found, b), found.scores[b].tolist(), strict=True):
                if score > -np.inf:
                    assert score == pytest.approx(model.log_probability(row, text), rel=1e-4)
        best.append(np.asarray(found.scores[:, 0]))
    assert best[2].sum() > best[0].sum() + 0.1
    assert (best[2] >= best[0] - 1e-5).all()
    assert (best[2] >= best[1] - 1e-5).all()


def test_a_batch_is_its_rows_one_by_one():
    model, rows = History(2), [7, 0, 50, 96]
    together = search(model, rows, beams=3, alpha=0.5)
    for b, row in enumerate(rows):
        alone = search(model, [row], beams=3, alpha=0.5)
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_of_them[b], rtol=1e-5)


@pytest.mark.parametrize("beams", [1, 3, V**T])
def test_symbols_of_no_probability_are_never_written(beams):
    model, rows = History(3, forbidden=(0, 3)), list(range(10))
    found = search(model, rows, beams)
    assert (np.asarray(found.scores[:, 0]) > -np.inf).all()
    assert set(np.unique(found.symbols).tolist()) == {1, END}
    assert (np.asarray(found.lengths)[np.isneginf(found.scores)] == 0).all()


def test_a_text_without_end_is_cut_off():
    found = search(History(0, forbidden=(END,)), [1], beams=2, steps=6)
    assert found.symbols.shape == (1, 2, 6)
    assert found.lengths.tolist() == [[6, 6]]


def test_the_search_ends_when_all_texts_have():
    calls = []

    def step(state, symbols):
        jax.debug.callback(lambda: calls.append(len(calls)))
        return state, jnp.array([[0.0, -9.0, 9.0, 0.0]])

    found = beam_search(step, jnp.zeros(1), jnp.array([START]), END, beams=1, steps=50)
    jax.effects_barrier()
    assert texts(found, 0) == [()]
    assert calls == [0]
