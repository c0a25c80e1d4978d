"""Measured numbers as Markdown: each file of docs/measured is one table and what belongs to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.docstrings import linked
from experiments.tables import markdown

MEASURED = Path(__file__).parent / "measured"


def read(name: str) -> dict[str, Any]:
    """What stands in docs/measured/NAME.json."""
    return json.loads((MEASURED / f"{name}.json").read_text())


def section(name: str) -> str:
    """The table with its title, what it says, and how it was measured."""
    found = read(name)
    seeds = f"; seed {found['seeds']}" if found.get("seeds") else ""
    text = "\n\n".join([
        f"## {found['title']}",
        found["measures"],
        markdown([found["columns"], *found["rows"]], found.get("text_columns", 1)).rstrip(),
        f"```sh\n{found['command']}\n```",
        f"Measured on {found['machine']}, with {found['versions']}{seeds}.",
        "\n".join(f"- {note}" for note in found["notes"]),
    ])  # fmt: skip
    return linked(text)
