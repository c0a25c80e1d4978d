"""Series with class labels: the `.ts` files of the UCR and UEA archives."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.data import files

MISSING = "?"  # how the archives write it; NaN is the other way
LARGEST = float(np.finfo(np.float32).max)

Lines = Iterator[tuple[int, str]]  # a line's number from 1, and the line
Tags = Mapping[str, Sequence[str]]  # the words behind each tag, whose name is in lower case


class Series(NamedTuple):
    """The examples of a file.

    Attributes:
        name: what the file calls itself, or is called.
        sequences: of each example [T_n, D], float32, finite.
        labels: the class of each example; none in a file without labels.
        classes: the names of all classes, in the order of the header.
    """

    name: str
    sequences: list[np.ndarray]
    labels: list[str]
    classes: tuple[str, ...]


def read_ts(path: Path, field: str, labelled: bool = True) -> Series:
    """Reads a `.ts` file: tags, the line @data, and then an example a line.

    An example is its dimensions, separated by ":", and its label after one more; a dimension is
    its values, separated by ",". Examples may differ in length, the dimensions of one may not.
    Steps at the end at which every dimension is missing are padding, which is dropped; other
    missing values are interpolated linearly in their dimension, and before the first and after the
    last value repeat that, see `fill`.

    Args:
        path: the file, UTF-8.
        field: the config's field that names it.
        labelled: whether a file without class labels is refused.

    Raises:
        ConfigError: naming the line and what is wrong with it, or with the file: time stamps,
            numbers to predict in place of classes, what its tags do not say.

    Source: the format as aeon ("Data format") and sktime ("ts File Format v1.0") document it.
    """
    lines = _lines(files.read_text(path, field))
    try:
        tags = _read_tags(lines)
        classes = _classes(tags, labelled)
        examples = [_read(number, line, classes is not None) for number, line in lines]
        _check(examples, tags, classes)
        sequences = [_whole(example) for example in examples]
    except ValueError as error:
        raise files.refusal(path, field, str(error)) from error
    labels = [] if classes is None else [example.label for example in examples]
    name = " ".join(tags.get("@problemname", ())) or path.stem
    found = tuple(classes or sorted(set(labels)))
    return Series(name, sequences, labels, found)


class Example(NamedTuple):
    """A line of the file: its number, values [T, D], NaN where they are missing, and its label."""

    line: int
    values: np.ndarray
    label: str


def _lines(text: str) -> Lines:
    """The lines that are neither blank nor a comment."""
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            yield number, line


def _read_tags(lines: Lines) -> Tags:
    """The tags before the line @data; those that nobody asks for may say anything."""
    tags: dict[str, list[str]] = {}
    for number, line in lines:
        if not line.startswith("@"):
            raise ValueError(f"has on line {number} neither a tag nor a comment; is @data missing?")
        tag, *words = line.split()
        if tag.lower() == "@data":
            if _switch(tags, "@timeStamps", False):
                raise ValueError("has time stamps (@timeStamps true); give the values alone")
            return tags
        tags[tag.lower()] = words
    raise ValueError("has no line @data; give a .ts file as the UCR and UEA archives have them")


def _classes(tags: Tags, labelled: bool) -> list[str] | None:
    """The classes that the header names; None if there are no labels."""
    if _switch(tags, "@targetLabel", False):
        raise ValueError("has a number to predict (@targetLabel true); give one with class labels")
    if _switch(tags, "@classLabel", False):
        return list(dict.fromkeys(tags["@classlabel"][1:]))
    if labelled:
        raise ValueError("has no class labels; end each line by one and say @classLabel true")
    return None


def _read(number: int, line: str, labelled: bool) -> Example:
    """An example, as it stands in the file."""
    *texts, label = line.split(":") if labelled else [*line.split(":"), ""]
    if not texts:
        raise ValueError(f"has on line {number} no label behind a colon, or is cut there")
    dimensions = [[_number(number, cell.strip()) for cell in text.split(",")] for text in texts]
    lengths = sorted({len(values) for values in dimensions})
    if len(lengths) > 1:
        what = f"dimensions of {lengths[0]} to {lengths[-1]} values"
        raise ValueError(f"has on line {number} {what}; give all as many, {MISSING} for missing")
    return Example(number, np.array(dimensions, np.float32).T, label.strip())


def _number(line: int, cell: str) -> float:
    """The value of a cell, NaN if it is missing."""
    try:
        value = math.nan if cell == MISSING else float(cell)
        if math.isnan(value) or abs(value) <= LARGEST:
            return value
    except ValueError:
        pass
    wanted = f"where a finite number or {MISSING} must be"
    raise ValueError(f"has on line {line} {cell[:40]!r}, {wanted}")


def _check(examples: Sequence[Example], tags: Tags, classes: Sequence[str] | None) -> None:
    """Raises `ValueError` unless the examples are what the tags say, and fit one another."""
    if not examples:
        raise ValueError("has no series after the line @data, or is cut there")
    length, dimensions = examples[0].values.shape
    dimensions = 1 if _switch(tags, "@univariate", False) else dimensions
    dimensions = _count(tags, ("@dimensions", "@dimension"), dimensions)
    length = _count(tags, ("@seriesLength",), length)
    equal = _switch(tags, "@equalLength", False)
    for line, values, label in examples:
        if values.shape[1] != dimensions:
            what = f"{values.shape[1]} dimensions, where {dimensions} must be"
            raise ValueError(f"has on line {line} {what}, or is cut there")
        if equal and len(values) != length:
            what = f"{len(values)} values in a dimension, where {length} must be"
            raise ValueError(f"has on line {line} {what}; say @equalLength false if that is right")
        if classes is not None and not label:
            raise ValueError(f"has on line {line} an empty label, or is cut there")
        if classes and label not in classes:
            what = f"the label {label[:40]!r}, which @classLabel does not name"
            raise ValueError(f"has on line {line} {what}, or is cut there")


def _switch(tags: Tags, tag: str, default: bool) -> bool:
    """What a tag says, true or false; the default if it is not there."""
    word = next(iter(tags.get(tag.lower(), (str(default),))), "").lower()
    if word not in ("true", "false"):
        raise ValueError(f"has the tag {tag} {word[:40]!r}, it must be true or false")
    return word == "true"


def _count(tags: Tags, names: Iterable[str], default: int) -> int:
    """The number behind the first of the tags that is there; the default if none is."""
    for tag in names:
        if words := tags.get(tag.lower()):
            if not words[0].isdecimal() or len(words[0]) > 9:
                raise ValueError(f"has the tag {tag} {words[0][:40]!r}, it must be a number")
            return int(words[0])
    return default


def _whole(example: Example) -> np.ndarray:
    """The values without padding and gaps."""
    try:
        return fill(example.values)
    except ValueError as error:
        raise ValueError(f"has on line {example.line} {error}") from error


def fill(values: np.ndarray) -> np.ndarray:
    """Drops the steps at the end that are missing whole, and interpolates the other gaps.

    Args:
        values: [T, D], NaN where a value is missing.

    Returns:
        Finite values [T', D], T' at most T.

    Raises:
        ValueError: if a dimension has no value at all.

    Example:
        >>> fill(np.array([[np.nan], [1.0], [np.nan], [3.0], [np.nan]])).ravel().tolist()
        [1.0, 1.0, 2.0, 3.0]
    """
    present = ~np.isnan(values)
    empty = np.flatnonzero(~present.any(axis=0))
    if empty.size:
        raise ValueError(f"no value in dimension {empty[0] + 1}; leave the example out")
    steps = np.arange(1 + np.flatnonzero(present.any(axis=1))[-1])
    columns = [
        np.interp(steps, np.flatnonzero(there), column[there])
        for column, there in zip(values.T, present.T, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float32)
