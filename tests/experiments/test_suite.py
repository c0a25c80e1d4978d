"""Suites: several comparisons with one command, variants of a cell, overrides in their order."""

from __future__ import annotations

import importlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import command_line, suite
from experiments.compare import cell_config, compare
from experiments.config import ConfigError, make_cell, override, resolve
from experiments.tasks import TASKS
from tests.experiments.conftest import toy_task


def lagged_task(config):
    """The toy task, solved with every cell but the rnn, whose lag is a number of the config."""
    task = toy_task(config, solvable=config.cell.name != "rnn")
    facts = {"lag": config.task.length, "published": "5,040"}
    if config.cell.name == "rnn":
        task = task._replace(solved_at=lambda carry: jnp.zeros((), jnp.int32))
    return task._replace(facts=facts)


@pytest.fixture
def suited(config, monkeypatch):
    """Two experiments and two names, one a variant, over a toy task."""
    monkeypatch.setitem(command_line.TASKS, "lagged", lagged_task)
    config.task = {"name": "lagged", "length": 10}
    config.seeds, config.train.steps = 2, 12
    config.cells = ("rnn", "wide")
    config.compare.experiments = ("near", "far")
    config.variants = {"wide": {"cell": {"name": "gru", "hidden_size": 7}}}
    config.experiments = {
        "near": {"train": {"steps": 18}},
        "far": {"task": {"name": "lagged", "length": 100}, "cell": {"chrono": 100}},
    }
    return config


def test_every_cell_on_every_experiment(suited, tmp_path):
    found = suite.run(suited, tmp_path)
    assert list(found) == ["near", "far"]
    stored = {
        (name, cell): json.loads((tmp_path / name / cell / "results.json").read_text())
        for name in found
        for cell in ("rnn", "wide")
    }
    for (name, cell), result in stored.items():
        assert found[name][cell] == result
        got = result["config"]
        assert got["task"]["length"] == (100 if name == "far" else 10)
        assert got["cell"]["chrono"] == (100 if name == "far" else 0)
        assert got["train"]["steps"] == (18 if name == "near" else 12)
        wanted = ("gru", 7) if cell == "wide" else ("rnn", 4)
        assert (got["cell"]["name"], got["cell"]["hidden_size"]) == wanted
        assert not got["experiments"] and not got["variants"] and not got["cells"]
    assert suite.rows(found) == [
        ["experiment", "published", "rnn", "wide"],
        ["near", "5,040", "never", "10"],
        ["far", "5,040", "never", "10"],
    ]
    assert (tmp_path / "table.md").read_text().startswith("| experiment | published |")
    assert (tmp_path / "success.png").stat().st_size > 5000
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/results.json")}
    assert suite.run(suited, tmp_path) == found
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/results.json")}


def test_some_experiments_alone_and_metrics_where_nothing_is_solved(suited, tmp_path, monkeypatch):
    monkeypatch.setitem(command_line.TASKS, "lagged", toy_task)
    suited.compare.experiments = ("far",)
    found = suite.run(suited, tmp_path)
    assert list(found) == ["far"]
    value = found["far"]["wide"]["test"]["squared_error"]
    assert suite.rows(found)[1][3] == f"{value['mean']:.4f} ± {value['sd']:.4f}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compare.experiments": ("nera",)}, "compare.experiments is 'nera'.*did you mean 'near'"),
        ({"experiments.near": {"train": {"stepps": 1}}}, "config.experiments.near: .*stepps"),
        ({"variants.wide": {"cell": {"width": 1}}}, "config.variants.wide: .*width"),
        ({"experiments.near": {"train": {"steps": -1}}}, "config.train.steps is -1, it must be"),
        ({"cells": ("rnn", "wdie")}, "config.cells is 'wdie'.*did you mean 'wide'"),
    ],
)
def test_suites_that_cannot_be(suited, tmp_path, change, message):
    for field, value in change.items():
        *parents, last = field.split(".")
        node = suited
        for name in parents:
            node = node[name]
        node[last] = value
    with pytest.raises(ConfigError, match=message):
        suite.run(suited, tmp_path)
    assert not list(tmp_path.glob("*/*/metrics.jsonl"))


def test_an_override_of_the_task_replaces_it_and_others_are_merged(suited):
    own = override(suited, "x", {"task": {"name": "other"}, "train": {"steps": 5}})
    assert own.task.to_dict() == {"name": "other"}
    assert (own.train.steps, own.train.batch_size) == (5, suited.train.batch_size)
    assert suited.task.name == "lagged"


def test_a_variant_is_compared_without_experiments_too(suited, tmp_path):
    suited.experiments = {}
    assert list(compare(suited, tmp_path)) == ["rnn", "wide"]


def test_every_experiment_of_1997_is_in_the_suite_and_can_be_built():
    config = importlib.import_module("configs.long_lags").get_config()
    config.mode = "tiny"
    config = resolve(config)
    published = []
    for name in suite.names(config):
        for cell in config.cells:
            own = cell_config(suite.experiment(config, name), cell)
            make_cell(own)
        facts = TASKS[own.task.name](own).facts
        published += [facts["published"]] if facts["published"] else []
    assert published == [
        "8,440 to 39,740",
        *("5,040", "5,680", "30,000"),
        *("27,380", "41,740", "269,650"),
        *("74,000", "482,000", "31,390", "571,100"),
    ]


def test_the_cell_of_1997_squashes_as_then_and_begins_shut():
    config = resolve(importlib.import_module("configs.long_lags").get_config())
    cell = make_cell(cell_config(suite.experiment(config, "adding_4"), "lstm_1997"))
    assert "no_forget_lstm" in cell.name
    params = cell.init(jnp.zeros(2, jnp.uint32), 2)
    np.testing.assert_array_equal(params.bias[:16], -3)
