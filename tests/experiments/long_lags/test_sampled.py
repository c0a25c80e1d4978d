"""Sampled tasks: success by a plain loop, data that never repeat, lags never trained on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import temporal_order as settings
from experiments.config import ConfigError, resolve
from experiments.long_lags.sampled import Criterion, add, empty_record, integers
from experiments.mesh import Part
from experiments.tasks.temporal_order import sample, temporal_order


def tiny(**fields):
    config = settings.get_config()
    config.mode = "tiny"
    config.modes.tiny.task.update(fields)
    return resolve(config)


def first_success(right, errors, batch, criterion):
    """After which sequence, at a batch's end, the criterion first held; by its definition."""
    for seen in range(batch, len(right) + 1, batch):
        if seen < criterion.window:
            continue
        latest = slice(seen - criterion.window, seen)
        wrong = sum(not r for r in right[latest])
        mean = sum(errors[latest]) / criterion.window
        if wrong <= criterion.wrong and mean < criterion.mean_error:
            return max(seen - criterion.window, 1) if criterion.before else seen
    return 0


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_success_is_that_of_a_plain_loop(seed, batch):
    rng = np.random.default_rng(seed)
    criterion = Criterion(
        tolerance=0.3,
        window=int(rng.integers(8, 15)),
        wrong=int(rng.integers(0, 3)),
        mean_error=float(rng.choice([0.5, np.inf])),
        before=bool(seed % 2),
    )
    count = 20 * batch
    right = rng.random(count) < np.linspace(0.6, 1.1, count)
    errors = rng.random(count)
    record, step = empty_record(criterion), jax.jit(add, static_argnums=3)
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        one = jnp.array(right[part], jnp.float32), jnp.array(errors[part], jnp.float32)
        record = step(record, *one, criterion)
    assert int(record.seen) == count
    assert int(record.solved_at) == first_success(right, errors, batch, criterion)


def test_a_batch_may_be_larger_than_the_window():
    criterion = Criterion(tolerance=0.3, window=4)
    record = add(empty_record(criterion), jnp.array([0.0, 0, 1, 1, 1, 1]), jnp.ones(6), criterion)
    assert int(record.solved_at) == 6


def test_integers_cover_the_range_and_no_more():
    uniform = jnp.array([0.0, 0.2499, 0.25, 1 - 2**-24])
    np.testing.assert_array_equal(integers(uniform, 3, 7), [3, 3, 4, 6])


def test_training_draws_anew_and_evaluation_does_not():
    task = temporal_order(tiny())
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


def test_lags_never_trained_on_are_scored_on_sequences_of_that_length():
    task = temporal_order(tiny(lags=(20, 45)))
    params = jax.tree.map(  # so sure of itself that it is right at times
        lambda leaf: leaf + 9 * jax.random.normal(jax.random.PRNGKey(leaf.size), leaf.shape),
        task.init(jax.random.PRNGKey(4)),
    )
    for lag, got in zip((20, 45), task.score(params, "test").values(), strict=True):
        right = []
        for number in (200, 201):
            key = jax.random.fold_in(jax.random.PRNGKey(1997), number)
            drawn = sample(key, 256, lag, relevant=2)
            odds = jax.nn.softmax(task.model.apply(params, drawn.inputs, drawn.lengths))
            right += (np.abs(odds - drawn.targets) < 0.3).all(axis=1).tolist()
        assert 0 < got == np.mean(right) < 1
    assert list(task.score(params, "test")) == ["right_fraction_at_20", "right_fraction_at_45"]


def test_lags_that_are_too_short():
    with pytest.raises(ConfigError, match="config.task.lags has 9, temporal_order needs at least"):
        temporal_order(tiny(lags=(20, 9)))
