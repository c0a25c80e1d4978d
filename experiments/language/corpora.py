"""Texts in pairs and in lines: Multi30k, parallel files, the standard library's docstrings."""

from __future__ import annotations

import ast
import functools
import re
import sys
import sysconfig
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from experiments.config import ConfigError, choose
from experiments.data import downloads, files
from experiments.data.downloads import DataSet

FIELD = "config.task.path"
SPLITS = ("train", "valid", "test")

ORIGIN = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/tok/"
MULTI30K = {
    "train": {
        "de": "cb5a23529b65ec2061f1dc446192a9c37382b63cc75f81a0be59d34894b3a505",
        "en": "08925f8e0572bcd5a006702fc5fe20e2d77c6917d4eebd576fc20de6693c2119",
    },
    "val": {
        "de": "97232bd273eceb7207f689527386a97e4be2616b18ada47576bdaf96c8ae1f00",
        "en": "46573ce391ae227f1c72f873392436a20ef18e0a6d518098cfbd70b77c8572ec",
    },
    "test_2016_flickr": {
        "de": "c6a33d39d48f9f510de147651316cd9d918e09ad0219df734a2f16b6baccacc4",
        "en": "5b7f32627cf99eced828311b955dae9800bb52bc8b91cf8b6526829e605b29d2",
    },
}

UNDOCUMENTED = {"idlelib", "test", "tests", "turtledemo"}  # parts of module names left out
SUMMARY_END = re.compile(r"(?<=[.!?])\n|\n\s*\n")
SENTENCE_END = re.compile(r"[.!?]\s+[A-Z]")
SUMMARY_WORDS = range(3, 21)
NAME_PARTS = re.compile(r"[._]+|(?<=[a-z])(?=[A-Z])")
NAMED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
LEAST, MOST = 8, 60  # words of a body
TRAIN, VALID = 90, 95  # the splits' ends in hundredths of the modules; the test split is the rest

STDLIB_MODULES = """
    abc argparse ast base64 bisect calendar code codecs codeop colorsys configparser contextlib
    copy copyreg csv dataclasses datetime dis enum filecmp fileinput fnmatch fractions functools
    getopt getpass glob graphlib gzip hashlib heapq hmac inspect keyword linecache numbers
    opcode operator os pkgutil pprint queue quopri random reprlib runpy sched secrets selectors
    shelve shlex shutil socket socketserver statistics string subprocess symtable tempfile
    textwrap threading timeit tokenize traceback types typing uuid warnings wave weakref zipapp
"""
STDLIB_CAP = 2_000_000


class Pair(NamedTuple):
    """A text and what is to be written about it."""

    source: str
    target: str


class Documented(NamedTuple):
    """Something documented: its name in words, its docstring's body and first line."""

    name: str
    body: str
    summary: str


Splits = dict[str, list[Pair]]


def multi30k(source: str, target: str, data_dir: str | None = None) -> Splits:
    """Multi30k: captions of Flickr's images, lower-cased and tokenised (Elliott et al. 2016).

    Args:
        source: the language that is read, "de" or "en".
        target: the language that is written.
        data_dir: see `downloads.locate`.

    Returns:
        The splits train, valid, test: 29,000, 1,014 and 1,000 pairs.

    Raises:
        ConfigError: if there is no such language, or a file cannot be had.

    Source: Elliott et al. 2016, "Multi30K: multilingual English-German image descriptions",
    arXiv:1605.00459.
    """
    for field, language in [("task.source", source), ("task.target", target)]:
        choose(field, language, MULTI30K["train"])
    paths = [
        [downloads.locate(_data_set(name, language), data_dir) for language in (source, target)]
        for name in MULTI30K
    ]
    return {split: read_pairs(*two) for split, two in zip(SPLITS, paths, strict=True)}


def parallel_files(directory: Path, source: str, target: str) -> Splits:
    """A user's own pairs: files train.SOURCE, train.TARGET and so on, a sentence a line.

    Args:
        directory: where valid.* and test.* lie too.
        source: the suffix of the files that are read.
        target: the suffix of those whose lines are to be written.

    Raises:
        ConfigError: naming the file that is missing or wrong.
    """
    names = [f"{split}.{suffix}" for split in SPLITS for suffix in (source, target)]
    wanted = f"{', '.join(names)}, whose lines pair"
    if not directory.is_dir():
        fault = "is a file" if directory.exists() else "cannot be read (there is no such directory)"
        raise files.refusal(directory, FIELD, f"{fault}; give a directory with {wanted}")
    for name in names:
        if not (directory / name).is_file():
            raise files.refusal(directory, FIELD, f"has no file {name}; it must have {wanted}")
    return {
        split: read_pairs(directory / f"{split}.{source}", directory / f"{split}.{target}")
        for split in SPLITS
    }


def read_pairs(source: Path, target: Path) -> list[Pair]:
    """The lines of two files, side by side, but for pairs with an empty one.

    Raises:
        ConfigError: naming a file that is no text, or both if their lines do not pair.
    """
    read, written = (_lines(files.read_text(path, FIELD)) for path in (source, target))
    if len(read) != len(written):
        raise files.refusal(
            source, FIELD, f"has {len(read)} lines, but {target} has {len(written)}; pair them"
        )
    pairs = [Pair(*two) for two in zip(read, written, strict=True) if all(two)]
    if not pairs:
        raise files.refusal(source, FIELD, f"and {target} have no pair of lines with words")
    return pairs


def sentences(text: str) -> list[str]:
    """The lines of a text that are not blank, without blanks around them.

    Example:
        >>> sentences("to be\\n\\n  or not to be\\n")
        ['to be', 'or not to be']
    """
    return list(filter(None, _lines(text)))


def stdlib_text(modules: str = STDLIB_MODULES, cap: int = STDLIB_CAP) -> str:
    """The sources of some modules of this Python's standard library, one after the other.

    The modules exist in Python 3.11, 3.12 and 3.13; their text differs from version to version.

    Args:
        modules: names of modules that are single files, between blanks.
        cap: the largest number of characters.

    Raises:
        ConfigError: if this Python came without its sources.
    """
    directory = Path(sysconfig.get_path("stdlib"))
    text = ""
    for name in modules.split():
        path = directory / f"{name}.py"
        if not path.is_file():
            raise ConfigError(
                f"this Python has no source file {path}; name a text with --config.task.path"
            )
        text += path.read_text(encoding="utf-8")
    return text[:cap]


def docstrings(directory: Path | None = None) -> dict[str, list[Documented]]:
    """The standard library's docstrings: what follows the first line, and that line.

    A body has 8 words or more and is cut after 60; a summary is one sentence of 3 to 20 words.
    None occurs twice. The checksum of a module's name tells its split, 90/5/5, so no module is in
    two splits. Python 3.11.7 has 2,381, 118 and 122; other versions and installations differ. After
    them, the train split has what its modules document by a summary and a shorter body or none.

    Args:
        directory: where the modules lie; this Python's by default.

    Raises:
        ConfigError: if this Python came without its sources.
    """
    directory = directory or Path(sysconfig.get_path("stdlib"))
    splits: dict[str, list[Documented]] = {split: [] for split in SPLITS}
    short: list[Documented] = []
    seen: set[str] = set()
    for module, name, docstring in _documented(directory):
        found = summarized(name, docstring)
        if found is None:
            continue
        split = split_of(module)
        if len(found.body.split()) < LEAST:
            short += [found] * (split == "train")
        elif seen.isdisjoint(found[1:]):
            seen.update(found[1:])
            splits[split].append(found)
    if not all(splits.values()):
        raise ConfigError(
            f"this Python has too few source files in {directory} to learn from their docstrings;"
            " install a Python with its sources"
        )
    splits["train"] += {s.summary: s for s in short if seen.isdisjoint(s[1:])}.values()
    return splits


def summarized(name: str, docstring: str) -> Documented | None:
    """A docstring's body and first line; None where the latter is too short or too long.

    Example:
        >>> summarized("os.findAll", "Find all files.\\n\\nReads one directory.")
        Documented(name='os find all', body='Reads one directory.', summary='Find all files.')
    """
    first, *rest = SUMMARY_END.split(docstring.strip(), maxsplit=1)
    summary, body = first.split(), " ".join(rest).split()
    if len(summary) not in SUMMARY_WORDS or SENTENCE_END.search(first):
        return None
    words = NAME_PARTS.sub(" ", name).lower().strip()
    return Documented(words, " ".join(body[:MOST]), " ".join(summary))


def split_of(module: str) -> str:
    """The split of a module's docstrings, by the CRC-32 of its name."""
    part = zlib.crc32(module.encode()) % 100
    return "train" if part < TRAIN else "valid" if part < VALID else "test"


@functools.cache  # parsing takes seconds
def _documented(directory: Path) -> tuple[tuple[str, str, str], ...]:
    """(module, name, docstring) of all that the standard library documents, in a fixed order."""
    return tuple(
        (module, name, docstring)
        for module, path in sorted(_modules(directory))
        for name, docstring in _docstrings_of(module, path)
    )


def _modules(directory: Path) -> Iterator[tuple[str, Path]]:
    """The standard library's modules by name, without tests and what `site` installs."""
    for path in directory.rglob("*.py"):
        parts = path.relative_to(directory).with_suffix("").parts
        if parts[0] in sys.stdlib_module_names and UNDOCUMENTED.isdisjoint(parts):
            yield ".".join(parts), path


def _docstrings_of(module: str, path: Path) -> Iterator[tuple[str, str]]:
    """(name, docstring) of what a source file documents; none if it cannot be read or parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none
            nodes: list[tuple[str, ast.AST]] = [(module, ast.parse(path.read_bytes()))]
    except (OSError, SyntaxError, ValueError):
        return
    for name, node in nodes:
        if isinstance(node, ast.Module | NAMED) and (docstring := ast.get_docstring(node)):
            yield name, docstring
        for child in ast.iter_child_nodes(node):
            nodes.append((f"{name}.{child.name}" if isinstance(child, NAMED) else name, child))


def _data_set(name: str, language: str) -> DataSet:
    file = f"{name}.lc.norm.tok.{language}"
    return DataSet(f"multi30k/{file}", ORIGIN + file, MULTI30K[name][language])


def _lines(text: str) -> list[str]:
    """The lines of a text, blanks around them removed; only line feeds end a line."""
    return [line.strip() for line in text.removesuffix("\n").split("\n")]
