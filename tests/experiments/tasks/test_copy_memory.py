"""Copy memory: ten symbols, a blank, ten symbols."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.tasks.copy_memory import judge, sample


def test_sequences_follow_the_definition():
    inputs, lengths, targets = sample(jax.random.PRNGKey(2), 300, length=6)
    read, asked = np.asarray(inputs).argmax(axis=-1), np.asarray(targets).argmax(axis=-1)
    assert np.asarray(inputs).sum() == np.asarray(targets).sum() == 26 * 300
    assert (np.asarray(lengths) == 26).all()
    for b in range(300):
        symbols = read[:10, b].tolist()
        assert read[:, b].tolist() == symbols + [0] * 5 + [9] * 11
        assert asked[:, b].tolist() == [0] * 16 + symbols
    counts = np.bincount(read[:10].ravel(), minlength=10)
    assert counts[0] == counts[9] == 0
    assert counts[1:9].min() > 375 * 0.8


def test_whoever_knows_all_but_the_symbols_has_the_published_baseline():
    targets = sample(jax.random.PRNGKey(2), 5, length=6).targets
    blank = jnp.zeros(10).at[0].set(100.0)
    guess = jnp.where((jnp.arange(10) > 0) & (jnp.arange(10) < 9), 0.0, -100.0)
    outputs = jnp.concatenate([jnp.tile(blank, (16, 5, 1)), jnp.tile(guess, (10, 5, 1))])
    verdict = judge(outputs, targets)
    np.testing.assert_allclose(verdict.loss, 10 * math.log(8) / 26, rtol=1e-5)
    np.testing.assert_allclose(verdict.errors, 7 / 8, rtol=1e-5)


def test_right_is_a_sequence_whose_ten_symbols_are_likelier_than_not():
    targets = sample(jax.random.PRNGKey(7), 4, length=3).targets
    outputs = 10 * targets
    assert (judge(outputs, targets).errors < 0.5).all()
    spoiled = outputs.at[-3, 2].set(0.0)
    verdict = judge(spoiled, targets)
    assert (np.asarray(verdict.errors) < 0.5).all(axis=1).tolist() == [True, True, False, True]
    assert verdict.errors[2, -3] == pytest.approx(0.9)
    assert verdict.extras["accuracy"].tolist()[3] == 1
    early = outputs.at[5].set(0.0)  # the blanks count in the loss alone
    assert (judge(early, targets).errors < 0.5).all()
    assert (judge(early, targets).loss > verdict.loss[3]).all()
