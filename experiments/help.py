"""What the commands say of themselves: `--help`, and the list of `python -m experiments`.

Both come from the commands' docstrings. This file imports nothing that is slow.
"""

from __future__ import annotations

import ast
import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path

from absl import flags

COMMANDS = (  # in the order in which one comes to need them
    "train",
    "evaluate",
    "sample",
    "inspect",
    "compare",
    "study",
    "export",
    "convert",
    "bench",
    "chaos",
    "demo",
)
ASKED = frozenset({"--help", "-help", "-h", "-?", "--helpshort"})
WIDEST = 100
QUOTE = "'"  # absl puts text between two
LIST = "python -m experiments"


def overview() -> str:
    """The commands, a line each."""
    lines = [_wrap(f"{name:8}  {docstring(name).splitlines()[0]}", "  ", 12) for name in COMMANDS]
    return "\n".join(
        [
            f"{LIST}.NAME runs a command, from the root of the repository:",
            "",
            *lines,
            "",
            f"{LIST}.NAME --help shows examples of one, and its flags:",
            "",
            f"    {LIST}.train --help",
        ]
    )


def docstring(command: str) -> str:
    """What a command says of itself; it is not imported."""
    root = Path(__file__).parent
    paths = (root / f"{command}.py", root / command / "__main__.py")
    source = next(path for path in paths if path.is_file()).read_text()
    return ast.get_docstring(ast.parse(source)) or ""


def text(about: str, own: Iterable[flags.Flag]) -> str:
    """A command's help, as wide as the terminal.

    Args:
        about: what the command does; blocks that are indented are examples, and stay as they
            are.
        own: the flags of the command.
    """
    blocks = about.strip().split("\n\n")
    parts = [block if block.startswith(" ") else _wrap(block) for block in blocks]
    entries = "\n".join(map(_entry, own))
    return "\n\n".join([*parts, f"Flags:\n{entries}", f"{LIST} lists all commands."])


def _entry(flag: flags.Flag) -> str:
    """A flag, and below it what it is and what it is by default."""
    choices = getattr(flag.parser, "enum_values", None)
    value = "|".join(choices) if choices else flag.name.upper()
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}={value}"
    said, default = (flag.help or "").removeprefix(f"<{value}>: "), flag.default_as_str
    if default and flag.default is not None and not flag.boolean:
        said = f"{said} Default: {default.strip(QUOTE)}"
    return f"  {name}\n{_wrap(said, ' ' * 6)}"


def _wrap(text: str, indent: str = "", hanging: int = 0) -> str:
    """Fills lines as wide as the terminal; what is longer than a line stays whole."""
    return textwrap.fill(
        text,
        min(shutil.get_terminal_size().columns, WIDEST),
        initial_indent=indent,
        subsequent_indent=indent + " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
