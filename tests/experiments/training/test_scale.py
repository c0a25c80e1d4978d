"""The commands over several devices and processes: the run of one device, spread out."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time

import jax
import numpy as np
import pytest

from experiments import command_line, signals
from experiments.config import read_json
from experiments.task import identity
from experiments.training import checkpoints
from experiments.training.results import read_metrics
from experiments.training.step import abstract_state
from tests.experiments.command import Command, outcome

pytestmark = pytest.mark.slow
TEXT = "".join(np.random.default_rng(0).choice(list("abcdefg "), 9000))


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """A recurrent state that is carried on, dropout and two seeds."""
    text = tmp_path_factory.mktemp("data") / "text"
    text.write_text(TEXT)
    return (
        "--config=configs/char_lm.py",
        "--config.mode=tiny",
        f"--config.task.path={text}",
        "--config.cell.hidden_size=16",
        "--config.model.dropout=0.2",
        "--config.seeds=2",
        "--config.train.steps=60",
        "--config.train.eval_every=20",
        "--config.train.checkpoint_every=25",
    )


def train(*arguments, **environment):
    code, said = Command("train", *arguments, **environment).end()
    assert code == 0, said


@pytest.fixture(scope="module")
def one(options, tmp_path_factory):
    """The run on a single device."""
    workdir = tmp_path_factory.mktemp("one")
    train(*options, f"--workdir={workdir}")
    return workdir


def pair(*arguments, devices=1):
    """The command in two processes of one run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        Command(
            "train",
            *arguments,
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(index),
            XLA_FLAGS=f"--xla_force_host_platform_device_count={devices}",
        )
        for index in range(2)
    ]


def assert_equal_but_for_rounding(a, b):
    lines = [read_metrics(directory / "metrics.jsonl") for directory in (a, b)]
    for one, other in zip(*lines, strict=True):
        assert one.keys() == other.keys()
        assert one["split"] == other["split"]
        for name in one.keys() - {"split"}:
            assert other[name] == pytest.approx(one[name], rel=1e-3), (one, other)
    states = [params(directory) for directory in (a, b)]
    close = lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=2e-3)  # noqa: E731
    jax.tree.map(close, *states)


def params(directory):
    config = read_json(directory / "config.json").copy_and_resolve_references().unlock()
    config.mesh.data = config.mesh.model = 1
    task = command_line.build_task(config)
    like = abstract_state(task, config)
    state, _ = checkpoints.read(directory / "checkpoints", identity(task, config), like)
    return state.params


def test_eight_devices_are_one(options, one, tmp_path):
    eight, again = tmp_path / "eight", tmp_path / "again"
    for workdir in (eight, again):
        train(*options, "--config.mesh.data=8", f"--workdir={workdir}")
    assert_equal_but_for_rounding(one, eight)
    results = json.loads((eight / "results.json").read_text())
    assert (results["device_count"], results["config"]["mesh"]["data"]) == (8, 8)
    assert outcome(eight) == outcome(again)  # to the bit
    jax.tree.map(np.testing.assert_array_equal, params(eight), params(again))


def test_kernels_are_split_over_the_model_axis(options, one, tmp_path):
    four = tmp_path / "four"
    mesh = ("--config.mesh.data=2", "--config.mesh.model=2")
    train(*options, *mesh, f"--workdir={four}")
    assert_equal_but_for_rounding(one, four)


def test_two_processes_are_one_and_go_on_as_another_number(options, one, tmp_path):
    two, broken = tmp_path / "two", tmp_path / "broken"
    for process in pair(*options, "--config.mesh.data=-1", f"--workdir={two}"):
        code, said = process.end()
        assert code == 0, said
    assert_equal_but_for_rounding(one, two)
    assert not list(two.glob("**/*.damaged*"))

    slow = ("--config.train.steps=4000", "--config.optimizer.learning_rate=1e-4")
    line = (*options, *slow, "--config.train.checkpoint_every=2000", f"--workdir={broken}")
    processes = pair(*line, "--config.mesh.data=-1", devices=2)
    for process in processes:
        process.when(broken / "metrics.jsonl")
    for process in processes:
        process.when(broken / "metrics.jsonl", signal.SIGTERM)
    for process in processes:
        code, said = process.end()
        assert code == signals.EXIT_CODE, said
    (saved,) = (broken / "checkpoints").iterdir()
    assert 0 < int(saved.name) < 2000
    copy = tmp_path / "copy"
    shutil.copytree(broken, copy)
    for workdir, mesh in ((broken, "--config.mesh.data=4"), (copy, "--config.mesh.data=1")):
        process = Command("train", *line[:-1], mesh, f"--workdir={workdir}")
        lines = len(read_metrics(workdir / "metrics.jsonl"))
        while len(read_metrics(workdir / "metrics.jsonl")) < lines + 8:
            assert process.when(workdir / "metrics.jsonl")
            time.sleep(0.1)
        code, said = process.when(workdir / "metrics.jsonl", signal.SIGTERM).end()
        assert code == signals.EXIT_CODE, said
    first, second = (read_metrics(d / "metrics.jsonl") for d in (broken, copy))
    for mine, other in zip(first, second, strict=False):
        assert mine["step"] == other["step"]
        name = "bits_per_character"
        assert mine[name] == pytest.approx(other[name], rel=1e-3)
