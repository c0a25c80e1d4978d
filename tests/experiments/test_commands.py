"""The commands as a user runs them: one line for a mistake, and a run that goes on by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert "is complete" in again.stdout
    other = run("train", *TINY, workdir, "--config.seeds=3")
    assert other.returncode == 2
    assert "config.seeds was 2, now 3" in other.stderr

    sampled = run("sample", workdir)
    assert sampled.returncode == 2
    assert sampled.stderr == "error: the task 'temporal_order' has nothing to sample\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (CONFIG, "--config.train.stps=3"),
            "config.train.stps: there is no such field; did you mean config.train.steps?",
        ),
        ((CONFIG, "--config.train.steps=many"), "flag --config.train.steps=many: invalid literal"),
        ((CONFIG, "--config.mode=huge"), "config.mode is 'huge', choose one of full, quick, tiny"),
        ((CONFIG, "--config.cell.name=lstn"), "did you mean 'lstm'?"),
        (("--config=configs/absent.py",), "--config: there is no file configs/absent.py"),
        (("--config.seeds=2",), "--config.seeds needs a --config before it"),
        ((), "--config is missing"),
        ((CONFIG, "--seed=2"), "Unknown command line flag 'seed'"),
    ],
)
def test_mistakes_end_with_one_line(tmp_path, arguments, message):
    failed = run("train", *arguments, f"--workdir={tmp_path}")
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    assert message in failed.stderr


@pytest.mark.slow
def test_help_helps():
    shown = run("compare", "--help").stdout
    for text in ("Train several cells", "--workdir", "--config", "python -m experiments.compare"):
        assert text in shown
