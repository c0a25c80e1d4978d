"""Trials in a population: alone or together, through to the end, a kill or a divergence."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

from configs import forecasting
from experiments import command_line, signals
from experiments.config import resolve
from experiments.study import population
from experiments.study.search import Population, seed
from experiments.study.trials import Trial
from experiments.training import step
from experiments.training.loop import fit
from experiments.training.results import read_metrics
from tests.experiments.conftest import toy_task

FIRST, SECOND, THIRD = (
    Trial("rnn", 0, 5, 0.03, 0.5, 0.3),
    Trial("rnn", 1, 5, 0.01, 0.9, 0.0),
    Trial("rnn", 2, 5, 0.002, 0.0, 0.7),
)


@pytest.fixture(autouse=True)
def toy(config, monkeypatch):
    monkeypatch.setitem(command_line.TASKS, "toy", toy_task)
    config.task.name = "toy"
    config.cells = ("rnn",)
    config.train.update(
        steps=12, batch_size=4, eval_every=2, log_every=2, checkpoint_every=4, bad_steps=2
    )


class Silent:
    def update(self, step, loss, steps_rate, items_rate):
        self.step = step


def outcomes(config, directory, *trials, listener=None):
    one = Population("rnn", trials[0].hidden_size, trials)
    population.train(config, one, directory, listener or Silent())
    return population.read(directory)[0]


def test_a_trial_alone_has_the_curve_that_it_has_among_others(config, tmp_path):
    together = outcomes(config, tmp_path / "all", FIRST, SECOND, THIRD)
    assert [o.trial for o in together] == [FIRST, SECOND, THIRD]
    for trial, among in zip((FIRST, SECOND, THIRD), together, strict=True):
        (alone,) = outcomes(config, tmp_path / str(trial.number), trial)
        assert alone.trial == trial
        np.testing.assert_allclose(alone.curve, among.curve, rtol=2e-5)
        assert alone.test == pytest.approx(among.test, rel=2e-5)
        assert (alone.steps, alone.diverged) == (among.steps, among.diverged) == (12, False)
    curves = np.array([o.curve for o in together])
    assert curves[:, :, 0].tolist() == [[2, 4, 6, 8, 10, 12]] * 3
    assert np.ptp(curves[:, -1, 1]) > 1e-4


def test_best_value_and_parameters_are_those_of_the_curve(config, tmp_path):
    (found,) = outcomes(config, tmp_path, FIRST)
    assert found.validation == pytest.approx(min(value for _, value in found.curve))
    assert found.parameters == 3 * 5 + 5 + 5 + 1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nesterov", "rmsprop", "sgd"])
def test_a_trial_is_the_ordinary_run_of_its_settings(config, tmp_path, optimizer):
    config.optimizer.name = optimizer
    trial = FIRST._replace(input_noise=0.0)
    (found,) = outcomes(config, tmp_path / "trial", trial)
    config.cell.update(name="rnn", hidden_size=5)
    config.seed = seed(trial, config)
    config.optimizer.update(learning_rate=0.03, momentum=0.5)
    task = command_line.build_task(config)
    fit(task, config, tmp_path / "run")
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    curve = [(v["step"], v[task.metric]) for v in lines if v["split"] == "valid"]
    np.testing.assert_allclose(found.curve, curve, rtol=2e-5)


def test_noise_is_on_the_inputs_of_real_networks_under_vmap_as_alone(tmp_path, monkeypatch):
    config = forecasting.get_config()
    config.mode = "tiny"
    config = resolve(config)
    without = FIRST._replace(input_noise=0.0)
    (quiet,) = outcomes(config, tmp_path / "quiet", without)
    (noisy,) = outcomes(config, tmp_path / "noisy", FIRST)
    assert not np.allclose(quiet.curve, noisy.curve, rtol=1e-4)
    monkeypatch.setattr(step, "over_members", lambda f, in_axes=0: jax.vmap(f, in_axes))
    mapped = outcomes(config, tmp_path / "mapped", without, FIRST)
    for alone, among in zip((quiet, noisy), mapped, strict=True):
        np.testing.assert_allclose(alone.curve, among.curve, rtol=2e-5)


def test_a_trial_that_diverges_is_recorded_and_hurts_no_other(config, tmp_path):
    config.optimizer.update(name="sgd", clip_norm=0.0)
    wild = SECOND._replace(learning_rate=1e37, momentum=0.0)
    first, lost, third = outcomes(config, tmp_path / "all", FIRST, wild, THIRD)
    assert (first.diverged, lost.diverged, third.diverged) == (False, True, False)
    assert lost.steps < first.steps == third.steps == 12
    assert len(lost.curve) < 6
    (alone,) = outcomes(config, tmp_path / "first", FIRST)
    np.testing.assert_allclose(alone.curve, first.curve, rtol=2e-5)
    (only,) = outcomes(config, tmp_path / "lost", wild)
    assert only.diverged


def test_a_trial_without_gains_stops_and_is_not_evaluated_on(config, tmp_path):
    config.train.update(patience=2, steps=40)
    slow = THIRD._replace(learning_rate=1e-30, input_noise=0.0)
    stuck, other = outcomes(config, tmp_path, slow, FIRST)
    assert (stuck.steps, stuck.diverged) == (6, False)
    assert [step for step, _ in stuck.curve] == [2, 4, 6]
    assert other.steps > 6 and other.curve[-1][0] == other.steps


class Killer:
    """Sends the signal of an interrupted command after some windows."""

    def __init__(self, after):
        self.left = after

    def update(self, step, loss, steps_rate, items_rate):
        self.left -= 1
        if not self.left:
            signals._Inbox.received = True


@pytest.mark.parametrize("after", [1, 3, 5])
def test_an_interrupted_population_goes_on_to_the_bit(config, tmp_path, after, monkeypatch):
    monkeypatch.setattr(signals._Inbox, "received", False)
    whole = outcomes(config, tmp_path / "whole", FIRST, SECOND)
    with pytest.raises(signals.Interrupted):
        outcomes(config, tmp_path / "cut", FIRST, SECOND, listener=Killer(after))
    assert not population.finished(tmp_path / "cut")
    monkeypatch.setattr(signals._Inbox, "received", False)
    listener = Silent()
    assert outcomes(config, tmp_path / "cut", FIRST, SECOND, listener=listener) == whole
    assert listener.step == 12


def test_what_is_read_is_what_was_found(config, tmp_path):
    found = outcomes(config, tmp_path, FIRST, SECOND)
    stored = json.loads((tmp_path / "outcomes.json").read_text())
    assert stored["outcomes"][1]["trial"] == SECOND._asdict()
    assert population.read(tmp_path)[0] == found
    assert isinstance(found[0].curve, tuple) and isinstance(found[0].trial, Trial)
    assert not (tmp_path / "checkpoints").exists()


def test_those_that_go_on_when_others_retire_go_on_to_the_bit(config, tmp_path):
    config.train.update(patience=2, steps=16)
    slow = THIRD._replace(learning_rate=1e-30, input_noise=0.0)
    trials = (FIRST, slow, SECOND)

    def train(directory, retire, listener):
        one = Population("rnn", 5, trials)
        population.train(config, one, directory, listener, retire)
        return population.read(directory)[0]

    together = train(tmp_path / "together", np.all, Silent())
    apart = train(tmp_path / "apart", np.any, Silent())
    assert [o.trial for o in apart] == [*trials]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.curve, other.curve, rtol=2e-5)
        assert (one.steps, one.diverged) == (other.steps, other.diverged)
        assert one.test == pytest.approx(other.test, rel=2e-5)
    assert (tmp_path / "apart" / "rest" / "metrics.jsonl").exists()
    assert not list(tmp_path.rglob("checkpoints"))

    with pytest.raises(signals.Interrupted):
        train(tmp_path / "cut", np.any, Killer(5))
    signals._Inbox.received = False
    assert (tmp_path / "cut" / "rest" / "checkpoints").exists()
    assert train(tmp_path / "cut", np.any, Silent()) == apart


def test_half_of_the_members_are_enough_to_retire_them():
    assert [population.half(np.arange(4) < n) for n in range(5)] == [False, False, True, True, True]
    assert not population.half(np.array([False]))
