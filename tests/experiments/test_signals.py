"""Signals: a run saves, ends and goes on to the bit; a second signal ends it at once."""

from __future__ import annotations

import signal
import time

import jax
import numpy as np
import pytest

from experiments import signals
from experiments.training.loop import fit, load_best
from tests.experiments.command import Command, outcome
from tests.experiments.conftest import toy_task

CHECKS = 20  # of the toy run: ten windows, then two batches of four validations and of one test


def interrupt_at(monkeypatch, number):
    """Lets the `number`-th check find a signal; returns the list of checks so far."""
    checks = []

    def check():
        checks.append(None)
        if len(checks) == number:
            raise signals.Interrupted

    monkeypatch.setattr(signals, "check", check)
    return checks


@pytest.fixture
def straight(config, tmp_path, monkeypatch):
    """What the run comes to that nobody interrupts."""
    checks = interrupt_at(monkeypatch, None)
    directory = tmp_path / "straight"
    directory.mkdir()
    fit(toy_task(config), config, directory)
    assert len(checks) == CHECKS
    return directory


def goes_on_from(number, config, straight, monkeypatch):
    directory = straight.parent / str(number)
    directory.mkdir()
    interrupt_at(monkeypatch, number)
    with pytest.raises(signals.Interrupted):
        fit(toy_task(config), config, directory)
    assert not (directory / "results.json").exists()
    interrupt_at(monkeypatch, None)
    fit(toy_task(config), config, directory)
    assert outcome(directory) == outcome(straight)
    states = [load_best(toy_task(config), config, d) for d in (straight, directory)]
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_an_interrupted_evaluation_is_done_again(config, straight, monkeypatch):
    goes_on_from(5, config, straight, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, CHECKS + 1))
def test_a_run_may_be_interrupted_anywhere(number, config, straight, monkeypatch):
    goes_on_from(number, config, straight, monkeypatch)


# by the second signal, by the first, or by the second while Python was already tidying up
ENDED = (128 + signal.SIGTERM, signals.EXIT_CODE, -signal.SIGTERM)
TINY = (
    "--config=configs/temporal_order.py",
    "--config.mode=tiny",
    "--config.train.steps=3000",
    "--config.train.checkpoint_every=1000",
    "--config.train.eval_every=500",
)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_goes_on(number, tmp_path):
    """Also while several runs are trained one after the other."""
    cells = "--config.cells=rnn,gru"
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert Command("compare", *TINY, cells, f"--workdir={straight}").end()[0] == 0
    line = ("compare", *TINY, cells, f"--workdir={broken}")
    code, said = Command(*line).when(broken / "gru" / "metrics.jsonl", number).end()
    assert code == signals.EXIT_CODE, said
    assert f"{number.name}: ending in good order" in said
    assert said.endswith("error: interrupted; the same command goes on\n")
    (saved,) = (broken / "gru" / "checkpoints").iterdir()
    assert int(saved.name) % 1000
    assert Command(*line).end()[0] == 0
    for cell in ("rnn", "gru"):
        assert outcome(broken / cell) == outcome(straight / cell)


@pytest.mark.slow
def test_a_second_signal_ends_at_once_even_while_compiling(tmp_path):
    command = Command("train", *TINY, f"--workdir={tmp_path}")
    code, _ = command.when(tmp_path / "config.json", signal.SIGINT, signal.SIGTERM).end()
    assert code in ENDED


@pytest.mark.slow
def test_a_second_run_in_the_same_directory_is_refused(tmp_path):
    unsolvable = ("--config.train.steps=1000000", "--config.optimizer.learning_rate=1e-9")
    line = ("train", *TINY, *unsolvable, f"--workdir={tmp_path}")
    first = Command(*line).when(tmp_path / "metrics.jsonl")
    code, said = Command(*line).end()
    assert (code, said.count("\n")) == (2, 1)
    assert f"another run is at work in {tmp_path} (process" in said
    assert first.when(tmp_path / "metrics.jsonl", signal.SIGTERM).end()[0] == signals.EXIT_CODE


@pytest.mark.slow
def test_evaluation_and_sampling_end_where_they_are(tmp_path):
    text = tmp_path / "text"
    text.write_text("to be or not to be\n" * 150_000)
    config = ("--config=configs/char_lm.py", "--config.mode=tiny", f"--config.task.path={text}")
    slow = ("--config.train.batch_size=1", "--config.train.eval_every=10")
    workdir = f"--workdir={tmp_path / 'run'}"
    assert Command("train", *config, *slow, workdir).end()[0] == 0
    for command in (("evaluate", workdir), ("sample", workdir, "--length=100000000")):
        process = Command(*command)
        time.sleep(4)
        code, said = process.when(text, signal.SIGTERM, signal.SIGTERM).end()
        assert code in ENDED, said
