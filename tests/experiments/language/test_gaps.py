"""Predictions from both sides against two plain readings, what is hidden, and filling gaps."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.language.gaps import GapModel, fill, hide
from tests.cases import random_like

WORDS, EMBEDDING, LONGEST = 9, 4, 6
LENGTHS = np.array([6, 3, 1, 0])
NETWORKS = {"lstm": lj.lstm(5), "stack": lj.stack(lj.gru(4), lj.lstmp(6, projection_size=3))}


def random_texts(seed=0, filler=0):
    texts = np.random.default_rng(seed).integers(0, WORDS, (LONGEST, len(LENGTHS)))
    return jnp.asarray(np.where(np.arange(LONGEST)[:, None] < LENGTHS, texts, filler))


def made(network=NETWORKS["lstm"], **options):
    """A model and random parameters for it, biases too."""
    model = GapModel(network, WORDS, EMBEDDING, **options)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), random_texts(), LENGTHS))
    return model, random_like(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes), seed=1)


def final_output(network, params, table, symbols):
    """The output of a network after it has read some symbols, step by step."""
    params = lj.trees.from_dict(network, params["network"])
    state = network.initial_state(1)
    for symbol in symbols:
        state, y = network.step(params, state, 2.0 * table[symbol][None])  # 2 = √EMBEDDING
    return np.asarray(y[0], np.float64)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_place_is_read_from_both_sides_but_not_itself(name, bidirectional):
    network = NETWORKS[name]
    model, params = made(network, bidirectional=bidirectional)
    texts = random_texts()
    logits = jax.jit(model.apply)(params, texts, LENGTHS).logits()
    p = params["params"]
    table = p["Embed_0"]["embedding"]
    dense, start, end = p["Dense_0"], WORDS, WORDS + 1
    for b, length in enumerate(LENGTHS):
        text = texts[:length, b].tolist()
        for i in range(length):
            context = final_output(network, p["forward"], table, [start, *text[:i]])
            if bidirectional:
                back = [end, *text[i + 1 :][::-1]]
                context = np.append(context, final_output(network, p["backward"], table, back))
            r = np.tanh(context @ dense["kernel"] + dense["bias"])
            np.testing.assert_allclose(
                logits[i, b], table[:WORDS] @ r + p["bias"], rtol=1e-4, atol=1e-5
            )


def test_padding_has_no_influence_and_nats_are_those_of_the_logits():
    model, params = made()
    texts, there = random_texts(), np.arange(LONGEST)[:, None] < LENGTHS

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def total(params, texts):
        read = model.apply(params, texts, LENGTHS)
        nats = read.nats(random_texts(seed=5))
        return jnp.sum(nats * there), (nats, read.logits())

    first, second = total(params, texts), total(params, random_texts(filler=WORDS - 1))
    jax.tree.map(np.testing.assert_array_equal, first[1], second[1])
    nats, logits = (np.asarray(part, np.float64) for part in first[0][1])
    odds = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    chosen = np.take_along_axis(odds, np.asarray(random_texts(seed=5))[..., None], -1)[..., 0]
    np.testing.assert_allclose(nats, -np.log(chosen), rtol=1e-4, atol=1e-5)


def test_a_guess_is_the_distribution_at_its_place_without_the_unknown_word():
    model, params = made()
    texts, places = random_texts(), np.array([4, 0, 0, 0])
    logits = np.asarray(model.apply(params, texts, LENGTHS).logits(), np.float64)
    guesses = model.apply(params, texts, LENGTHS, places, method="guess")
    for b, place in enumerate(places):
        expected = logits[place, b] - np.log(np.exp(logits[place, b]).sum())
        np.testing.assert_allclose(guesses[b, :-1], expected[:-1], rtol=1e-4, atol=1e-5)
    assert np.isneginf(guesses[:, -1]).all()


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.8])
def test_the_share_that_is_hidden_and_its_runs(rate):
    texts = jnp.asarray(np.random.default_rng(0).integers(0, WORDS, (500, 200)))
    hidden = np.asarray(hide(jax.random.key(0), texts, 99, rate))
    covered = hidden == 99
    np.testing.assert_array_equal(hidden[~covered], np.asarray(texts)[~covered])
    p = rate / 2
    share = 1 - (1 - p) * (1 - p * 2 / 3) * (1 - p / 3)
    assert covered[2:].mean() == pytest.approx(share, abs=0.01)
    assert covered[0].mean() == pytest.approx(p, abs=0.08)
    other = np.asarray(hide(jax.random.key(1), texts, 99, rate))
    assert (other != hidden).any() == (rate > 0)


def test_lone_runs_are_of_one_two_and_three_words_alike():
    texts = jnp.zeros((2000, 300), jnp.int32)
    covered = np.asarray(hide(jax.random.key(0), texts, 1, 0.01)) == 1
    flat = "".join(np.where(covered.T, "x", " ").ravel())
    counts = np.bincount([len(run) for run in flat.split()])
    np.testing.assert_allclose(counts[1:4] / counts.sum(), 1 / 3, atol=0.04)
    assert counts[4:].sum() / counts.sum() < 0.03


def random_reader(seed):
    """Log-probabilities of a place from a table of hashes of the whole text: any could be wrong."""
    table = jax.nn.log_softmax(jnp.asarray(np.random.default_rng(seed).normal(size=(101, 4)) * 2))

    def read(texts, lengths, places):
        weights = jnp.arange(1, texts.shape[0] + 1)[:, None]
        return table[((weights * (texts + 1)).sum(axis=0) * 7 + places + lengths) % 101]

    return read


@pytest.mark.parametrize("seed", range(3))
def test_with_enough_beams_the_likeliest_fillings_are_found(seed):
    read, hidden = random_reader(seed), 4
    texts = jnp.asarray(np.random.default_rng(seed).integers(0, 4, (6, 2)))
    lengths, gaps = jnp.array([6, 5]), jnp.array([[1, 2, 4], [0, 1, 2]])
    found = fill(read, texts, lengths, gaps, hidden, beams=64)
    for b in range(2):
        expected = []
        for words in itertools.product(range(4), repeat=3):
            text, score = np.array(texts[:, b]), 0.0
            text[gaps[b]] = hidden
            for place, word in zip(gaps[b].tolist(), words, strict=True):
                score += float(read(jnp.asarray(text)[:, None], lengths[b], place)[0, word])
                text[place] = word
            expected.append((score, words))
        expected.sort(reverse=True)
        np.testing.assert_allclose(found.scores[b], [s for s, _ in expected], rtol=1e-4)
        assert [tuple(words) for words in found.words[b].tolist()] == [w for _, w in expected]


def test_fewer_beams_keep_the_likeliest_beginnings():
    read, hidden = random_reader(1), 4
    texts = jnp.asarray(np.random.default_rng(1).integers(0, 4, (6, 1)))
    lengths, gaps = jnp.array([6]), jnp.array([[2, 3]])
    begun = fill(read, texts.at[3].set(hidden), lengths, gaps[:, :1], hidden, beams=2)
    found = fill(read, texts, lengths, gaps, hidden, beams=2)
    every = fill(read, texts, lengths, gaps, hidden, beams=16)
    kept = [
        (score, words)
        for score, words in zip(every.scores[0].tolist(), every.words[0].tolist(), strict=True)
        if [words[0]] in begun.words[0].tolist()
    ]
    assert found.words[0].tolist() == [words for _, words in kept[:2]]
    np.testing.assert_allclose(found.scores[0], [score for score, _ in kept[:2]], rtol=1e-5)


def test_fillings_do_not_see_what_was_in_the_gaps():
    model, params = made()
    gaps = jnp.array([[1, 2], [0, 2], [0, 0], [0, 0]])
    read = partial(model.apply, params, method="guess")
    run = jax.jit(partial(fill, read, lengths=LENGTHS, gaps=gaps, hidden=model.hidden, beams=5))
    texts = random_texts()
    rows = np.arange(4)[:, None]
    other = texts.at[gaps, rows].set((texts[gaps, rows] + 1) % WORDS)
    jax.tree.map(np.testing.assert_array_equal, run(texts=texts), run(texts=other))
    assert (np.asarray(run(texts=texts).words) < WORDS - 1).all()
