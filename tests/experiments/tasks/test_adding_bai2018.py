"""The adding problem of 2018: two marks anywhere, a plain sum, 1/6 for whoever answers 1."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from experiments.tasks.adding_bai2018 import sample


def test_sequences_follow_the_definition():
    inputs, lengths, targets = map(np.asarray, sample(jax.random.PRNGKey(3), 4000, length=9))
    assert inputs.shape == (9, 4000, 2)
    assert (lengths == 9).all()
    pairs = []
    for b in range(4000):
        value, marker = inputs[:, b].T
        marked = np.flatnonzero(marker)
        assert (marker[marked] == 1).all()
        np.testing.assert_allclose(targets[b], value[marked[0]] + value[marked[1]], rtol=1e-6)
        pairs.append(tuple(marked))
    counts = np.unique(pairs, axis=0, return_counts=True)[1]
    assert len(counts) == 9 * 8 // 2  # each pair of different steps, as often as any other
    assert counts.min() > 111 * 0.6
    assert counts.max() < 111 * 1.5


def test_a_constant_answer_has_a_sixth():
    targets = np.asarray(sample(jax.random.PRNGKey(0), 20000, length=5).targets)
    assert np.square(targets - 1).mean() == pytest.approx(1 / 6, rel=0.03)
