"""The documentation: its examples run, its commands exist, its numbers are those of README.md."""

import ast
import functools
import importlib
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from docs import docstrings, equations, pages, tables
from experiments import help
from tests.examples import blocks, commands, run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").glob("*.md"))
LIBRARY = sorted((ROOT / "lstm_jax").rglob("*.py"))
NAMES = sorted(path.stem for path in tables.MEASURED.glob("*.json"))
FIELDS = [
    "title", "command", "measures", "machine", "versions", "seeds", "text_columns", "columns",
    "rows", "notes",
]  # fmt: skip


@functools.cache
def filled(path):
    """A page with what the build puts into it."""
    return pages.fill(path.read_text())


def cells(line):
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


def readme_tables():
    """The tables of README.md, each as rows of cells, the heading first."""
    for text in re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE):
        heading, _, *rows = map(cells, text.splitlines())
        yield [heading, *rows]


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p)], ids=lambda path: path.stem)
def test_python_examples_run(path):
    names = run(*blocks(path), source=path.name)
    if path.stem == "quick_start":
        assert abs(float(names["losses"][0]) - np.log(2)) < 1e-6
        assert float(names["losses"][-10:].max()) < 0.02


def test_the_cell_of_contributing_runs_and_is_its_equations():
    (code,) = blocks(ROOT / "CONTRIBUTING.md")
    cell = run(code, source="CONTRIBUTING.md")["ugrnn"](7)
    params = cell.init(jax.random.key(0), 5)
    xs = jax.random.normal(jax.random.key(1), (3, 2, 5))
    _, ys = lj.unroll(cell, params, xs, method="scan")
    h = np.zeros((2, 7))
    for x, y in zip(xs, ys, strict=True):
        a = x @ params.kernel + h @ params.recurrent_kernel + params.bias
        z = 1 / (1 + np.exp(-a[:, :7]))
        h = z * h + (1 - z) * jnp.tanh(a[:, 7:])
        np.testing.assert_allclose(y, h, rtol=1e-5, atol=1e-6)


def test_commands_parse():
    """Every command that is shown exists, and so do its configuration and all that it sets."""
    shown = [text for path in [ROOT / "README.md", *PAGES] for text in blocks(path, "sh")]
    shown += [tables.read(name)["command"] for name in NAMES]
    shown += map(help.docstring, help.COMMANDS)
    found = [command for text in shown for command in commands(text)]
    assert len(found) > 30
    for command in found:
        check_command(command)


def check_command(command):
    name = command.split()[2].removeprefix("experiments.")
    places = [ROOT / f"experiments/{name}.py", ROOT / f"experiments/{name}/__main__.py"]
    (module,) = (place for place in places if place.exists())
    flags = module.read_text() + (ROOT / "experiments/command_line.py").read_text()
    file = re.search(r"--config=(\S+?)\.py:?(\S*)", command)
    for flag in re.findall(r" --([\w.]+)", command):
        if not flag.startswith("config."):
            known = re.search(rf"DEFINE_\w+\(\s*\"{flag}\"", flags)
            assert known, f"{command}: no flag --{flag}"
    if file and file[1] != "configs/NAME":
        settings = get_config(file[1], "" if file[2] == "NAME" else file[2])
        for field in re.findall(r" --config\.([\w.]+)", command):
            *outer, last = field.split(".")
            inner = functools.reduce(lambda found, name: found[name], outer, settings)
            assert last in inner, f"{command}: no field {field}"


def get_config(path, recipe):
    function = runpy.run_path(str(ROOT / f"{path}.py"))["get_config"]
    return function(recipe) if recipe else function()


@pytest.mark.parametrize("name", NAMES)
def test_measured_files_say_how_they_were_measured(name):
    found = tables.read(name)
    assert list(found) == FIELDS
    assert all(found[field] for field in FIELDS if field != "seeds")
    assert {len(row) for row in found["rows"]} == {len(found["columns"])}
    assert all(isinstance(cell, str) for row in found["rows"] for cell in row)


def test_tables_of_the_readme_are_the_measured_ones():
    stored = {json.dumps(tables.read(n)["columns"]): n for n in NAMES}
    shown = {json.dumps(table[0]): table[1:] for table in readme_tables()}
    assert shown.keys() == stored.keys(), "README.md and docs/measured do not have the same tables"
    for heading, rows in shown.items():
        assert rows == tables.read(stored[heading])["rows"], f"docs/measured/{stored[heading]}.json"


def test_every_measured_table_is_on_one_page():
    marks = [m for path in PAGES for m in re.findall(r"<!-- measured: (\w+) -->", path.read_text())]
    assert sorted(marks) == NAMES
    shown = filled(ROOT / "docs/results.md") + filled(ROOT / "docs/benchmarks.md")
    rows = [cells(line) for line in shown.splitlines() if line.startswith("|")]
    assert all(row in rows for name in NAMES for row in tables.read(name)["rows"])


def test_the_choice_of_a_variant_rests_on_the_readme():
    text = (ROOT / "docs/choosing.md").read_text()
    numbers = re.findall(r"(?<![\w,.])\d[\d,]*\.?\d+", text)
    assert len(numbers) > 10
    assert not [n for n in numbers if not re.search(rf"(?<![\d,.]){re.escape(n)}(?!\d)", README)]


@pytest.mark.parametrize("name", lj.CELLS)
def test_every_cell_has_its_equations(name):
    page = filled(ROOT / "docs/equations.md")
    (section,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    (math,) = re.findall(r"\$\$\n(.*?)\n\$\$", section, re.DOTALL)
    assert math.isascii() and math.count("{") == math.count("}")
    assert re.search(r"[hr]' &=", math)
    assert "Source: " in section
    letters = re.search(r"Gate blocks: (.*?)\.", section)[1].replace("*", "").split()
    shapes = equations.init(name)
    assert len(letters) == shapes["kernel"][-1] // equations.SIZES["H"]
    assert all(f"`{field}` [" in section for field in shapes)
    if name not in ("rnn", "conv_lstm"):
        cell = lj.CELLS[name](2)
        gates = lj.gates(cell, cell.init(jax.random.key(0), 3), jnp.ones((1, 1, 3)))
        assert set(letters) == {gate for gate in gates if gate not in ("h", "c", "gates")}


def test_every_command_and_module_is_there():
    files = [*ROOT.glob("experiments/[!_]*.py"), *ROOT.glob("experiments/*/__main__.py")]
    runs = [p for p in files if '__name__ == "__main__"' in p.read_text()]
    names = {p.parent.name if p.stem == "__main__" else p.stem for p in runs}
    assert {*help.COMMANDS} == names - {"victim"}
    text = "".join(filled(path) for path in (ROOT / "docs/api").glob("*.md"))
    for path in LIBRARY:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert f"automodule:: {module}\n" in text
        importlib.import_module(module)


def test_docstrings_become_restructured_text():
    text = "Runs `a_b`s, from_ x|y.\n\n    z = x\n\n    c' = z\n\nargs: one\n  more.\nkey: two."
    assert docstrings.convert(text) == (
        "Runs ``a_b``\\ s, from\\_ x\\|y.\n\n.. code-block:: text\n\n   z = x\n\n   c' = z\n\n"
        "* ``args``: one\n  more.\n* ``key``: two.\n"
    )
    google = "Args:\n  **more: see `lj.lstm`.\n  size: H.\n\nExample:\n  a = 1\n"
    assert docstrings.convert(google) == (
        ":param \\*\\*more: see :py:obj:`lj.lstm <lstm_jax.lstm>`.\n:param size: \\H.\n\n"
        ".. rubric:: Example\n\n.. code-block:: python\n\n   a = 1\n"
    )


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_can_be_read(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            docstrings.convert(ast.get_docstring(node) or "")


@pytest.mark.parametrize(
    "text",
    ["A `b.", "Args:\n  name without a colon", "Raises:\n  ValueError: a\n  line too far left"],
)
def test_docstrings_that_cannot_be_read_are_refused(text):
    with pytest.raises(ValueError, match="of a docstring"):
        docstrings.convert(text)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("furo", reason="the extra docs is not installed")
    pytest.importorskip("myst_parser", reason="the extra docs is not installed")
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run([*sphinx, "docs", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    html = {path.stem: path.read_text() for path in tmp_path.glob("*.html")}
    assert {path.stem for path in PAGES} <= html.keys()
    assert all(f'id="{name.replace("_", "-")}"' in html["equations"] for name in lj.CELLS)
    assert html["equations"].count(r"\begin{aligned}") == len(lj.CELLS)
    assert html["results"].count("<table") + html["benchmarks"].count("<table") == len(NAMES)
    assert not any("<!-- measured" in text or "&lt;!-- " in text for text in html.values())
