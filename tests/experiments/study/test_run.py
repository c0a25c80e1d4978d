"""A whole study: every population on some device, once; and what it says when cut short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiments import command_line, signals
from experiments.config import ConfigError
from experiments.study import __main__ as command
from experiments.study import population, search
from experiments.study.gather import gather
from experiments.study.run import directory_of, run
from tests.experiments.conftest import toy_task

ROOT = Path(__file__).parents[3]


@pytest.fixture
def studied(config, monkeypatch):
    monkeypatch.setitem(command_line.TASKS, "toy", toy_task)
    config.task.name = "toy"
    config.cells = ("lstm", "rnn")
    config.train.update(steps=6, eval_every=2, log_every=2)
    config.study.update(trials=3, hidden_size=(2, 4), sizes=2, best=2)
    return config


def test_every_trial_is_trained_once(studied, tmp_path, capsys):
    run(studied, tmp_path)
    study = gather(studied, tmp_path)
    assert [o.trial for o in study.outcomes] == sorted(search.draw(studied))
    best = [min(value for _, value in outcome.curve) for outcome in study.outcomes]
    np.testing.assert_allclose([o.validation for o in study.outcomes], best, rtol=1e-6)
    assert (study.reference, study.metric, study.best) == ("lstm", "squared_error", 2)
    assert not study.higher_is_better
    assert study.planned == {"lstm": 3, "rnn": 3}
    assert set(study.ranges) == {"hidden_size", "learning_rate", "momentum", "input_noise"}
    assert study.logarithmic == {"hidden_size", "learning_rate", "momentum"}
    assert "of 6 trials" in capsys.readouterr().out
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    run(studied, tmp_path)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert stamps == after


def test_a_lost_population_is_trained_again_and_the_report_says_what_lacks(
    studied, tmp_path, capsys
):
    run(studied, tmp_path)
    whole = gather(studied, tmp_path)
    lost = search.populations(studied, search.draw(studied))[0]
    (directory_of(tmp_path, lost) / "outcomes.json").unlink()
    command.report(studied, tmp_path)
    assert f"{6 - len(lost.trials)} of 6" in (tmp_path / "report" / "table.md").read_text()
    assert "report.html" in capsys.readouterr().out
    run(studied, tmp_path)
    again = gather(studied, tmp_path)
    for old, new in zip(whole.outcomes, again.outcomes, strict=True):
        assert old.trial == new.trial
        np.testing.assert_allclose(old.curve, new.curve, rtol=1e-6)


def test_an_interrupted_study_goes_on(studied, tmp_path, monkeypatch):
    monkeypatch.setattr(signals._Inbox, "received", True)
    with pytest.raises(signals.Interrupted):
        run(studied, tmp_path)
    assert not gather(studied, tmp_path).outcomes
    monkeypatch.setattr(signals._Inbox, "received", False)
    run(studied, tmp_path)
    assert len(gather(studied, tmp_path).outcomes) == 6


def test_a_failure_ends_the_study_with_its_message(studied, tmp_path, monkeypatch):
    def fail(*_):
        raise ConfigError("the disk is a teapot")

    monkeypatch.setattr(population, "train", fail)
    with pytest.raises(ConfigError, match="teapot"):
        run(studied, tmp_path)


def start(*arguments):
    line = [sys.executable, "-m", "experiments.study", *arguments]
    return subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_the_command_survives_a_kill_and_uses_all_devices(tmp_path):
    options = ("--config=configs/study_quick.py", "--config.mode=tiny", f"--workdir={tmp_path}")
    options += ("--config.cells=gru,rnn",)
    first = start(*options)
    while first.poll() is None and not [*tmp_path.glob("populations/*/checkpoints/[0-9]*")]:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    report = start("--report", f"--workdir={tmp_path}")
    out, err = report.communicate()
    assert report.returncode == 0, err
    second = start(*options)
    out, err = second.communicate()
    assert second.returncode == 0, err
    outcomes = [json.loads(p.read_text()) for p in tmp_path.glob("populations/*/outcomes.json")]
    assert sum(len(found["outcomes"]) for found in outcomes) == 4
    assert "Take " in out or "recommended" in out
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
    other = start(*options, "--config.study.trials=3")
    assert "config.study.trials was 2, now 3" in other.communicate()[1]
    assert other.returncode == 2


@pytest.mark.slow
def test_mistakes_are_told_before_anything_is_written(tmp_path):
    for option, message in [
        ("--config.study.learning_rate=()", "config.study.learning_rate is (), it must be"),
        ("--config.cells=lstn", "did you mean 'lstm'?"),
        ("--config.task.path=absent.csv", "absent.csv"),
    ]:
        done = start("--config=configs/study_quick.py", f"--workdir={tmp_path / 'new'}", option)
        error = done.communicate()[1]
        assert done.returncode == 2 and message in error, error
        assert not (tmp_path / "new").exists()
    assert os.listdir(tmp_path) == []
