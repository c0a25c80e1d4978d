"""What the commands say of themselves: every one has examples, and every example parses."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from absl import flags

from experiments import __main__ as overview
from experiments import help
from tests.examples import blocks, commands

ROOT = Path(__file__).parents[2]
FLAG = re.compile(r"^  --(?:\[no\])?(\w+)(?:=\S+)?\n      \S", re.MULTILINE)
TORN = re.compile(r"[^\\]\n {8,}--")  # a command goes on after a line without a backslash
OWN = {  # the flags that a command's help shows
    "train": {"profile", "workdir", "config"},
    "evaluate": {"split", "workdir", "config"},
    "sample": {
        *("prompt", "length", "temperature", "bias", "top_k", "top_p", "unit", "seed"),
        *("workdir", "config"),
    },
    "inspect": {"workdir", "config"},
    "compare": {"workdir", "config"},
    "study": {"report", "workdir", "config"},
    "export": {"format", "quantize", "workdir", "config"},
    "convert": {"from", "to", "prefix", "workdir"},
    "bench": {
        *("suites", "contenders", "cells", "shapes", "seconds", "devices", "mode", "repetitions"),
        "workdir",
    },
    "chaos": {"kills", "config", "kill_seed", "workdir"},
    "demo": {"workdir"},
}


def docstring(path):
    return ast.get_docstring(ast.parse(path.read_text()))


def examples(text):
    """The commands in a text, each as its name and its arguments."""
    return [shlex.split(line.removeprefix("python -m experiments.")) for line in commands(text)]


def source(command):
    paths = (ROOT / f"experiments/{command}.py", ROOT / f"experiments/{command}/__main__.py")
    return next(path for path in paths if path.is_file())


WRITTEN = {  # where examples stand
    **{name: docstring(source(name)) for name in help.COMMANDS},
    **{p.name: docstring(p) for p in sorted((ROOT / "configs").glob("[!_]*.py"))},
    "README.md": "\n".join(blocks(ROOT / "README.md", "sh")),
}


def test_the_list_has_all_commands_and_their_first_sentences(capsys):
    sources = [*(ROOT / "experiments").glob("*.py"), *(ROOT / "experiments").glob("*/__main__.py")]
    runs = [path for path in sources if "\n    command_line.run" in path.read_text()]
    names = {path.parent.name if path.stem == "__main__" else path.stem for path in runs}
    assert {*help.COMMANDS} == names - {"victim"}  # which chaos kills
    assert overview.main([]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for path in runs:
        first, *_ = docstring(path).splitlines()
        assert first.endswith(".")
        assert path.stem == "victim" or f" {first} " in shown


def test_a_command_that_is_none_is_told_the_nearest(capsys):
    assert overview.main(["trian", "--workdir=runs/text"]) == 2
    assert capsys.readouterr().err == (
        "error: 'trian' is no command; did you mean 'python -m experiments.train'?\n"
    )
    assert overview.main(["xyz"]) == 2
    assert capsys.readouterr().err.endswith("no command; python -m experiments lists them\n")


def test_a_flag_is_shown_with_its_choices_and_its_default(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    own = flags.FlagValues()
    flags.DEFINE_enum("kind", "a", ["a", "b"], "Which of them.", flag_values=own)
    flags.DEFINE_list("names", ["x", "y"], "Who.", flag_values=own)
    flags.DEFINE_string("text", None, "What, and so on until a line is full.", flag_values=own)
    flags.DEFINE_bool("deep", False, "How.", flag_values=own)
    docstring = "It does\nthis and that with whatever it is given.\n\n    python   -m it\n"
    assert help.text(docstring, [own[name] for name in ("kind", "names", "text", "deep")]) == """\
It does this and that with whatever it
is given.

    python   -m it

Flags:
  --kind=a|b
      Which of them. Default: a
  --names=NAMES
      Who. Default: x,y
  --text=TEXT
      What, and so on until a line is
      full.
  --[no]deep
      How.

python -m experiments lists all commands."""


@pytest.mark.parametrize("name", help.COMMANDS)
def test_help_of_80_columns_has_examples_and_its_own_flags(forks, name):
    code, shown, said = forks(name, "--help")
    assert (code, said) == (0, "")
    before, listed = shown.split("\nFlags:\n")
    assert examples(before) == examples(WRITTEN[name]) != []
    assert FLAG.findall(listed) == re.findall(r"^  --(?:\[no\])?(\w+)", listed, re.MULTILINE)
    assert {*FLAG.findall(listed)} == OWN[name]
    for line in shown.splitlines():
        assert len(line) <= 80 or " " not in line.strip(), line


@pytest.mark.parametrize("place", WRITTEN)
def test_every_example_parses(forks, place):
    assert not TORN.search(WRITTEN[place])
    for command in examples(WRITTEN[place]):
        code, _, said = forks(*command, "--only_check_args")
        assert (code, said) == (0, ""), command
