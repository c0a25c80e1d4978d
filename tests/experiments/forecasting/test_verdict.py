"""What is called a gain, and what is not."""

import numpy as np
import pytest
import scipy.stats

from experiments.forecasting.verdict import LAST_VALUE, gain, verdict


def test_the_gain_s_error_is_student_s_over_whole_blocks():
    random = np.random.default_rng(0)
    errors, naive = random.random((2, 46))
    blocks = [np.mean((naive - errors)[k : k + 7]) for k in range(0, 42, 7)]
    half = scipy.stats.t.ppf(0.975, 5) * np.std(blocks, ddof=1) / np.sqrt(6)
    found = gain(errors, naive, 7)
    assert found == pytest.approx({"gain": np.mean(naive - errors), "gain_error": half})


def test_one_block_tells_nothing_of_the_error():
    assert gain(np.zeros(9), np.ones(9), 5) == {"gain": 1.0}


def test_what_is_noise_is_seldom_called_a_gain():
    """Differences that are autocorrelated over a horizon, without a mean: 1 of 40 is above."""
    random, horizon, wins, trials = np.random.default_rng(0), 10, 0, 2000
    for _ in range(trials):
        noise = np.convolve(random.normal(size=309), np.ones(horizon), mode="valid")
        found = gain(np.zeros(300), noise, horizon)
        wins += found["gain"] > found["gain_error"]
    assert 0.015 < wins / trials < 0.06


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (
            {"mse": 0.0352, "gain": -0.0012, "gain_error": 0.001},
            "the model does not beat repeating the last value: MSE 0.0352 against 0.0340",
        ),
        (
            {"mse": 0.0340, "gain": 0.0, "gain_error": 0.0},
            "the model does not beat repeating the last value: MSE 0.0340 against 0.0340",
        ),
        (
            {"mse": 0.0330, "gain": 0.001, "gain_error": 0.002},
            "the model does not beat repeating the last value beyond noise: MSE 0.0330 against"
            " 0.0340, a gain of 0.0010 ± 0.0020",
        ),
        (
            {"mse": 0.0255, "gain": 0.0085, "gain_error": 0.002},
            "the model beats repeating the last value: MSE 0.0255 against 0.0340, 25.0% less, a"
            " gain of 0.0085 ± 0.0020",
        ),
        (
            {"mse": 0.0255, "gain": 0.0085},
            "the model's MSE is below that of repeating the last value, 0.0255 against 0.0340, but"
            " the test part is too short to tell that from noise",
        ),
    ],
)
def test_the_sentence_says_what_the_numbers_are(test, expected):
    baselines = {LAST_VALUE: {"mse": 0.0340}, "linear model": {"mse": 0.0355}}
    assert verdict(test, baselines) == expected
    baselines |= {"linear model": {"mse": 0.0201}, "other": {"mse": 0.01}}
    better = "; better than the model: linear model (0.0201), other (0.0100)"
    assert verdict(test, baselines) == expected + better
