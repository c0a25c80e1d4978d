"""What a task gives to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_samples(directory: Path, texts: Sequence[str]) -> None:
    """Prints texts, a line between them, and writes them to samples.txt."""
    text = "\n".join(texts)
    (directory / "samples.txt").write_text(text, encoding="utf-8")
    print(text)
