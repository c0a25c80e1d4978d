"""Random values and types in random fields, and random command lines: errors in one sentence."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from absl import flags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_collections import config_flags

from configs import adding, captioning, char_lm, music, temporal_order, translation, word_lm
from experiments import command_line
from experiments.config import ConfigError, flatten, resolve
from experiments.data import downloads
from experiments.training.step import abstract_state

ROOT = Path(__file__).parents[2]
CONFIGS = {
    "adding": adding,
    "captioning": captioning,
    "char_lm": char_lm,
    "music": music,
    "temporal_order": temporal_order,
    "translation": translation,
    "word_lm": word_lm,
}
GROUPS = ("cell", "model", "optimizer", "train", "task", "compare", "mesh", "debug", "modes")
QUICK, SLOW = 60, 1000

WORDS = ("", "lstm", "gru", "adamw", "cosine", "diagonal", "bfloat16", "tiny", "none", "parameters")
LIKE = {  # values of the type that a field has
    bool: st.booleans(),
    int: st.integers(-2, 40) | st.sampled_from((10**5, 10**9, 2**31, 2**32, 10**30, -(10**30))),
    float: st.floats(0, 1) | st.floats(),
    str: st.sampled_from((*WORDS, *CONFIGS)) | st.text(max_size=20),
    tuple: st.lists(st.sampled_from(WORDS) | st.floats(0, 1), max_size=3).map(tuple),
}
SCALARS = st.one_of(st.none(), st.just(10**400), *(LIKE[kind] for kind in (bool, int, float, str)))
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=3)
    | st.lists(SCALARS, max_size=3).map(tuple)
    | st.dictionaries(st.sampled_from(("name", "steps", "x")), SCALARS, max_size=2)
)


@st.composite
def overrides(draw):
    """A config's name and values for some of its fields, most of them of the right type."""
    name = draw(st.sampled_from(sorted(CONFIGS)))
    defaults = flatten(CONFIGS[name].get_config().to_dict())
    fields = st.lists(st.sampled_from(sorted(defaults)), min_size=1, max_size=3, unique=True)
    found = {f: draw(LIKE.get(type(defaults[f]), SCALARS)) for f in draw(fields)}
    if draw(st.integers(0, 2)) == 0:
        found[draw(st.sampled_from((*defaults, *GROUPS)))] = draw(VALUES)
    return name, found


@pytest.fixture
def pieces(tmp_path, monkeypatch):
    """No downloads: music is three splits of two short pieces, all else a few captions."""
    splits = {name: np.empty((1, 2), object) for name in ("traindata", "validdata", "testdata")}
    for split in splits.values():
        split[0, :] = [np.eye(5, 4, dtype=np.uint8), np.eye(6, 4, dtype=np.uint8)]
    scipy.io.savemat(tmp_path / "pieces.mat", splits)
    (tmp_path / "text").write_text("a man and a dog\n" * 30)
    monkeypatch.setattr(
        downloads,
        "locate",
        lambda data_set, *_: tmp_path / ("pieces.mat" if "music" in data_set.file else "text"),
    )


def attempt(name, changes):
    """Everything short of training; returns what was wrong, or None."""
    config = CONFIGS[name].get_config()
    config.mode = "tiny"
    try:
        config = resolve(config, changes)
        task = command_line.build_task(config)
        abstract_state(task, config)
    except ConfigError as error:
        return str(error)
    return None


def fuzz(examples):
    """Checks as many examples; returns the share of them that can be trained."""
    outcomes = []

    @settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
    )
    @given(overrides())
    def run(example):
        message = attempt(*example)
        outcomes.append(message is None)
        if message is not None:
            assert "config." in message and "\n" not in message

    run()
    assert len(outcomes) >= examples
    return np.mean(outcomes)


def test_random_values_are_taken_or_refused_in_one_sentence(pieces):
    assert 0.1 < fuzz(QUICK) < 0.6


@pytest.mark.slow
def test_many_random_values_are_taken_or_refused_in_one_sentence(pieces):
    assert 0.1 < fuzz(SLOW) < 0.6


BROKEN = {
    "syntax.py": "def get_config(:",
    "absent.py": "import absent_module",
    "nothing.py": "x = 1",
    "wrong.py": "def get_config():\n    return {'seed': 1}",
    "raises.py": "def get_config():\n    raise RuntimeError('two\\nlines')",
}
CONFIG = f"--config={ROOT / 'configs/temporal_order.py'}"
PIECES = (
    (CONFIG,),
    ("--config", str(ROOT / "configs/music.py")),
    ("--config",),
    ("--config=",),
    ("--config=absent.py",),
    (f"--config={ROOT / 'README.md'}",),
    (f"--config={ROOT}",),
    ("--config.train.steps=3",),
    ("--config.train.steps", "3"),
    ("--config.train.steps",),
    ("--config.train.stps=3",),
    ("--config.train={'steps': 3}",),
    ("--config.cells=lstm,gru", "--config.cells=rnn"),
    ("--config.cells[0]=lstm",),
    ("--config.cells=(((",),
    ("--config.model.residual",),
    ("--noconfig.model.residual",),
    ("--noconfig.train.steps",),
    ("--config.",),
    ("--configs=x",),
    ("--workdir=myconfig",),
    ("--workdir",),
    ("--undefok=x", "--x=1"),
    ("--",),
    ("here",),
    ("",),
)


@st.composite
def command_lines(draw):
    """Whole and broken arguments, in most cases after a --config."""
    fields = sorted(flatten(temporal_order.get_config().to_dict()))
    text = st.text(max_size=12) | LIKE[int].map(str) | LIKE[float].map(str) | LIKE[tuple].map(str)
    override = st.builds("--config.{}={}".format, st.sampled_from(fields), text).map(lambda a: (a,))
    parts = draw(st.lists(st.sampled_from(PIECES) | override | override, max_size=4))
    start = draw(st.sampled_from(((CONFIG,), (CONFIG,), (CONFIG,), ())))
    return [*start, *(argument for part in parts for argument in part)]


def read(arguments):
    """The exit code and stderr of reading a command line, as the commands do; code 0 if it went."""
    argv, values = ["train", *arguments], flags.FlagValues()
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    config_flags.DEFINE_config_file("config", None, "", flag_values=values, sys_argv=argv)
    with pytest.MonkeyPatch.context() as patch, io.StringIO() as said:
        patch.setattr(flags, "FLAGS", values)
        patch.setattr(sys, "stderr", said)
        try:
            command_line._parse(argv)
            command_line._config()
        except SystemExit as exit:
            return exit.code, said.getvalue()
        except ConfigError as error:  # what the commands' guard turns into a line
            return 2, f"error: {error}\n"
        return 0, said.getvalue()


def fuzz_command_lines(examples):
    """Reads as many command lines; returns the share of them that are right."""
    outcomes = []

    @settings(
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
    )
    @given(command_lines())
    def run(arguments):
        code, said = read(arguments)
        outcomes.append(code == 0)
        if code != 0:
            assert code == 2 and said.startswith("error: ") and said.count("\n") == 1

    run()
    assert len(outcomes) >= examples
    return np.mean(outcomes)


def test_random_command_lines_are_read_or_refused_in_one_line():
    assert 0.02 < fuzz_command_lines(100) < 0.6


@pytest.mark.slow
def test_many_random_command_lines_are_read_or_refused_in_one_line():
    assert 0.02 < fuzz_command_lines(2000) < 0.6


@pytest.mark.parametrize("name", BROKEN)
def test_config_files_that_do_not_work(tmp_path, name):
    (tmp_path / name).write_text(BROKEN[name])
    code, said = read([f"--config={tmp_path / name}"])
    assert code == 2 and said.count("\n") == 1
    assert f"{name} has no get_config that returns a ConfigDict (" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CONFIG, "here"], "'here' is no flag; write --NAME=VALUE"),
        ([CONFIG, "--config.train={'steps': 3}"], "config.train is a group of fields; set them"),
        ([CONFIG, "--config.cells[0]=gru"], "config.cells[0]: there is no such field"),
        ([CONFIG, "--config.train.steps=1e3"], "--config.train.steps=1e3"),
        ([CONFIG, "--config.train.steps=99999999999"], "config.train.steps is 99999999999"),
        ([CONFIG, "--config.model.dropout=nan"], "config.model.dropout is nan, it must"),
        ([CONFIG, f"--config.cells={9999 * '-'}1"], "error: "),  # too deep for Python's parser
        (["--config.train.steps=3", CONFIG], "Found --config.train.steps=3 in argv before"),
        ([CONFIG, "--config", CONFIG], f"--config: there is no file {CONFIG}"),
        (["--config.train.steps=3"], "--config.train.steps needs a --config before it"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message):
    code, said = read(arguments)
    assert code == 2 and message in said and said.count("\n") == 1


def test_a_directory_that_is_called_config():
    assert read(["--workdir=config", CONFIG, "--config.seeds=2"]) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["here", "--config.cells[0]=gru", "--config.model.dropout=nan"])
def test_a_process_ends_with_one_line(mistake, tmp_path):
    line = [sys.executable, "-m", "experiments.train", CONFIG, mistake, f"--workdir={tmp_path}"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
