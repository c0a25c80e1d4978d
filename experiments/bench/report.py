"""What a benchmark leaves to read: its tables, on the terminal and in a file, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from experiments.bench.tables import Table, tables


def write(found: dict[str, Any], workdir: Path) -> None:
    """Writes table.md and, if there was a race of layers, speed.png."""
    parts = [machine(found["environment"]), *map(markdown, tables(found))]
    (workdir / "table.md").write_text("\n".join(parts))
    if "layers" in found["suites"]:
        from experiments.bench import plot  # matplotlib is slow to import

        races = found["suites"]["layers"]["lstm"]["shapes"]
        plot.speed(races, found["environment"]["devices"], workdir / "speed.png")


def show(found: dict[str, Any]) -> None:
    """Prints the tables."""
    for title, (heading, *body) in tables(found):
        table = RichTable(title=title)
        for place, name in enumerate(heading):
            table.add_column(name, justify="right" if place else "left")
        for line in body:
            table.add_row(*line)
        Console().print(table)


def machine(environment: dict[str, Any]) -> str:
    """Where the numbers come from, in a line."""
    versions = ", ".join(f"{name} {v}" for name, v in environment["versions"].items())
    return f"{environment['usable_cores']} cores of {environment['device']}; {versions}.\n"


def markdown(table: Table) -> str:
    """A table in Markdown, below its title."""
    heading, *body = table.rows
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *body]
    return f"{table.title}:\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
