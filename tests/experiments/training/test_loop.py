"""The loop trains what optax would by hand, stops when it should, and resumes to the bit."""

from __future__ import annotations

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.config import ConfigError
from experiments.mesh import Part
from experiments.task import Mean
from experiments.training.loop import fit, load_best
from experiments.training.results import Recorder, mean_text, read_metrics, read_results, write_json
from experiments.training.step import (
    divide,
    init_state,
    make_evaluate,
    make_observe,
    make_train_step,
    total,
)
from tests.experiments.conftest import batch_of, toy_task


def train(config, steps, task=None):
    task = task or toy_task(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    train_step = make_train_step(task, config)
    for _ in range(steps):
        state, _ = train_step(state, next(batches))
    return state


def test_train_step_is_clipping_and_optax(config):
    config.optimizer.clip_norm = 0.5
    task = toy_task(config)
    ours = train(config, 3)

    fresh = init_state(task, config)
    params, carry, key = jax.tree.map(lambda a: a[0], (fresh.params, fresh.carry, fresh.key))
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.03))
    opt_state = optimizer.init(params)
    for number in range(3):
        noise = jax.random.fold_in(key, number)
        batch = batch_of(number + 1, size=4)
        grads, (carry, _) = jax.grad(task.loss, has_aux=True)(params, carry, batch, noise)
        updates, opt_state = optimizer.update(grads, opt_state)
        params = optax.apply_updates(params, updates)
    close = partial(np.testing.assert_allclose, rtol=2e-5, atol=1e-7)
    jax.tree.map(lambda a, b: close(a[0], b), ours.params, params)
    assert int(ours.step[0]) == int(ours.carry[0]) == 3


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_learns(config, name):
    config.optimizer.update(name=name, learning_rate=0.02, weight_decay=1e-4, momentum=0.5)
    task = toy_task(config)
    evaluate = make_evaluate(task, config)
    before = evaluate(init_state(task, config).params, "valid")[0]["squared_error"]
    after = evaluate(train(config, 60).params, "valid")[0]["squared_error"]
    assert after < 0.6 * before


def test_members_train_as_they_would_alone(config):
    config.seeds, config.optimizer.learning_rates = 2, (0.03, 0.01)
    together = train(config, 4)
    config.seeds, config.seed, config.optimizer.learning_rates = 1, 1, (0.01,)
    alone = train(config, 4)
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    jax.tree.map(lambda a, b: close(a[3], b[0]), together.params, alone.params)
    first, last = jax.tree.leaves(together.params)[1][np.array([0, 3])]
    assert np.abs(first - last).max() > 1e-3


def test_a_member_that_is_done_stands_still(config):
    config.seeds = 3
    task = toy_task(config)
    step, batch = make_train_step(task, config), next(task.train_batches(Part()))
    state = init_state(task, config)
    everyone, _ = step(init_state(task, config), batch)
    before = jax.device_get(state)
    some, means = step(state.replace(done=jnp.array([False, True, False])), batch)
    assert some.step.tolist() == [1, 1, 1]
    assert means["objective"].weight.tolist() == [1, 0, 1]
    assert means["skipped_steps"].total.tolist() == [0, 0, 0]
    kept = zip(*map(jax.tree.leaves, (before.params, everyone.params, some.params)), strict=True)
    for old, trained, got in kept:
        np.testing.assert_array_equal(got[1], old[1])
        np.testing.assert_array_equal(got[::2], trained[::2])
        assert (np.asarray(trained) != old).any()


def test_train_step_compiles_once(config):
    task = toy_task(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    train_step = make_train_step(task, config)
    for _ in range(3):
        state, _ = train_step(state, next(batches))
    assert train_step._cache_size() == 1


def test_schedule_scales_each_members_own_rate(config):
    config.optimizer.update(name="sgd", schedule="linear", warmup_steps=2, clip_norm=0.0)
    task = toy_task(config)
    train_step, state = make_train_step(task, config), init_state(task, config)
    before = jax.tree.map(jnp.copy, state.params)
    state, _ = train_step(state, batch_of(1, 4))
    jax.tree.map(np.testing.assert_array_equal, state.params, before)  # warm-up starts from zero
    state, _ = train_step(state, batch_of(2, 4))
    assert any(
        np.any(a != b)
        for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(before), strict=True)
    )


def test_evaluation_weighs_batches_by_their_size_and_threads_the_carry(config):
    task = toy_task(config)
    params = init_state(task, config).params
    (values,) = make_evaluate(task, config)(params, "valid")
    batches = [batch_of(1002, 2), batch_of(1005, 5)]
    mine = jax.tree.map(lambda a: a[0], params)
    errors = np.concatenate([(task.model.apply(mine, b["x"]) - b["y"]) ** 2 for b in batches])
    np.testing.assert_allclose(values["squared_error"], errors.mean(), rtol=1e-5)
    np.testing.assert_allclose(values["root"], errors.mean() ** 0.5, rtol=1e-5)
    assert values["batches_before"] == 0.5  # 0 for the first batch, 1 for the second


def test_means_are_summed_before_they_are_divided():
    first = {"a": Mean(np.array([1.0, 9.0]), np.array([1.0, 3.0]))}
    second = {"a": Mean(np.array([5.0, 0.0]), np.array([2.0, 0.0]))}
    assert divide(total([first, second])) == [{"a": 2.0}, {"a": 3.0}]
    assert divide(total([second]))[1] == {}


@pytest.mark.parametrize("higher", [False, True])
def test_observe_keeps_the_best_until_patience_ends(config, higher):
    config.train.patience = 2
    task = toy_task(config)._replace(higher_is_better=higher)
    observe, state = make_observe(task, config), init_state(task, config)
    sign = 1.0 if higher else -1.0
    seen = []
    for number, merit in enumerate([1.0, 3.0, 2.0, 2.5, 9.0]):
        state = state.replace(params=jax.tree.map(lambda p, n=number: p * 0 + n, state.params))
        state = observe(state, jnp.array([sign * merit]))
        kept = float(jax.tree.leaves(state.best_params)[0].ravel()[0])
        seen.append((kept, sign * float(state.best_metric[0]), bool(state.done[0])))
    assert seen == [(0, 1, False), (1, 3, False), (1, 3, False), (1, 3, True), (1, 3, True)]


def test_observe_stops_at_a_value_and_at_nan(config):
    config.train.stop_at = 0.5
    config.seeds = 3
    task = toy_task(config)
    state = make_observe(task, config)(init_state(task, config), jnp.array([0.6, 0.4, jnp.nan]))
    assert state.done.tolist() == [False, True, True]
    assert state.best_metric.tolist()[:2] == pytest.approx([0.6, 0.4])
    assert state.best_metric[2] == jnp.inf


def test_resuming_is_exact(config, tmp_path):
    config.seeds = 2
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    for directory in (straight, broken):
        directory.mkdir()
    fit(toy_task(config), config, straight)
    with pytest.raises(KeyboardInterrupt):
        fit(toy_task(config, stop_after=13), config, broken)
    assert max(line["step"] for line in read_metrics(broken / "metrics.jsonl")) == 12
    fit(toy_task(config), config, broken)

    states = [load_best(toy_task(config), config, directory) for directory in (straight, broken)]
    jax.tree.map(np.testing.assert_array_equal, *states)
    lines = (straight / "metrics.jsonl").read_text()
    assert lines == (broken / "metrics.jsonl").read_text()
    steps = [(v["step"], v["split"], v["member"]) for v in map(json.loads, lines.splitlines())]
    assert len(steps) == len(set(steps))
    assert [s for s, split, member in steps if (split, member) == ("valid", 0)] == [6, 12, 18, 20]
    assert [s for s, split, member in steps if (split, member) == ("train", 1)] == [
        4, 5, 6, 8, 10, 12, 15, 16, 18, 20,
    ]  # fmt: skip


def test_results_are_those_of_the_best_parameters(config, tmp_path):
    config.seeds = 2
    task = toy_task(config)
    results = fit(task, config, tmp_path)
    assert results == json.loads((tmp_path / "results.json").read_text())
    best = load_best(task, config, tmp_path)
    again = make_evaluate(task, config)(best.best_params, "test")
    values = [m["test"]["squared_error"] for m in results["members"]]
    np.testing.assert_allclose(values, [v["squared_error"] for v in again], rtol=1e-6)
    np.testing.assert_allclose(results["test"]["squared_error"]["mean"], np.mean(values))
    np.testing.assert_allclose(results["test"]["squared_error"]["sd"], np.std(values, ddof=1))
    assert results["parameters"] == 3 * 4 + 4 + 4 + 1
    assert (results["steps"], results["seeds"]) == (20, [0, 1])
    assert results["facts"] == {"toy": True}
    assert results["versions"]["jax"] == jax.__version__


def test_the_better_learning_rate_is_reported(config, tmp_path):
    config.optimizer.learning_rates = (1e-6, 0.03)
    results = fit(toy_task(config), config, tmp_path)
    assert results["learning_rate"] == 0.03
    chosen = results["members"][1]["test"]["squared_error"]
    assert results["test"]["squared_error"] == {"mean": chosen, "sd": 0.0}


def test_a_solved_run_stops_at_the_next_evaluation(config, tmp_path):
    results = fit(toy_task(config, solvable=True), config, tmp_path)
    assert results["steps"] == 12
    assert results["members"][0]["solved_at"] == 10


def test_load_best_without_a_run(config, tmp_path):
    assert load_best(toy_task(config), config, tmp_path) is None


def test_the_initial_parameters_are_called_so(config, tmp_path, caplog):
    config.train.update(steps=0)
    fit(toy_task(config), config, tmp_path)
    best = load_best(toy_task(config), config, tmp_path)
    expected = init_state(toy_task(config), config).params
    jax.tree.map(np.testing.assert_array_equal, best.best_params, expected)
    assert "not validated yet" in caplog.text


def test_a_run_on_other_data_is_refused(config, tmp_path):
    fit(toy_task(config), config, tmp_path)
    other = toy_task(config)._replace(facts={"toy": True, "sha256": "another"})
    with pytest.raises(ConfigError, match="config.facts.sha256 was None, now 'another'"):
        fit(other, config, tmp_path)


def test_metrics_that_were_cut_inside_a_line_go_on_with_a_whole_one(tmp_path, caplog):
    path = tmp_path / "metrics.jsonl"
    with Recorder(tmp_path) as recorder:
        recorder.write(1, "train", [{"loss": 0.5}])
        recorder.write(2, "train", [{"loss": float("nan")}])
        position = recorder.position()
    assert position == path.stat().st_size
    whole = path.read_text()
    with Recorder(tmp_path, 2, position) as recorder:
        recorder.write(3, "train", [{"loss": 0.25}])
    assert path.read_text().startswith(whole)
    with Recorder(tmp_path, 2, position) as recorder:
        recorder.write(3, "train", [{"loss": 0.25}])
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3]
    path.write_text(path.read_text()[: position - 5])
    with Recorder(tmp_path, 2, position) as recorder:
        recorder.write(3, "train", [{"loss": 0.25}])
    assert [line["step"] for line in read_metrics(path)] == [1, 3]
    assert "has lost lines of steps up to 2" in caplog.text


def test_json_has_null_for_what_is_not_finite(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1.5, float("inf")], "b": {"c": float("nan"), "d": "x"}})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": [1.5, None],
        "b": {"c": None, "d": "x"},
    }
    assert mean_text({"mean": None, "sd": None}, several=True) == "nan ± nan"
    (tmp_path / "results.json").write_text("")
    with pytest.raises(ConfigError, match=r"results.json holds no results .*; delete it to train"):
        read_results(tmp_path)
