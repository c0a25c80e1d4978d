"""What all notebooks have in common: the badge, the cell that installs, no outputs.

The address of the repository stands in pyproject.toml alone, under [project.urls].
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(Path(__file__).parent.glob("*.ipynb"))
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
COLAB = "https://colab.research.google.com/github{repository}/blob/main/experiments/notebooks/{name}"
IN_COLAB = '"google.colab" in sys.modules'
SETUP = """\
import os
import sys
from pathlib import Path

if "google.colab" in sys.modules:  # fetch the repository; what Colab has installed stays
    !git clone --quiet --depth 1 {address} /content/{directory}
    %cd -q /content/{directory}
    %pip install --quiet ".[notebooks]"
here = Path.cwd()
os.chdir(next(place for place in (here, *here.parents) if (place / "configs").is_dir()))
sys.path.insert(0, os.getcwd())
%matplotlib inline"""


def address() -> str:
    """Where the repository is."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def tidied(path: Path) -> str:
    """A notebook with the badge over its title, the common second cell, and no outputs."""
    title, *rest = json.loads(path.read_text())["cells"]
    own = [cell for cell in rest if IN_COLAB not in _text(cell)]
    cells = [with_badge(title, path.name), setup(), *own]
    tidy = {
        "cells": [_cell(cell, number) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(tidy, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def setup() -> dict[str, Any]:
    """The cell that installs the package in Colab; elsewhere it goes to the repository's root."""
    source = SETUP.format(address=address(), directory=address().rsplit("/", 1)[-1])
    return {"cell_type": "code", "source": source}


def with_badge(title: dict[str, Any], name: str) -> dict[str, Any]:
    """The title cell of a notebook, the link to Colab in its first line."""
    target = COLAB.format(repository=urlsplit(address()).path, name=name)
    lines = [line for line in _text(title).splitlines() if not line.startswith(BADGE)]
    return title | {"source": f"{BADGE}({target})\n\n" + "\n".join(lines).strip()}


def _cell(cell: dict[str, Any], number: int) -> dict[str, Any]:
    """What of a cell is kept."""
    kept = {
        "cell_type": cell["cell_type"],
        "id": f"cell-{number}",
        "metadata": {},
        "source": _text(cell).strip().splitlines(keepends=True),
    }
    return kept | ({"execution_count": None, "outputs": []} if kept["cell_type"] == "code" else {})


def _text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])
