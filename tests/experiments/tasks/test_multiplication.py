"""Multiplication: the pairs of adding, with their product for a target."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from experiments.tasks.multiplication import sample


def test_sequences_follow_the_definition():
    inputs, lengths, targets = map(np.asarray, sample(jax.random.PRNGKey(3), 2000, length=40))
    assert inputs.shape == (44, 2000, 2)
    assert set(lengths) == set(range(40, 45))
    counts = []
    for b, length in enumerate(lengths):
        value, marker = inputs[:length, b].T
        assert not inputs[length:, b].any()
        assert (value >= 0).all() and (value < 1).all()
        assert marker[0] == marker[-1] == -1
        marked = np.flatnonzero(marker == 1)
        expected = 1.0
        for place in marked:
            expected *= value[place]
        np.testing.assert_allclose(targets[b], expected, rtol=1e-6)
        counts.append(len(marked))
    assert set(counts) == {1, 2}
    assert np.mean(inputs[:40, :, 0]) == pytest.approx(0.5, abs=0.01)
