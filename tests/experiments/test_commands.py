"""The commands as a user runs them: one line for a mistake, and a run that goes on by itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from configs import default
from experiments import command_line, evaluate, sample, train
from experiments.config import ConfigError, resolve
from tests.experiments.conftest import toy_task

ROOT = Path(__file__).parents[2]
CONFIG = "--config=configs/temporal_order.py"
TINY = (CONFIG, "--config.mode=tiny", "--config.cell.hidden_size=3")


def run(command, *arguments):
    line = [sys.executable, "-m", f"experiments.{command}", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.slow
def test_train_evaluate_and_train_again(tmp_path):
    workdir = f"--workdir={tmp_path}"
    trained = run("train", *TINY, workdir, "--config.seeds=2")
    assert trained.returncode == 0, trained.stderr
    assert "lstm on temporal_order: step 5/20" in trained.stdout
    assert trained.stdout.endswith(f"\nnext: python -m experiments.inspect {workdir}\n")
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["steps"], results["seeds"]) == (20, [0, 1])
    assert results["config"]["cell"]["hidden_size"] == 3
    assert results["seconds"]["compile"] > 0
    for left in ("config.json", "metrics.jsonl", "curves.png", "tensorboard", "checkpoints"):
        assert (tmp_path / left).exists()

    evaluated = run("evaluate", workdir)
    assert evaluated.returncode == 0, evaluated.stderr
    for member in results["members"]:
        assert f"{member['test']['loss']:.4f}" in evaluated.stdout

    again = run("train", workdir)
    assert again.returncode == 0, again.stderr
    assert "is complete" in again.stdout and "next:" not in again.stdout
    other = run("train", *TINY, workdir, "--config.seeds=3")
    assert other.returncode == 2
    assert "config.seeds was 2, now 3" in other.stderr
    assert not other.stdout

    sampled = run("sample", workdir)
    assert sampled.returncode == 2
    assert sampled.stderr == "error: the task 'temporal_order' has nothing to sample\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (CONFIG, "--config.train.stps=3"),
            "config.train.stps: there is no such field; did you mean 'config.train.steps'?",
        ),
        ((CONFIG, "--config.train.steps=many"), "flag --config.train.steps=many: invalid literal"),
        ((CONFIG, "--config.mode=huge"), "config.mode is 'huge', choose one of full, quick, tiny"),
        ((CONFIG, "--config.cell.name=lstn"), "did you mean 'lstm'?"),
        ((CONFIG, "--config.task.name=temporal-oder"), "did you mean 'temporal_order'?"),
        (("--config=configs/xyz.py",), "--config: there is no file configs/xyz.py\n"),
        (
            ("--config", "charlm:x"),
            "--config: there is no file charlm; did you mean 'configs/char_lm.py:x'?",
        ),
        (
            ("--config=configs/pixels.py:rows", "--config.task.odrer=rows"),
            "config.task.odrer: there is no such field; did you mean 'config.task.order'?",
        ),
        (("--config=configs/pixels.py:permuted ",), "permuted, pixels, rows; did you mean 'perm"),
        (
            ("--config=configs/music.py:sixteenth",),
            "quarters, transposed, sixteenths; did you mean 'sixteenths'?",
        ),
        (("--config=configs/adding.py:rows",), "configs/adding.py has one recipe; leave :rows out"),
        (("--config=setup.cfg",), "there is no file setup.cfg"),
        (("--config=experiments/tables.py",), "experiments/tables.py has no get_config that"),
        ((CONFIG, "--config.cell=gru"), "config.cell is a group of fields; set them one by one"),
        (("--config.seeds=2",), "--config.seeds needs a --config before it"),
        ((), "--config is missing"),
        ((CONFIG, "--seed=2"), "--seed: there is no such flag; did you mean '--config.seed'?"),
        (("--workdr=x",), "--workdr: there is no such flag; did you mean '--workdir'?"),
        (("--xyz=x",), "--xyz: there is no such flag; --help lists them"),
        (("--workdir=README.md",), "--workdir: README.md is a file; name a directory"),
    ],
)
def test_mistakes_end_with_one_line(forks, tmp_path, arguments, message):
    code, _, said = forks("train", f"--workdir={tmp_path / 'run'}", *arguments)
    assert code == 2
    assert said.count("\n") == 1
    assert message in said
    assert not (tmp_path / "run").exists()


def test_a_directory_that_is_missing_is_asked_for(forks):
    code, _, said = forks("evaluate")
    assert code == 2
    assert said == "error: --workdir is missing; name the run's directory (--help has examples)\n"


@pytest.mark.slow
def test_a_diverged_run_says_how_to_compute_the_step_again(tmp_path):
    options = ("--config.optimizer.name=sgd", "--config.optimizer.clip_norm=0")
    line = (*TINY, *options, "--config.optimizer.learning_rate=9e37", "--config.train.bad_steps=2")
    failed = run("train", *line, f"--workdir={tmp_path}")
    assert failed.returncode == 1
    said = failed.stderr.splitlines()[-1]
    assert said.startswith("error: 2 steps in a row were skipped")
    flag = re.search(r"--config.debug.replay=(\S+);", said)
    again = run("train", CONFIG, f"--workdir={tmp_path}", flag[0].rstrip(";"))
    assert again.returncode == 0, again.stderr
    report = (Path(flag[1]) / "report.json").read_text()
    assert again.stdout == report


@pytest.mark.slow
def test_devices_that_do_not_fit_leave_nothing(tmp_path):
    mesh = ("--config.mesh.data=3", "--config.train.batch_size=8")
    failed = run("train", *TINY, *mesh, f"--workdir={tmp_path / 'run'}")
    assert failed.returncode == 2
    assert (
        "config.train.batch_size is 8, it must be a multiple of config.mesh.data" in failed.stderr
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["sample", "evaluate", "train"])
def test_without_a_run_there_is_nothing_to_take_up(forks, tmp_path, command):
    code, _, said = forks(command, f"--workdir={tmp_path / 'nowhere'}")
    assert code == 2
    assert said == (
        f"error: {tmp_path / 'nowhere'} holds no run (no config.json), and --config is missing;"
        " train there first, with --config\n"
    )


def test_the_next_step_is_what_the_task_has(config):
    task = toy_task(config)
    assert train.following(task) == "inspect"
    assert train.following(task._replace(sample=print)) == "sample"
    line = "next: python -m experiments.sample --workdir='my run'"
    assert command_line.next_step("sample", Path("my run")) == line


def test_an_option_of_another_task_is_refused(config, tmp_path, monkeypatch):
    task = toy_task(config)._replace(sample=lambda params, key, directory, prompt, length: None)
    monkeypatch.setattr(command_line, "build_task", lambda _: task)
    message = "^--bias is no option of the task '.*', which takes --length, --prompt, --seed$"
    with pytest.raises(ConfigError, match=message):
        sample.sample(config, tmp_path, bias=1.0, prompt="a")


def test_no_name_and_no_value_of_an_evaluation_is_cut(monkeypatch, capsys):
    """Of fifteen members, piped, where a line has 80 columns."""
    rng, names = np.random.default_rng(0), ["last_tenth_bits_per_character", "perplexity"]
    found = [dict(zip(names, rng.normal(1000, 100, 2), strict=True)) for _ in range(15)]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: found)
    monkeypatch.setattr(evaluate, "SPLIT", SimpleNamespace(value="valid"))
    changes = {"seeds": 5, "optimizer.learning_rates": (0.1, 0.001, 1e-05)}
    evaluate.main(resolve(default.get_config(), changes), Path())
    rows = [re.split(r" *[┃│] *", line)[1:-1] for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if row] == [
        ["seed", *"012340123401234"],
        ["learning rate", *["0.1"] * 5, *["0.001"] * 5, *["1e-05"] * 5],
        *([name, *(f"{values[name]:.4f}" for values in found)] for name in names),
    ]


@pytest.mark.parametrize(
    ("command", "texts"),
    [
        ("compare", ["Train several cells", "--workdir", "--config", "experiments.compare"]),
        (
            "sample",
            [
                "text to read, music to hear, pictures to look at",
                "the sentence to translate",
                "___ for each missing word",
                "the path of a picture",
                "At most so many symbols",
            ],
        ),
    ],
)
def test_help_helps(forks, command, texts):
    shown = " ".join(forks(command, "--help")[1].split())
    for text in texts:
        assert text in shown
