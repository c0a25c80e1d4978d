"""What a page leaves to the build: `<!-- measured: NAME -->` stands for that table, and so on."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from docs import docstrings, equations, tables
from experiments import help

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"^<!-- (\w+): (.+) -->$", re.MULTILINE)


def process(app, name: str, source: list[str]) -> None:
    """Sphinx's hook `source-read`: fills a page in place, again at every build."""
    if MARK.search(source[0]):
        app.env.note_reread()
        source[0] = fill(source[0])


def fill(text: str) -> str:
    """The text with every mark replaced by what it stands for."""
    return MARK.sub(lambda mark: BUILDERS[mark[1]](mark[2]), text)


def commands(_: str) -> str:
    """The docstring of every command."""
    return "\n\n".join(
        f"## {name}\n\n{rst(docstrings.convert(help.docstring(name)))}" for name in help.COMMANDS
    )


def package(name: str) -> str:
    """A package and every public module in it that there is."""
    return "\n\n".join(map(module, public_modules(name)))


def module(name: str) -> str:
    """What a module holds."""
    return f"## {name}\n\n{rst(automodule(name))}"


def public_modules(name: str) -> Iterator[str]:
    """A module's name, and of a package those of all modules in it, in alphabetical order."""
    yield name
    for found in pkgutil.iter_modules(getattr(importlib.import_module(name), "__path__", ())):
        if not found.name.startswith("_"):
            yield from public_modules(f"{name}.{found.name}")


def automodule(name: str) -> str:
    """The directive for a module, without what a package above exports under a shorter name."""
    above = [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]
    shorter = {f"{package}.{n}": n for package in above for n in exported(package)}
    lines = [f".. automodule:: {name}", "   :members:", "   :member-order: bysource"]
    if hidden := sorted({*shorter.values()} & set(vars(importlib.import_module(name)))):
        lines.append(f"   :exclude-members: {', '.join(hidden)}")
    if name in shorter:  # a function has its module's name, and its place in the index
        lines.append("   :no-index:")
    return "\n".join(lines)


def exported(package: str) -> list[str]:
    return list(getattr(importlib.import_module(package), "__all__", ()))


def rst(text: str) -> str:
    """reStructuredText in a page of Markdown."""
    return f"````{{eval-rst}}\n{text.rstrip()}\n````"


BUILDERS = {
    "measured": tables.section,
    "cells": equations.cells,
    "commands": commands,
    "module": module,
    "package": package,
}
