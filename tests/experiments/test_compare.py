"""Comparing cells: fair sizes, one table, nothing trained twice."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest

from experiments import command_line
from experiments.compare import cell_config, compare, markdown, matching_size, rows
from experiments.config import ConfigError
from experiments.evaluate import evaluate
from experiments.train import describe, train
from experiments.training.loop import load_best
from tests.experiments.conftest import toy_task


@pytest.fixture
def toy(config, monkeypatch):
    """A comparison of two names over the toy task, whose network ignores the cell."""
    monkeypatch.setitem(command_line.TASKS, "toy", toy_task)
    config.task = {"name": "toy"}
    config.cells = ("lstm", "gru")
    return config


def test_trains_each_cell_once(toy, tmp_path):
    toy.seeds = 2
    found = compare(toy, tmp_path)
    assert list(found) == ["lstm", "gru"]
    for name, result in found.items():
        assert result == json.loads((tmp_path / name / "results.json").read_text())
        assert result["cell"] == name
    assert (tmp_path / "curves.png").stat().st_size > 5000
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/results.json")}
    assert compare(toy, tmp_path) == found
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/results.json")}

    (tmp_path / "gru" / "results.json").unlink()
    again = compare(toy, tmp_path)
    assert again["gru"]["test"] == found["gru"]["test"]
    assert again["lstm"] == found["lstm"]


def scored_task(config):
    """The toy task with a score, the sum of all parameters, and what another model has of it."""

    def score(params, split):
        return {f"{split}_sum": float(sum(leaf.sum() for leaf in jax.tree.leaves(params)))}

    return toy_task(config)._replace(
        headline="test_sum",
        score=score,
        baselines=lambda: {"nothing": {"test_sum": 0.25}, "dear": {"squared_error": 9.0}},
    )


def test_scores_and_baselines_stand_beside_the_metrics(toy, tmp_path, monkeypatch):
    monkeypatch.setitem(command_line.TASKS, "toy", scored_task)
    toy.seeds, toy.train.steps = 2, 12
    found = compare(toy, tmp_path)
    for name, result in found.items():
        state = load_best(scored_task(toy), cell_config(toy, name), tmp_path / name)
        sums = sum(np.asarray(p).reshape(2, -1).sum(1) for p in jax.tree.leaves(state.best_params))
        scores = [member["test"]["test_sum"] for member in result["members"]]
        np.testing.assert_allclose(scores, sums, rtol=1e-5)
        assert sums[0] != pytest.approx(sums[1], rel=1e-3)
        valid = evaluate(cell_config(toy, name), tmp_path / name, "valid")
        assert [member["valid_sum"] for member in valid] == scores
    table = rows(found)
    assert [line[0] for line in table] == ["cell", "lstm", "gru", "nothing"]
    assert table[0][2] == "test sum"
    assert table[-1] == ["nothing", "", "0.2500", "", ""]
    told = describe(found["lstm"])
    assert "of the steps' time waiting for data" in told
    assert told.splitlines()[2:] == ["nothing: test_sum 0.2500", "dear: squared_error 9.0000"]


def test_another_configuration_is_refused(toy, tmp_path):
    toy.train.steps = 1
    compare(toy, tmp_path)
    toy.train.steps = 2
    with pytest.raises(ConfigError, match=r"\(config.train.steps was 1, now 2\); choose another"):
        compare(toy, tmp_path)


def test_a_mistake_leaves_nothing_behind(toy, tmp_path, monkeypatch):
    def refuse(config):
        raise ConfigError("config.task.path cannot be read")

    monkeypatch.setitem(command_line.TASKS, "toy", refuse)
    for command in (compare, train):
        with pytest.raises(ConfigError, match="cannot be read"):
            command(toy, tmp_path)
    assert not list(tmp_path.iterdir())


def test_matching_parameters(toy):
    wanted = 5 * 33 + 1  # of a network with 33 units: 5 H + 1
    assert matching_size(toy, wanted) == 33
    assert matching_size(toy, wanted + 2) == 33
    assert matching_size(toy, wanted + 3) == 34
    assert matching_size(toy, 1) == 1
    toy.cell.heads = 5
    assert matching_size(toy, 5 * 40 + 1 + 12) == 40
    assert matching_size(toy, 5 * 40 + 1 + 13) == 45
    toy.cell.heads = None
    toy.cell.hidden_size = 9
    toy.compare.match = "parameters"
    assert cell_config(toy, "gru").cell.hidden_size == 9


@pytest.mark.parametrize(
    ("cells", "message"),
    [((), "config.cells is empty"), (("lstm", "grv"), "config.cells is 'grv'.*did you mean 'gru'")],
)
def test_cells_that_cannot_be_compared(toy, tmp_path, cells, message):
    toy.cells = cells
    with pytest.raises(ConfigError, match=message):
        compare(toy, tmp_path)


def test_table():
    def result(value, solved):
        return {
            "headline": "right_fraction",
            "baselines": {},
            "test": {"right_fraction": {"mean": value, "sd": 0.25}},
            "parameters": 1234,
            "steps_per_second": 12.34,
            "seconds": {"total": 98.7},
            "members": [{"solved_at": s} for s in solved],
        }

    found = {"rnn": result(0.125, [None, None]), "gru": result(0.75, [3000, None])}
    assert rows(found) == [
        ["cell", "parameters", "right fraction", "solved after", "steps/s", "seconds"],
        ["rnn", "1,234", "0.1250 ± 0.2500", "never", "12.3", "99"],
        ["gru", "1,234", "0.7500 ± 0.2500", "3,000 (1 of 2)", "12.3", "99"],
    ]
    assert markdown(found).splitlines()[1] == "| --- | ---: | ---: | ---: | ---: | ---: |"
