"""What has no memory: by hand, by plain loops, against scikit-learn's logistic regression."""

import itertools
import os

import numpy as np
import pytest
from scipy.special import expit

from experiments.data import downloads
from experiments.music.baselines import (
    PENALTY,
    baselines,
    log_odds,
    logistic_regression,
    marginal_rates,
    nll,
    transitions,
)
from experiments.music.rolls import load


def some_pieces(seed=0, count=6, notes=5):
    """Each note tends to go on, and the first one to bring the second one."""
    random = np.random.default_rng(seed)
    pieces = []
    for _ in range(count):
        piece = [random.random(notes) < 0.4]
        for _ in range(random.integers(5, 40)):
            rates = 0.2 + 0.6 * piece[-1]
            rates[1] = 0.9 * piece[-1][0] + 0.05
            piece.append(random.random(notes) < rates)
        pieces.append(np.array(piece, np.uint8))
    return pieces


def nll_by_loops(predict, pieces):
    total, frames = 0.0, 0
    for piece in pieces:
        for before, after in itertools.pairwise(piece):
            frames += 1
            for rate, note in zip(predict(before[None])[0], after, strict=True):
                total -= np.log(rate if note else 1 - rate)
    return total / frames


def test_transitions_stay_within_pieces():
    pieces = some_pieces()
    before, after = transitions(pieces)
    expected = [(p[t], p[t + 1]) for p in pieces for t in range(len(p) - 1)]
    np.testing.assert_array_equal(before, [pair[0] for pair in expected])
    np.testing.assert_array_equal(after, [pair[1] for pair in expected])


def test_the_nll_is_that_of_a_plain_loop():
    pieces = some_pieces(3)
    weights = np.random.default_rng(4).normal(size=(5, 5))

    def predict(before):
        return expit(before @ weights)

    assert nll(predict, pieces) == pytest.approx(nll_by_loops(predict, pieces), rel=1e-9)


def test_logistic_regression_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    pieces = some_pieces()
    before, after = transitions(pieces)
    inputs = np.pad(before, ((0, 0), (0, 1)), constant_values=1)
    found = logistic_regression(pieces)(before)
    for note in range(5):
        model = linear_model.LogisticRegression(C=1 / PENALTY, fit_intercept=False, tol=1e-8)
        expected = model.fit(inputs, after[:, note]).predict_proba(inputs)[:, 1]
        np.testing.assert_allclose(found[:, note], expected, atol=2e-4)


def test_baselines_learn_from_training_and_validation_and_are_tested_on_the_rest():
    pieces = {name: some_pieces(seed) for seed, name in enumerate(("train", "valid", "test"))}
    found = baselines(pieces)
    rates = np.concatenate(pieces["train"] + pieces["valid"]).mean(axis=0)
    by_loops = nll_by_loops(lambda before: rates[None], pieces["test"])
    assert found["each note's rate"]["nll"] == pytest.approx(by_loops)
    regression = found["logistic regression of each note on the frame before"]["nll"]
    assert regression < 0.9 * by_loops
    pieces["valid"] = some_pieces(9)
    assert baselines(pieces) != found


def test_log_odds_are_those_of_the_rates():
    pieces = some_pieces()
    frames = np.concatenate(pieces)
    expected = [np.log((n + 0.5) / (len(frames) - n + 0.5)) for n in frames.sum(axis=0)]
    np.testing.assert_allclose(log_odds(pieces), expected)
    assert log_odds([np.zeros((2, 1))]) == pytest.approx((-np.log(5),))


def test_notes_that_never_sounded_cost_much_but_not_all():
    silent, loud = [np.zeros((4, 2))], [np.ones((4, 2))]
    assert nll(marginal_rates(silent), loud) == pytest.approx(-2 * np.log(1e-6))


def test_the_rates_of_the_chorales_have_the_published_nll():
    """11.09 nats over the frames that are predicted."""
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    pieces = load(downloads.locate(downloads.JSB_CHORALES)).pieces
    assert nll(marginal_rates(pieces["train"]), pieces["test"]) == pytest.approx(11.09, abs=0.005)
