"""What a benchmark leaves to read: its tables, on the terminal and in a file, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments import tables as text
from experiments.bench.tables import tables


def write(found: dict[str, Any], workdir: Path) -> None:
    """Writes table.md and, if there was a race of layers, speed.png."""
    shown = [f"{title}:\n\n{text.markdown(rows)}" for title, rows in tables(found)]
    parts = [machine(found["environment"]), *shown]
    (workdir / "table.md").write_text("\n".join(parts))
    if "layers" in found["suites"]:
        from experiments.bench import plot  # matplotlib is slow to import

        races = found["suites"]["layers"]["lstm"]["shapes"]
        plot.speed(races, found["environment"]["devices"], workdir / "speed.png")


def show(found: dict[str, Any]) -> None:
    """Prints the tables."""
    for title, rows in tables(found):
        text.show(rows, title)


def machine(environment: dict[str, Any]) -> str:
    """Where the numbers come from, in a line."""
    versions = ", ".join(f"{name} {v}" for name, v in environment["versions"].items())
    cores, device = f"{environment['usable_cores']} cores", environment["device"]
    on = f"{cores} of {device}" if environment["platform"] == "cpu" else f"{device}, {cores}"
    return f"{on}; {versions}.\n"
