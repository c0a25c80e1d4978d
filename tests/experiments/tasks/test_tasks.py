"""What every task must do with any cell: train, evaluate, sample, go on where it was."""

from __future__ import annotations

import importlib
import itertools
import json
import random
import shutil

import jax
import numpy as np
import pytest
import scipy.io

import lstm_jax as lj
from experiments import command_line
from experiments.config import flatten, resolve
from experiments.evaluate import evaluate
from experiments.mesh import Part
from experiments.sample import sample
from experiments.tasks import TASKS
from experiments.training.loop import fit
from experiments.training.step import init_state, make_train_step

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "that", "fat", "rat", "eat"]
SUFFIXES = {"translation": ("de", "en"), "summarise": ("body", "summary")}
READ_VECTORS = sorted(lj.CELLS.keys() - {"conv_lstm"})
ALIKE = ("handwriting", "pixels", "speech", "word_lm")  # their models are others' too
SAMPLED = (  # they share all code but their samples with temporal_order
    *("adding", "adding_bai2018", "copy_memory", "multiplication"),
    *("noise_free_lag", "reber", "two_sequence"),
)
OWN = sorted(TASKS.keys() - SAMPLED)
ONE_BY_ONE = [pytest.param(name, marks=pytest.mark.slow) for name in SAMPLED]
PAIRS = [
    *itertools.product(sorted(TASKS.keys() - {*ALIKE, *SAMPLED}), READ_VECTORS),
    *itertools.product((*ALIKE, *SAMPLED), ("gru",)),
    *itertools.product(ALIKE, ("lstmp",)),
    ("video", "conv_lstm"),
]
READS_TEXT = ("char_lm", "word_lm", "cloze")


def sentence(rng, words):
    return " ".join(rng.choices(WORDS, k=words)) + " ."


def write_data(name, directory):
    """What a task reads, small; returns its path, None where the task makes its own data."""
    rng = random.Random(5)
    if name in READS_TEXT:
        path = directory / "text.txt"
        path.write_text("".join(sentence(rng, rng.randint(3, 9)) + "\n" for _ in range(90)))
        return path
    if name in SUFFIXES:
        for split, count in (("train", 40), ("valid", 9), ("test", 8)):
            texts = [sentence(rng, rng.randint(2, 8)) for _ in range(count)]
            for suffix, change in zip(SUFFIXES[name], (str.upper, str), strict=True):
                lines = "".join(change(text) + "\n" for text in texts)
                (directory / f"{split}.{suffix}").write_text(lines)
        return directory
    if name == "music":
        pieces = {key: np.empty((1, 9), object) for key in ("traindata", "validdata", "testdata")}
        for number, split in enumerate(pieces.values()):
            chords = np.random.default_rng(number).random((9, 12, 5)) < 0.3
            chords[..., 0] |= ~chords.any(axis=-1)  # silence from the start has no layer norm
            split[0, :] = [*chords.astype(np.uint8)]
        scipy.io.savemat(directory / "pieces.mat", pieces)
        return directory / "pieces.mat"
    return None


def tiny(name, directory, **overrides):
    """A task's configuration in mode tiny, on data of its own in a directory."""
    config = importlib.import_module(f"configs.{name}").get_config()
    config.mode = "tiny"
    changes = {"train.checkpoint_every": 2, "model.dropout": 0.2, "optimizer.warmup_steps": 0}
    changes |= overrides
    if (path := write_data(name, directory)) is not None:
        changes["task.path"] = str(path)
    return resolve(config, changes)


class Copied:
    """Batches; after some number of them, the run's directory is copied, as a kill would leave it.

    Fields: the batches, how many are left until then, the directory and where its copy goes.
    """

    def __init__(self, batches, left, directory, copy):
        self._batches, self._left, self._paths = batches, left, (directory, copy)
        self.get_state, self.set_state = batches.get_state, batches.set_state

    def __next__(self):
        if self._left == 0:
            shutil.copytree(*self._paths)
        self._left -= 1
        return next(self._batches)


def run_in_two_parts(name, cell, tmp_path):
    """Trains at one go, and goes on from its middle; the two must be equal to the bit."""
    config = tiny(name, tmp_path, **{"cell.name": cell})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    (whole / "config.json").write_text(json.dumps(config.to_dict()))
    task, half = command_line.build_task(config), config.train.steps // 2 + 1
    copied = task._replace(
        train_batches=lambda part: Copied(task.train_batches(part), half, whole, parts)
    )
    expected = fit(copied, config, whole)
    assert [*parts.glob("checkpoints/[0-9]*")] and not (parts / "results.json").exists()
    got = fit(command_line.build_task(config), config, parts)
    assert (parts / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
    assert got["members"] == expected["members"]
    return config, whole, expected


@pytest.mark.parametrize("name", [*OWN, *ONE_BY_ONE])
def test_a_task_trains_evaluates_samples_and_goes_on(name, tmp_path):
    cell = "gru" if len(name) % 2 else "lstm"
    config, directory, results = run_in_two_parts(name, cell, tmp_path)
    assert results["headline"] in results["test"]
    assert all(np.isfinite(value["mean"]) for value in results["test"].values())
    assert evaluate(config, directory, "test") == [m["test"] for m in results["members"]]
    if command_line.build_task(config).sample is not None:
        sample(config, directory)
        assert [path for path in (directory / "samples").iterdir() if path.stat().st_size]


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_tasks_go_on_with_another_cell(name, tmp_path):
    run_in_two_parts(name, "peephole_lstm", tmp_path)


def advance(config):
    """One training step; which arrays of parameters it moved, none if a gradient is not finite."""
    task = command_line.build_task(config)
    state = init_state(task, config)
    before = jax.device_get(state.params)
    state, means = make_train_step(task, config)(state, next(task.train_batches(Part())))
    assert np.isfinite(jax.device_get(means["objective"].total)).all()
    moved = jax.tree.map(lambda old, new: bool((old != new).any()), before, state.params)
    return jax.tree.leaves(moved)


@pytest.mark.parametrize("cell", READ_VECTORS)
def test_every_cell_learns_to_predict_characters(cell, tmp_path):
    assert all(advance(tiny("char_lm", tmp_path, **{"cell.name": cell})))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cell"), PAIRS)
def test_every_cell_learns_in_every_task(name, cell, tmp_path):
    assert any(advance(tiny(name, tmp_path, **{"cell.name": cell})))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"cell.layers": 2, "model.residual": True, "cell.name": "gru", "model.zoneout": 0.2},
        {"cell.name": "lstmp", "cell.projection_size": 3, "model.drop_connect": 0.3},
        {
            "cell.dtype": "bfloat16",
            "model.variational_inputs": 0.2,
            "model.variational_recurrent": 0.2,
        },
    ],
    ids=lambda changes: "-".join(changes).replace(".", "_"),
)
@pytest.mark.parametrize("name", OWN)
def test_stacks_projections_and_regularizers_work_in_every_task(name, changes, tmp_path):
    masks = any("variational" in field or "drop_connect" in field for field in changes)
    attention = {"task.attention": "luong"} if masks and name == "captioning" else {}
    assert any(advance(tiny(name, tmp_path, **changes, **attention)))


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_field_of_a_task_has_a_rule(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    fields = {f"task.{field}" for field in flatten(config.task.to_dict())} - {"task.name"}
    assert fields == set(command_line.TASK_FIELDS[name])
