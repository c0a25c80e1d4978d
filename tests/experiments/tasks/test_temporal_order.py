"""Temporal order: sequences by the definition of 1997, judged by its criterion."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import temporal_order
from experiments.config import ConfigError, resolve
from experiments.mesh import Part
from experiments.tasks.sampled import Criterion, _empty_record, _record, integers
from experiments.tasks.temporal_order import SYMBOLS, judge, sample
from experiments.tasks.temporal_order import temporal_order as build

WINDOWS = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}


@pytest.mark.parametrize("relevant", [2, 3])
def test_sequences_follow_the_definition(relevant):
    drawn = sample(jax.random.PRNGKey(relevant), 400, length=100, relevant=relevant)
    inputs, lengths, targets = map(np.asarray, drawn)
    assert inputs.shape == (110, 400, 8)
    assert set(lengths) == set(range(100, 111))
    places = []
    for b, length in enumerate(lengths):
        assert (inputs[:length, b].sum(axis=1) == 1).all()
        assert not inputs[length:, b].any()
        text = "".join(SYMBOLS[k] for k in inputs[:length, b].argmax(axis=1))
        assert text[0] == "E"
        assert text[-1] == "B"
        assert not set(text[1:-1]) & set("EB")
        where = [t for t, symbol in enumerate(text) if symbol in "XY"]
        digits = "".join(text[t] for t in where).replace("X", "0").replace("Y", "1")
        assert np.flatnonzero(targets[b]).tolist() == [int(digits, 2)]
        places.append(where)
    for (low, high), taken in zip(WINDOWS[relevant], np.transpose(places), strict=True):
        assert set(taken) == set(range(low, high + 1))
    assert (targets.sum(axis=0) > 400 / 2**relevant / 2).all()


def test_distractors_are_even():
    inputs, _, _ = sample(jax.random.PRNGKey(0), 500, length=100, relevant=2)
    counts = np.asarray(inputs).sum(axis=(0, 1))[SYMBOLS.index("a") : SYMBOLS.index("X")]
    np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.01)


def test_integers_cover_the_range_and_no_more():
    uniform = jnp.array([0.0, 0.2499, 0.25, 1 - 2**-24])
    np.testing.assert_array_equal(integers(uniform, 3, 7), [3, 3, 4, 6])


def test_judge_takes_softmax_errors():
    logits = jnp.log(jnp.array([[0.8, 0.1, 0.05, 0.05], [0.2, 0.35, 0.25, 0.2]]))
    targets = jnp.eye(4)[jnp.array([0, 2])]
    verdict = judge(logits, targets)
    np.testing.assert_allclose(verdict.loss, -np.log([0.8, 0.25]), rtol=1e-6)
    errors = [[0.2, 0.1, 0.05, 0.05], [0.2, 0.35, 0.75, 0.2]]
    np.testing.assert_allclose(verdict.errors, errors, atol=1e-6)
    np.testing.assert_array_equal(verdict.extras["accuracy"], [1.0, 0.0])


def test_success_needs_an_unbroken_run_and_a_small_mean_error():
    criterion = Criterion(tolerance=0.3, mean_error=0.1, run=5)
    batches = [
        ([1, 1, 1], [0.05, 0.05, 0.05]),  # run 3
        ([1, 0, 1], [0.05, 0.90, 0.20]),  # broken: run 1, mean error 0.2
        ([1, 1, 1], [0.09, 0.09, 0.09]),  # run 4
        ([1, 1, 1], [0.20, 0.09, 0.09]),  # run 7, mean error 0.121: too large
        ([1, 1, 1], [0.02, 0.02, 0.02]),  # run 10, mean error 0.091: solved after 15
        ([0, 0, 0], [0.90, 0.90, 0.90]),  # too late to matter
    ]
    record, runs, solved = _empty_record(), [], []
    for right, error in batches:
        record = _record(record, jnp.array(right, bool), jnp.array(error), criterion)
        runs.append(int(record.run))
        solved.append(int(record.solved_at))
    assert runs == [3, 1, 4, 7, 10, 0]
    assert solved == [0, 0, 0, 0, 15, 15]


def test_training_draws_anew_and_evaluation_does_not():
    config = temporal_order.get_config()
    config.mode = "tiny"
    task = build(resolve(config))
    params, carry = task.init(jax.random.PRNGKey(0)), task.initial_carry()
    loss = jax.jit(task.loss)
    batches = task.train_batches(Part())
    first, second = next(batches), next(batches)
    key = jax.random.PRNGKey
    a, (seen, means) = loss(params, carry, first, key(1))
    b, _ = loss(params, carry, second, key(1))
    c, _ = loss(params, carry, first, key(2))
    assert a == b != c
    assert (int(seen.seen), float(means["loss"].weight)) == (8, 8.0)
    losses = [float(loss(params, carry, n, None)[0]) for n in task.eval_batches("test")]
    again = [float(loss(params, carry, n, None)[0]) for n in task.eval_batches("test")]
    assert losses == again
    assert len(set(losses)) == 10
    weights = [loss(params, carry, n, None)[1][1]["loss"].weight for n in task.eval_batches("test")]
    assert sum(weights) == 2560
    assert not {int(n) for n in task.eval_batches("test")} & {
        int(n) for n in task.eval_batches("valid")
    }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("relevant", 4, "config.task.relevant is 4, choose 2"), ("length", 9, "at least 10")],
)
def test_settings_that_cannot_work(field, value, message):
    config = temporal_order.get_config()
    config.task[field] = value
    with pytest.raises(ConfigError, match=message):
        build(resolve(config))
