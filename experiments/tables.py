"""Tables of text, the heading first: on the terminal and in Markdown."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

Rows = list[list[str]]
WIDTH = 10_000  # characters of a line: nothing is cut, even where the terminal is narrow


def markdown(rows: Rows, text: int = 1) -> str:
    """The table in Markdown, all but its first `text` columns aligned to the right."""
    heading, *body = rows
    lines = [heading, ["---"] * text + ["---:"] * (len(heading) - text), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def show(rows: Rows, title: str) -> None:
    """Prints the table."""
    heading, *body = rows
    table = Table(title=title)
    table.add_column(heading[0], no_wrap=True)
    for name in heading[1:]:
        table.add_column(name, justify="right")
    for line in body:
        table.add_row(*map(Text, line))
    Console(width=WIDTH).print(table)
