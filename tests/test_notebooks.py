"""The notebooks: tidy, lint-free, every import there, and each runs to its last cell."""

import ast
import importlib
import os
import re
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from experiments.notebooks import tidying
from experiments.notebooks.tidying import NOTEBOOKS, ROOT

SECONDS = 900  # for one notebook; the slowest took 139 on two cores with other work on them

OLD_GRAIN = re.compile("Grain multiprocess worker profiling requires")  # it says so of itself

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path):
    """The cells of code but for the first, in which IPython's own commands stand."""
    return [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"][1:]


def skip_without(path):
    """Skips a notebook whose libraries or data are not here."""
    for library in ("ipykernel", "ipywidgets", "onnx", "onnxruntime", "safetensors"):
        pytest.importorskip(library, reason="the extra `notebooks` is not installed")
    if "import torch" in path.read_text():
        pytest.importorskip("torch", reason="torch is not installed")
    if "configs import music" in path.read_text() and "LSTM_JAX_DATA" not in os.environ:
        pytest.skip("the chorales are not here: LSTM_JAX_DATA is not set")


def test_there_are_six():
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3", "4", "5", "6"]


@each
def test_tidying_changes_nothing(path):
    assert path.read_text() == tidying.tidied(path), "run `make notebooks`"


@each
def test_format_is_valid(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


@each
def test_first_cells_follow_the_address(path, monkeypatch):
    usual = urlsplit(tidying.address()).path
    monkeypatch.setattr(tidying, "address", lambda: "https://example.org/some/where")
    title, setup, *_ = nbformat.reads(tidying.tidied(path), 4).cells
    assert f"github/some/where/blob/main/experiments/notebooks/{path.name})" in title.source
    clone = "!git clone --quiet --depth 1 https://example.org/some/where /content/where\n"
    assert clone in setup.source
    assert usual not in title.source + setup.source


@each
def test_imports_resolve(path):
    skip_without(path)
    for node in ast.walk(ast.parse("\n".join(code(path)))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for name in {alias.name for alias in node.names} - vars(module).keys():
                importlib.import_module(f"{node.module}.{name}")


def test_ruff_finds_nothing():
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise"]
    done = subprocess.run([*ruff, *NOTEBOOKS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@each
def test_runs(path, tmp_path, monkeypatch):
    """Where it lies, as Jupyter would run it; what it trains goes to a temporary directory."""
    skip_without(path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    notebook, end = nbformat.read(path, 4), time.monotonic() + SECONDS
    nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout_func=lambda cell: max(end - time.monotonic(), 1),
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()  # an error shows the cell
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.text for output in outputs if output.get("name") == "stderr")
    assert outputs and not [line for line in said.splitlines() if not OLD_GRAIN.search(line)]
