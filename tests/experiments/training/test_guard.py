"""Steps that would do harm change nothing, are counted, and in the end stop the run."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.mesh import Part
from experiments.training.checkpoints import Checkpoints
from experiments.training.guard import HISTORY
from experiments.training.loop import Diverged, Trainer, fit
from experiments.training.replay import replay
from experiments.training.results import read_metrics
from experiments.training.step import SKIPPED, init_state, make_train_step
from tests.experiments.conftest import Positions, toy_task


class Spoiled(Positions):
    """Batches some of which are spoiled by their number."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def __next__(self):
        batch = super().__next__()
        return {"x": batch["x"], "y": self.spoil(batch["y"], self.count)}


def spoiled_task(config, spoil):
    return toy_task(config)._replace(train_batches=lambda part: Spoiled(spoil))


def nan_in(numbers):
    return lambda y, number: y * np.float32(np.nan) if number in numbers else y


def run(config, task, steps):
    """The states after each step and the steps' means."""
    state, batches = init_state(task, config), task.train_batches(Part())
    train_step, states, everything = make_train_step(task, config), [], []
    for _ in range(steps):
        state, means = train_step(state, next(batches))
        states.append(jax.device_get(state))
        everything.append(jax.device_get(means))
    return states, everything


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_loss_that_is_not_finite_changes_nothing_but_the_counts(config):
    states, means = run(config, spoiled_task(config, nan_in({3})), 5)
    same(states[2].params, states[1].params)
    same(states[2].opt_state.inner_state, states[1].opt_state.inner_state)
    same(states[2].carry, states[1].carry)
    assert [int(s.step[0]) for s in states] == [1, 2, 3, 4, 5]
    assert [int(s.opt_state.notfinite_count[0]) for s in states] == [0, 0, 1, 0, 0]
    assert int(states[-1].opt_state.total_notfinite[0]) == 1
    assert [float(m[SKIPPED].total[0]) for m in means] == [0, 0, 1, 0, 0]
    assert [float(m["objective"].weight[0]) for m in means] == [1, 1, 0, 1, 1]
    assert float(means[2]["squared_error"].total[0]) == 0
    before, after = (jax.tree.leaves(states[i].params)[1] for i in (2, 3))
    assert np.any(before != after)


def test_a_gradient_that_is_not_finite_is_skipped_though_the_loss_is(config):
    task = toy_task(config)

    def loss(params, carry, batch, key):
        value, rest = task.loss(params, carry, batch, key)
        weights = jax.tree.leaves(params)[0]
        steep = jax.lax.cond(  # 0, with the slope inf * 0
            carry == 1, lambda: jnp.sqrt(jnp.abs(weights).sum() * 0.0), lambda: 0.0
        )
        return value + steep, rest

    states, means = run(config, task._replace(loss=loss), 3)
    assert [float(m[SKIPPED].total[0]) for m in means] == [0, 1, 1]
    same(states[2].params, states[0].params)


def test_after_the_limit_a_member_stands_still(config):
    config.train.bad_steps = 2
    states, means = run(config, spoiled_task(config, nan_in({2, 3})), 6)
    same(states[5].params, states[0].params)
    assert [float(m[SKIPPED].total[0]) for m in means] == [0, 1, 1, 1, 1, 1]


def with_a_spike_at(config, number):
    config.train.spike = 6.0
    task = spoiled_task(config, lambda y, n: y + 1000 * (n == number))
    states, means = run(config, task, HISTORY + 6)
    return states, [n for n, m in enumerate(means, 1) if m[SKIPPED].total[0]], means


def test_a_spike_is_skipped(config):
    states, skipped, _ = with_a_spike_at(config, HISTORY + 4)
    assert skipped == [HISTORY + 4]
    same(states[HISTORY + 3].params, states[HISTORY + 2].params)
    same(states[HISTORY + 3].losses, states[HISTORY + 2].losses)


def test_before_there_is_a_history_nothing_is_a_spike(config):
    states, skipped, means = with_a_spike_at(config, 5)
    assert skipped == []
    losses = [float(m["objective"].total[0]) for m in means]
    np.testing.assert_allclose(states[-1].losses[0], losses[-HISTORY:], rtol=1e-6)


def test_skipped_steps_are_logged_and_reported(config, tmp_path):
    config.seeds = 2
    results = fit(spoiled_task(config, nan_in({2, 3, 9})), config, tmp_path)
    assert [m["skipped_steps"] for m in results["members"]] == [3, 3]
    lines = [v for v in read_metrics(tmp_path / "metrics.jsonl") if v["split"] == "train"]
    assert [v[SKIPPED] for v in lines if v["member"] == 1] == [2, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert all(np.isfinite(v["objective"]) for v in lines)


def test_a_run_that_diverges_stops_and_can_be_replayed(config, tmp_path):
    config.train.update(bad_steps=3, log_every=4)
    config.seeds = 2
    task = spoiled_task(config, lambda y, n: y * np.float32(np.inf) if n >= 7 else y)
    with pytest.raises(
        Diverged,
        match=r"3 steps in a row .*bad_step_7/report.json .* step 7, .* --config.debug.replay=",
    ):
        fit(task, config, tmp_path)
    assert not (tmp_path / "results.json").exists()
    report = json.loads((tmp_path / "bad_step_7" / "report.json").read_text())
    assert (report["step"], report["member"], report["seed"]) == (7, 0, 0)
    assert report["batch"]["iterator"] == {"count": 6}
    assert report["loss"] == "inf"
    assert len(report["gradient_norms"]) == 4
    assert all(value in ("nan", "inf") for value in report["gradient_norms"].values())
    assert replay(task, config, tmp_path / "bad_step_7") == report

    mended = replay(toy_task(config), config, tmp_path / "bad_step_7")
    assert float(mended["loss"]) < 100
    state, batches = init_state(toy_task(config), config), Positions()
    train_step = make_train_step(toy_task(config), config)
    for _ in range(7):
        state, means = train_step(state, next(batches))
    np.testing.assert_allclose(float(mended["loss"]), means["objective"].total[0], rtol=1e-5)
    np.testing.assert_allclose(
        float(mended["gradient_norm"]), means["gradient_norm"].total[0], rtol=1e-5
    )
    config.optimizer.learning_rate = 0.5
    with pytest.raises(ConfigError, match=r"config.optimizer.learning_rate was 0.03, now 0.5"):
        replay(task, config, tmp_path / "bad_step_7")


def test_there_must_be_something_to_replay(config, tmp_path):
    with pytest.raises(ConfigError, match="config.debug.replay is .*holds no recorded step"):
        replay(toy_task(config), config, tmp_path)


@pytest.mark.parametrize("rates", [(), (0.1,)])
def test_a_member_that_was_done_before_it_stood_still_fails_nothing(config, tmp_path, rates):
    config.seeds, config.optimizer.learning_rates = 2, rates
    with Checkpoints(tmp_path / "checkpoints", {}) as saved:
        trainer = Trainer(toy_task(config), config, tmp_path, saved)
        fresh = trainer.state

        def stop(done, skips):
            counted = fresh.opt_state._replace(notfinite_count=jnp.array(skips))
            trainer.state = fresh.replace(done=jnp.array(done), opt_state=counted)
            trainer._origins.extend([{"count": 0}] * 30)
            trainer.step = 30
            trainer._stop_if_diverged()

        stop([True, False], [10, 0])
        stop([False, False], [9, 9])
        with pytest.raises(Diverged, match="bad_step_18"):
            stop([False, False], [25, 13])


def test_of_several_learning_rates_one_may_diverge(config, tmp_path):
    config.train.bad_steps = 2
    config.optimizer.update(name="sgd", learning_rates=(1e30, 0.02), clip_norm=0.0)
    results = fit(toy_task(config), config, tmp_path)
    assert results["learning_rate"] == 0.02
    assert [m["skipped_steps"] for m in results["members"]] == [5, 0]  # until it is evaluated
    config.optimizer.learning_rates = (1e30, 1e31)
    with pytest.raises(Diverged):
        fit(toy_task(config), config, tmp_path / "none left")
