"""Dated series from CSV files: a row a date, a column a channel."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from experiments.data import calendar, files
from experiments.data.calendar import Step
from experiments.nearest import hint

SEPARATORS = ",;\t"
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")  # how files write it, in any case
LARGEST = 1e30  # its square is finite in single precision no longer
LONGEST_LINE = 1_000_000  # characters; a longer line is no row of a series
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)


class Dated(NamedTuple):
    """Series of numbers at regular dates.

    Attributes:
        name: of the file.
        dates: datetime64[s] [R], a step apart.
        columns: the names of the C channels.
        values: float64 [R, C], finite.
        step: from one date to the next.
        filled: how many of the values were missing.
    """

    name: str
    dates: np.ndarray
    columns: tuple[str, ...]
    values: np.ndarray
    step: Step
    filled: int = 0


class Row(NamedTuple):
    """A line of the file by its number from 1, in its cells."""

    line: int
    cells: list[str]


def read_dated(path: Path, field: str, columns: Sequence[str] = (), longest_gap: int = 7) -> Dated:
    """Reads a CSV file with a header, a column of dates and columns of numbers.

    - Text: UTF-8, a byte order mark is dropped. Cells are separated by the one of comma, semicolon
      and tab that the header has most of, and may be quoted. Where that is no comma, numbers may
      have a decimal comma, if none has a point. Blank lines are skipped; a line with more or fewer
      cells than the header is refused.
    - Dates: the first column whose first cell is a date, see `calendar.read_dates`. A file that
      starts with its newest date is turned round; any other disorder, and a date that comes twice,
      is refused, and so is one that lies between two steps of what is most often the distance of
      two dates: some seconds, some months, or a working day where no date is a weekend's.
    - Gaps: for a missing date, and for an empty cell or one of `MISSING`, the value before it is
      repeated, and a warning counts them. Nothing is interpolated: that would tell what comes next.
      More than `longest_gap` in a row are refused, and so is a column that starts with one.
    - Numbers: what is neither number nor missing, infinite or beyond `LARGEST` is refused.

    Args:
        path: the file.
        field: the config's field that names it.
        columns: the names of the columns to read, in this order; none: all but the dates.
        longest_gap: rows.

    Raises:
        ConfigError: naming the file, the line and what is wrong with it.
    """
    text = files.read_text(path, field)
    try:
        separator = _separator(text)
        header, rows = _table(text, separator)
        place = _date_column(header, rows[0])
        names = tuple(columns) or tuple(n for i, n in enumerate(header) if i != place)
        places = _places(header, names, place)
        lines = [row.line for row in rows]
        dates = calendar.read_dates([row.cells[place].strip() for row in rows], lines)
        values = _numbers(rows, header, places, decimal_commas=separator != ",")
        if len(rows) > 1 and dates[0] > dates[-1]:
            dates, values, lines = dates[::-1], values[::-1], lines[::-1]
        return _regular(path, dates, names, values, lines, longest_gap)
    except ValueError as error:
        raise files.refusal(path, field, str(error)) from error


def _separator(text: str) -> str:
    """The one that the first line which is not blank has most of."""
    first = next(iter(text.lstrip().splitlines()), "")
    return max(SEPARATORS, key=first.count)


def _table(text: str, separator: str) -> tuple[list[str], list[Row]]:
    """The header and the rows behind it, at least one, all with as many cells."""
    for number, line in enumerate(io.StringIO(text), 1):
        if len(line) > LONGEST_LINE:
            what = f"has on line {number} {len(line)} characters"
            raise ValueError(f"{what}, at most {LONGEST_LINE} will do")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        rows = [Row(reader.line_num, cells) for cells in reader if any(c.strip() for c in cells)]
    except csv.Error as error:
        raise ValueError(f"has on line {reader.line_num} what is no CSV ({error})") from error
    if not rows:
        raise ValueError("has no line but blank ones; give a header and rows below it")
    header = [cell.strip() for cell in rows[0].cells]
    _check_header(header, len(rows))
    for number, cells in rows[1:]:
        if len(cells) != len(header):
            what = f"has on line {number} {len(cells)} cells, but the header names {len(header)}"
            raise ValueError(f"{what} columns")
    return header, rows[1:]


def _check_header(header: Sequence[str], rows: int) -> None:
    """Raises `ValueError` unless the first line names columns, and others follow."""
    dated = any(map(calendar.is_date, header))
    if dated or all(NUMBER.fullmatch(cell) for cell in header):
        raise ValueError("must have the names of its columns on its first line")
    if len(header) < 2:
        what = "one column; give a column of dates and columns of numbers, separated by commas"
        raise ValueError(f"has only {what}")
    for name in header:
        if header.count(name) > 1:
            raise ValueError(f"has several columns {name!r}; rename them")
    if rows < 2:
        raise ValueError("has a header and no row of numbers")


def _date_column(header: Sequence[str], first: Row) -> int:
    """The place of the first column whose first cell is a date."""
    for place, (name, cell) in enumerate(zip(header, first.cells, strict=True)):
        if calendar.is_date(cell.strip()) or (calendar.is_year(cell.strip(), name)):
            return place
    seen = ", ".join(first.cells)[:60]
    raise ValueError(
        f"has no column of dates (line {first.line}: {seen}); give one like 2016-07-01 13:00"
    )


def _places(header: Sequence[str], names: Sequence[str], dates: int) -> list[int]:
    """Where the columns of numbers are."""
    for name in names:
        if name not in header:
            has = f"it has {', '.join(header)[:200]}{hint(name, header)}"
            raise ValueError(f"has no column {name!r}; {has}")
        if header.index(name) == dates:
            raise ValueError(f"has dates in the column {name!r}; name columns of numbers")
    return [header.index(name) for name in names]


def _numbers(
    rows: Sequence[Row], header: Sequence[str], places: Sequence[int], decimal_commas: bool
) -> np.ndarray:
    """The values of the columns [R, C], NaN where they are missing.

    Decimal commas are read if they are allowed and no number has a point.
    """
    cells = [[row.cells[place].strip() for place in places] for row in rows]
    commas = decimal_commas and not any("." in cell for line in cells for cell in line)
    values = np.full((len(rows), len(places)), math.nan)
    for i, line in enumerate(cells):
        for j, cell in enumerate(line):
            if cell.lower() in MISSING:
                continue
            plain = cell.replace(",", ".") if commas else cell
            if not NUMBER.fullmatch(plain) or not abs(float(plain)) <= LARGEST:
                what = f"{cell[:40]!r} in the column {header[places[j]]!r}"
                wanted = f"where a number up to {LARGEST:g} must be"
                raise ValueError(f"has on line {rows[i].line} {what}, {wanted}")
            values[i, j] = float(plain)
    return values


def _regular(
    path: Path,
    dates: np.ndarray,
    names: tuple[str, ...],
    values: np.ndarray,
    lines: Sequence[int],
    longest: int,
) -> Dated:
    """The series at every step from the first to the last date, without gaps."""
    step = calendar.find_step(dates, lines)
    places = step.places(dates, lines)
    for gap, line in zip(np.diff(places) - 1, lines[1:], strict=True):
        if gap > longest:
            what = f"lacks {gap} rows before line {line}, each {step} after the other"
            raise ValueError(f"{what}; fill them, or allow config.task.longest_gap={gap}")
    grid = np.full((places[-1] + 1, values.shape[1]), math.nan)
    grid[places] = values
    origin = np.full(len(grid), lines[-1])
    origin[places] = lines
    whole = np.stack(
        [_carry(c, n, origin, longest) for c, n in zip(grid.T, names, strict=True)], axis=1
    )
    filled = int(np.isnan(grid).sum())
    if filled:
        text = "%s: %d of %d values are missing; each repeats the one before it"
        logging.warning(text, path, filled, grid.size)
    return Dated(path.name, step.dates(dates, len(grid)), names, whole, step, filled)


def _carry(column: np.ndarray, name: str, lines: np.ndarray, longest: int) -> np.ndarray:
    """A column in which the last value before a gap is repeated.

    Example:
        >>> _carry(np.array([1.0, np.nan, 3.0]), "x", np.array([2, 2, 3]), 1).tolist()
        [1.0, 1.0, 3.0]
    """
    places = np.arange(len(column))
    latest = np.maximum.accumulate(np.where(np.isnan(column), -1, places))
    if latest[0] < 0:
        what = f"has no value in the column {name!r} on line {lines[0]}, the first one"
        raise ValueError(f"{what}; start it where all columns have values")
    gaps = places - latest
    if gaps.max() > longest:
        end = int(np.argmax(gaps > longest))
        what = f"has more than {longest} missing values in a row in the column {name!r}"
        raise ValueError(
            f"{what}, up to line {lines[end]}; fill them, or allow config.task.longest_gap="
            f"{gaps.max()}"
        )
    return column[latest]
