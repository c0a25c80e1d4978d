"""The examples of a Markdown file: its Python, as a reader would type it, and its commands."""

from __future__ import annotations

import re
from pathlib import Path


def blocks(path: Path, language: str = "python") -> list[str]:
    """The blocks of code of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def run(*codes: str, source: str) -> dict:
    """The names after some blocks, one after the other."""
    names: dict = {"__name__": "example"}
    for code in codes:
        exec(compile(code, source, "exec"), names)
    return names


def commands(text: str) -> list[str]:
    """The commands of the experiments in a text, each in one line."""
    joined = re.sub(r"\s*\\\n\s*|\n\s+(?=--)", " ", text)
    return re.findall(r"python -m experiments\.\w+[^\n#`]*", joined)
