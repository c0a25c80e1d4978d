"""Configurations: precedence, checks in one sentence, what is built from them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lstm_jax as lj
from configs import default, temporal_order
from experiments.config import (
    ConfigError,
    differences,
    flatten,
    make_cell,
    make_network,
    make_schedule,
    members,
    read_json,
    resolve,
    to_json,
)
from experiments.fields import FIELDS
from experiments.training.results import write_json


def test_the_users_word_comes_last():
    config = temporal_order.get_config()
    assert resolve(config).cell.hidden_size == 64
    config.mode = "tiny"
    assert resolve(config).cell.hidden_size == 8
    config.cell.hidden_size = 5
    resolved = resolve(config, {"cell.hidden_size": 5})
    assert (resolved.cell.hidden_size, resolved.task.length) == (5, 10)
    assert "modes" not in resolved
    with pytest.raises(AttributeError):
        resolved.optimizer.learning_rat = 1.0


def test_cells_may_come_in_one_word():
    config = default.get_config()
    config.cells = ("lstm,gru", "rnn")
    assert resolve(config).cells == ("lstm", "gru", "rnn")


@pytest.mark.parametrize(
    ("group", "field", "value", "message"),
    [
        (None, "mode", "tinny", "config.mode is 'tinny', choose one of .* did you mean 'tiny'"),
        (None, "seed", 2**31, r"config.seed is 2147483648, it must be an integer in \[0, 2000"),
        (None, "cells", ("gru", 3), "config.cells is .*3.*, it must be a tuple of names"),
        (None, "data_dir", "a\0b", r"config.data_dir is 'a\\x00b', it must be None or printable"),
        (None, "train", {"steps": 3}, "config.train.batch_size is missing, it must be an integer"),
        ("train", "eval_every", 0, r"config.train.eval_every is 0, it must be an integer in \[1"),
        ("train", "steps", -1, "config.train.steps is -1, it must be an integer"),
        ("train", "steps", True, "config.train.steps is True, it must be an integer"),
        ("train", "bad_steps", 0, "config.train.bad_steps is 0"),
        ("train", "spike", -1.0, "config.train.spike is -1.0, it must be a number of at least 0"),
        ("train", "stop_at", float("nan"), "config.train.stop_at is nan"),
        ("cell", "hidden_size", 0, "config.cell.hidden_size is 0"),
        ("cell", "chrono", 2, "config.cell.chrono is 2, it must be 0 or an integer in"),
        ("cell", "dtype", "int8", "config.cell.dtype is 'int8', it must be None or one of"),
        ("model", "zoneout", 1.0, r"config.model.zoneout is 1.0, it must be a number in \[0, 1\)"),
        ("model", "dropout", None, "config.model.dropout is None"),
        ("optimizer", "learning_rate", 0.0, "config.optimizer.learning_rate is 0.0"),
        ("optimizer", "learning_rates", (0.1, float("inf")), "learning_rates is .*inf.* positive"),
        ("optimizer", "name", "adan", "config.optimizer.name is 'adan'.* did you mean 'adam'"),
        ("mesh", "data", 0, "config.mesh.data is 0, it must be -1 or an integer"),
        ("compare", "match", "size", "config.compare.match is 'size'"),
    ],
)
def test_values_out_of_range(group, field, value, message):
    config = default.get_config()
    (config[group] if group else config)[field] = value
    with pytest.raises(ConfigError, match=message):
        resolve(config)


def test_every_shared_field_has_a_rule():
    known = flatten(default.get_config().to_dict())
    assert set(FIELDS) == set(known)
    assert all(rule.holds(known[field]) for field, rule in FIELDS.items())


def test_overrides_of_the_wrong_type_and_place():
    for overrides in ({"train.steps": "many"}, {"cells[0]": "gru"}, {"tarin.steps": 3}):
        (field,) = overrides
        with pytest.raises(ConfigError, match=rf"^config\.{re.escape(field)}: \w+"):
            resolve(default.get_config(), overrides)


def test_a_mode_with_an_unknown_field():
    config = default.get_config()
    config.modes.quick = {"train": {"stepps": 3}}
    with pytest.raises(ConfigError, match="config.modes.quick: .*stepps"):
        resolve(config)


def test_cells_take_the_options_that_are_set():
    config = default.get_config()
    config.cell.update(hidden_size=7, use_bias=False, peepholes="diagonal")
    assert make_cell(config) == lj.lstm(7, use_bias=False, peepholes="diagonal")
    config.cell.peepholes = "none"
    assert make_cell(config) == lj.lstm(7, use_bias=False, peepholes=False)
    config.cell.update(hidden_size=8, heads=2)
    assert make_cell(config) == lj.lstm(8, use_bias=False, heads=2)
    config.cell.heads = 3
    with pytest.raises(ConfigError, match="config.cell: lstm: heads is 3, which does not divide"):
        make_cell(config)
    config.cell.update(name="min_gru", peepholes=None, heads=2)
    with pytest.raises(ConfigError, match="config.cell.heads is set, but the cell 'min_gru' has"):
        make_cell(config)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lstm", lambda: lj.lstm(7, forget_bias=lj.chrono(50))),
        ("gru", lambda: lj.gru(7, update_bias=lj.chrono(50))),
        ("rnn", lambda: lj.rnn(7)),
    ],
)
def test_chrono_sets_the_bias_that_a_cell_has(name, expected):
    config = default.get_config()
    config.cell.update(name=name, hidden_size=7, chrono=50)
    assert make_cell(config) == expected()


def test_a_constructor_of_ones_own_needs_no_options(monkeypatch):
    monkeypatch.setitem(lj.CELLS, "own", lambda size: lj.gru(size, update_bias=0.5))
    config = default.get_config()
    config.cell.update(name="own", hidden_size=7, chrono=50)
    assert make_cell(config) == lj.gru(7, update_bias=0.5)
    config.cell.use_bias = False
    with pytest.raises(ConfigError, match="config.cell.use_bias is set, but the cell 'own' has"):
        make_cell(config)


def test_unknown_cells_and_options():
    config = default.get_config()
    config.cell.name = "lstn"
    with pytest.raises(ConfigError, match="config.cell.name is 'lstn'.* did you mean 'lstm'"):
        make_cell(config)
    config.cell.update(name="gru", peepholes="diagonal")
    with pytest.raises(ConfigError, match="config.cell.peepholes is set, but the cell 'gru' has"):
        make_cell(config)
    config.cell.update(name="gru", peepholes=None, forget_bias=3.0, update_bias=-2.0)
    assert make_cell(config) == lj.gru(128, update_bias=-2.0)
    config.cell.update(name="lstm", peepholes="sideways")
    with pytest.raises(ConfigError, match="config.cell: .*sideways"):
        make_cell(config)


def test_networks_are_stacks_of_regularized_cells():
    config = default.get_config()
    config.cell.hidden_size = 7
    config.model.update(zoneout=0.1, drop_connect=0.2, variational_inputs=0.3, dropout=0.4)
    cell = lj.variational_dropout(lj.lstm(7), inputs=0.3, recurrent=0.0)
    cell = lj.zoneout(lj.drop_connect(cell, 0.2), 0.1)
    assert make_network(config) == cell
    config.cell.layers = 2
    assert make_network(config) == lj.stack(cell, cell, dropout=0.4, residual=False)


def test_a_cell_that_reads_frames_is_for_tasks_with_frames():
    config = default.get_config()
    config.cell.update(name="conv_lstm", hidden_size=3, image_size=(4, 5), kernel_size=1)
    wanted = lj.conv_lstm(3, image_size=(4, 5), kernel_size=1)
    assert make_network(config, frames=True) == wanted
    with pytest.raises(ConfigError, match="'conv_lstm', which reads frames, .* 'temporal_order'"):
        make_network(config)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0, 0.5, 1, 1, 1]),
        ("linear", [0, 0.5, 1, 0.55, 0.1]),
        ("cosine", [0, 0.5, 1, 0.55, 0.1]),
    ],
)
def test_schedules(schedule, expected):
    config = default.get_config()
    config.train.steps = 20
    config.optimizer.update(schedule=schedule, warmup_steps=10, final_fraction=0.1)
    shape = make_schedule(config)
    np.testing.assert_allclose([shape(s) for s in (0, 5, 10, 15, 20)], expected, atol=1e-6)


def test_unknown_schedule():
    config = default.get_config()
    config.optimizer.schedule = "cosin"
    with pytest.raises(ConfigError, match=r"config.optimizer.schedule.*did you mean 'cosine'"):
        make_schedule(config)


def test_members_are_seeds_times_learning_rates():
    config = default.get_config()
    config.update(seed=3, seeds=2)
    assert [m[:2] for m in members(config)] == [(3, 1e-3), (4, 1e-3)]
    config.optimizer.learning_rates = (0.1, 0.2)
    assert [m[:2] for m in members(config)] == [(3, 0.1), (4, 0.1), (3, 0.2), (4, 0.2)]


def test_a_stored_configuration_comes_back(tmp_path):
    config = temporal_order.get_config()
    config.cells = ("lstm", "gru")
    config = resolve(config)
    write_json(tmp_path / "config.json", to_json(config))
    again = read_json(tmp_path / "config.json")
    assert again.to_dict() == config.to_dict()
    changed = config.copy_and_resolve_references().unlock()
    changed.cell.hidden_size = 65
    assert differences(to_json(config), to_json(changed)) == [
        "config.cell.hidden_size was 64, now 65"
    ]


@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_a_stored_configuration_that_is_damaged(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"config.json holds no configuration \("):
        read_json(tmp_path / "config.json")
