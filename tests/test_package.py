"""The package as others get it: what it needs, what importing it does, what a wheel holds."""

import ast
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LIBRARY = sorted((ROOT / "lstm_jax").rglob("*.py"))
LAYERS = ["types", "cells", "recurrence", "nnx", "linen"]  # each may import those before it
FOLDERS = {  # of the experiments, and those that each may import
    "data": set(),
    "serving": set(),
    "training": {"data"},
    "language": {"data", "serving"},
    "perception": {"data", "serving"},
    "forecasting": {"data"},
    "music": {"data", "serving"},
    "long_lags": {"perception"},
    "study": {"training"},
    "inspection": {"training", "language"},
    "tasks": {"data", "language", "perception", "forecasting", "music", "long_lags"},
}


def imported(path):
    """The full names of the modules and members that a file imports, as absolute paths."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(parts):
    """The place in LAYERS of a module given as its parts below lstm_jax, None where it has none."""
    return LAYERS.index(parts[0]) if parts and parts[0] in LAYERS else None


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_library_needs_only_its_dependencies(path):
    allowed = {"jax", "jaxlib", "flax", "chex", "numpy", "lstm_jax", *sys.stdlib_module_names}
    if {"interop", "analysis"} & set(path.parts):
        pytest.skip("may import optional packages inside functions")
    assert {name.split(".")[0] for name in imported(path)} <= allowed


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    own = layer(path.relative_to(ROOT / "lstm_jax").with_suffix("").parts)
    below = [layer(n.split(".")[1:]) for n in imported(path) if n.startswith("lstm_jax.")]
    assert own is None or max([0, *(place for place in below if place is not None)]) <= own


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_of_the_experiments_import_one_way(folder):
    files = sorted((ROOT / "experiments" / folder).glob("*.py"))
    names = {n.split(".")[1] for f in files for n in imported(f) if n.startswith("experiments.")}
    assert len(files) > 1
    assert names & set(FOLDERS) <= FOLDERS[folder] | {folder}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.py")), ids=lambda p: p.stem)
def test_configs_import_ml_collections_alone(path):
    allowed = {"ml_collections", "configs", "__future__"}
    assert {name.split(".")[0] for name in imported(path)} <= allowed


def test_import_leaves_the_environment_alone():
    program = "import os, jax, flax; e = {**os.environ}; import lstm_jax; assert os.environ == e"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_commands_start_without_what_is_slow_to_import():
    """Matplotlib and these parts of SciPy come when they are first used."""
    slow = ("matplotlib", "sklearn", "scipy.interpolate", "scipy.signal", "scipy.stats")
    program = f"import sys, experiments.tasks; assert not sys.modules.keys() & {{*{slow}}}"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.slow
def test_wheel_installs_lstm_jax_alone(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", f"--wheel-dir={tmp_path}", ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    info = f"lstm_jax-{VERSION}.dist-info"
    assert {name.split("/")[0] for name in inside} == {"lstm_jax", info}
    assert {f"{info}/licenses/LICENSE", "lstm_jax/py.typed"} <= set(inside)
    sources = {str(path.relative_to(ROOT)) for path in LIBRARY}
    assert {name for name in inside if name.endswith(".py")} == sources

    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, *pip[1:], "install", "--no-deps", "--no-index", wheel], check=True)
    program = (
        "import importlib.metadata as m, lstm_jax; print(lstm_jax.__file__, lstm_jax.__version__, "
        "m.version('lstm_jax'), lstm_jax.CELLS['lstm'](3).name)"
    )
    seen = subprocess.run(
        [python, "-c", program],
        # The dependencies come from this environment; lstm_jax must come from the new one.
        env={**os.environ, "PYTHONPATH": str(Path(pytest.__file__).parents[1])},
        cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout.split()
    assert Path(seen[0]).is_relative_to(tmp_path / "venv")
    assert seen[1:] == [VERSION, VERSION, "lstm"]
