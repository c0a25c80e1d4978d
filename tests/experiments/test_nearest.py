"""Which one was meant: names, fields, files and runs that are nearly there."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs import default
from experiments.command_line import trained
from experiments.config import ConfigError, flatten
from experiments.nearest import CONFIGS, config_hint, field_hint, hint, path_hint, run_hint
from tests.experiments.conftest import toy_task

FIELDS = flatten(default.get_config().to_dict())


@pytest.mark.parametrize(
    ("came", "meant"),
    [("lstn", "'lstm'"), ("LSTM", "'lstm'"), ("Peephole-LSTM", "'peephole_lstm'"), ("xyz", None)],
)
def test_a_name_capitals_aside(came, meant):
    said = hint(came, ["gru", "lstm", "peephole_lstm"])
    assert said == (f"; did you mean {meant}?" if meant else "")


def test_a_choice_keeps_its_capitals():
    assert hint("gdp", ["GDP", "Close"]) == "; did you mean 'GDP'?"


@pytest.mark.parametrize(
    ("came", "meant"),
    [
        ("train.stps", ["train.steps"]),
        ("hidden_sise", ["cell.hidden_size"]),
        ("learning_rate", ["optimizer.learning_rate", "study.learning_rate"]),
        ("modl.dropout", ["model.dropout"]),
        ("xyz", []),
    ],
)
def test_a_field_may_lack_its_group(came, meant):
    asked = " or ".join(f"'{name}'" for name in meant)
    assert field_hint(came, FIELDS) == (f"; did you mean {asked}?" if meant else "")


def test_a_mode_s_own_fields_are_not_meant():
    known = ["modes.tiny.train.steps", "train.steps"]
    assert field_hint("steps", known) == "; did you mean 'train.steps'?"


def test_a_path_is_mended_where_it_ends(tmp_path):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "my_book.txt").touch()
    meant = f"; did you mean '{tmp_path / 'books' / 'my_book.txt'}'?"
    for came in ("books/my_bok.txt", "books/my_book", "boks/my_book.txt", "Books/my_book.txt"):
        assert path_hint(tmp_path / came) == meant
    for came in ("books/my_book.txt", "books", "books/xyz", "books/my_book.txt/a"):
        assert path_hint(tmp_path / came) == ""


def test_a_path_may_be_relative(tmp_path, monkeypatch):
    (tmp_path / "prices.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert path_hint(Path("price.csv")) == "; did you mean 'prices.csv'?"
    assert path_hint(Path("../nowhere_at_all/price.csv")) == ""


def test_a_config_file_by_any_of_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    for came in ("char_lm", "configs/char_lm", "char_lm.py", "configs/charlm.py", "a/Char_LM.py"):
        assert config_hint(came) == "; did you mean 'configs/char_lm.py'?"
    assert config_hint("pixel:permuted") == "; did you mean 'configs/pixels.py:permuted'?"
    assert config_hint("xyz.py") == config_hint("configs/__init__") == ""
    monkeypatch.chdir(tmp_path)
    assert config_hint("configs/char_lm.py") == f"; did you mean '{CONFIGS / 'char_lm.py'}'?"
    (tmp_path / "char_lm_of_mine.py").touch()
    assert config_hint("char_lm_of_min.py") == "; did you mean 'char_lm_of_mine.py'?"


@pytest.fixture
def runs(tmp_path):
    """A run, and a comparison of two."""
    for name in ("text", "music", "music/gru", "music/lstm"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
    (tmp_path / "text" / "checkpoints").mkdir()
    return tmp_path


def test_a_run_beside_above_and_inside(runs):
    assert run_hint(runs / "txt") == f"; did you mean '{runs / 'text'}'?"
    assert run_hint(runs / "text" / "checkpoints") == f"; did you mean '{runs / 'text'}'?"
    inside = f"{runs / 'music' / 'gru'}, {runs / 'music' / 'lstm'}"
    assert run_hint(runs / "music") == f"; the runs inside are {inside}"
    assert run_hint(runs) == f"; the runs inside are {runs / 'music'}, {runs / 'text'}"
    assert run_hint(runs / "text") == run_hint(runs / "xyz") == ""
    assert run_hint(runs / "nowhere" / "text") == ""


def test_a_comparison_has_no_state_of_its_own(runs, config):
    with pytest.raises(ConfigError, match=f"/music holds no checkpoint; the runs .*{runs}/music/g"):
        trained(toy_task(config), config, runs / "music")
    with pytest.raises(ConfigError, match="/text holds no checkpoint; train there first$"):
        trained(toy_task(config), config, runs / "text")


def test_a_workdir_that_is_nearly_there(forks, runs):
    for command in ("sample", "evaluate", "train"):
        code, _, said = forks(command, f"--workdir={runs / 'txt'}")
        assert code == 2
        assert said == (
            f"error: {runs / 'txt'} holds no run (no config.json), and --config is missing;"
            f" did you mean '{runs / 'text'}'?\n"
        )


def test_of_many_runs_some_are_named(tmp_path):
    for number in range(20):
        (tmp_path / f"run_{number:02}").mkdir()
        (tmp_path / f"run_{number:02}" / "config.json").touch()
    assert run_hint(tmp_path).endswith(f"{tmp_path / 'run_07'}, ...")
