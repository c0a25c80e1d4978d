"""Which one was meant: the nearest name, field, file or run to one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "configs"
MOST = 8  # names in one sentence


def hint(value: str, choices: Iterable[str], say: Callable[[str], object] = str) -> str:
    """Asks whether the nearest of the choices was meant, capitals aside; empty if none is near.

    Args:
        value: what came.
        choices: what might have come.
        say: what the question calls a choice.
    """
    known = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(value).lower(), known, n=1)
    return ask(say(known[near[0]])) if near else ""


def ask(*meant: object) -> str:
    """The question that an error ends with."""
    return f"; did you mean {' or '.join(repr(str(one)) for one in meant[:MOST])}?"


def field_hint(name: str, known: Iterable[str], say: Callable[[str], object] = str) -> str:
    """Asks for a dotted name: for all that end like it at the least depth, else the nearest."""
    known = list(known)
    same = [other for other in known if _last(other) == _last(name)]
    least = min((other.count(".") for other in same), default=0)
    near = [say(other) for other in same if other.count(".") == least]
    return ask(*near) if near else hint(name, known, say)


def path_hint(path: Path) -> str:
    """Asks for the nearest name beside the first part of a path that is not there."""
    missing = next((part for part in [*reversed(path.parents), path] if not part.exists()), None)
    if missing is None or not missing.parent.is_dir():
        return ""
    rest = path.relative_to(missing)
    return hint(missing.name, _names(missing.parent), lambda name: missing.parent / name / rest)


def config_hint(file: str) -> str:
    """Asks for the nearest file of configs/, or beside `file`; what follows a colon stays."""
    path, colon, recipe = file.partition(":")
    folders = (Path(path).parent, CONFIGS)
    stems = {found.stem: found for folder in folders for found in folder.glob("[!_]*.py")}
    return hint(Path(path).stem, stems, lambda stem: f"{_from_here(stems[stem])}{colon}{recipe}")


def run_hint(workdir: Path) -> str:
    """Names the runs inside a directory, or asks for the one above it or the nearest beside it."""
    if inside := _runs(workdir):
        more = ", ..." if len(inside) > MOST else ""
        return f"; the runs inside are {', '.join(map(str, inside[:MOST]))}{more}"
    if above := next((d for d in workdir.parents if _is_run(d)), None):
        return ask(above)
    beside = {run.name: run for run in _runs(workdir.parent) if run != workdir}
    return hint(workdir.name, beside, lambda name: beside[name])


def _runs(directory: Path) -> list[Path]:
    return sorted(filter(_is_run, directory.glob("*")))


def _is_run(directory: Path) -> bool:
    return (directory / "config.json").is_file()


def _names(directory: Path) -> list[str]:
    """What lies in a directory; nothing if it cannot be read."""
    return [path.name for path in directory.glob("*")]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _from_here(path: Path) -> Path:
    """A path as one types it: without the directory that one is in."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
