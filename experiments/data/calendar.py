"""Dates as files write them, and the step from each to the next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

DAY = 86_400  # seconds
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": DAY, "week": 7 * DAY}
YEAR_NAMES = ("date", "time", "year")  # of a column whose numbers are years
ISO = re.compile(r"\d{4}-\d{2}(-\d{2}([T ].*)?)?")
LEADING_YEAR = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(.*)")
DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)")
SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(.*)")
EXAMPLES = "2016-07-01, 2016-07, 2016-07-01 13:00, 2016/7/1, 1.7.2016 or 13/7/2016"


class Step(NamedTuple):
    """From one date to the next: so many seconds, months or working days.

    Example:
        >>> Step(1, "month").dates(np.array(["2020-01-31", "2020-02-29"], "M8[s]"), 3).tolist()[-1]
        datetime.datetime(2020, 3, 31, 0, 0)
    """

    size: int
    unit: str  # "second", "month" or "working day"

    def __str__(self) -> str:
        size, unit = self
        if unit == "second":
            unit = next(name for name, whole in reversed(UNITS.items()) if size % whole == 0)
            size //= UNITS[unit]
        return f"{size} {unit}{'s' * (size > 1)}"

    def season(self) -> int:
        """Steps of the season that is likely: a day, a week of days, a year of months; or 1."""
        wholes = {"second": DAY if self.size < DAY else 7 * DAY, "month": 12, "working day": 5}
        whole = wholes[self.unit]
        return max(whole // self.size, 1) if whole % self.size == 0 else 1

    def places(self, dates: np.ndarray, lines: Sequence[int]) -> np.ndarray:
        """How many steps each date is behind the first, for dates [R] in order.

        Raises:
            ValueError: naming the line of a date that lies between two steps.
        """
        if self.unit == "second":
            distance = (dates - dates[0]).astype(np.int64)
        elif self.unit == "month":
            months = dates.astype("M8[M]").astype(np.int64)
            distance = months - months[0]
        else:
            days = dates.astype("M8[D]")
            distance = np.busday_count(days[0], days)
        off = np.flatnonzero(distance % self.size)
        if off.size:
            what = f"has on line {lines[off[0]]} the date {dates[off[0]]}"
            raise ValueError(f"{what}, which is no whole number of steps of {self} from the first")
        return distance // self.size

    def dates(self, known: np.ndarray, number: int) -> np.ndarray:
        """The first `number` dates from the first of those that are known, datetime64[s]."""
        steps = self.size * np.arange(number)
        if self.unit == "second":
            return known[0] + steps.astype("m8[s]")
        if self.unit == "working day":
            days = known.astype("M8[D]")
            return np.busday_offset(days[0], steps).astype("M8[s]") + (known[0] - days[0])
        month = known.astype("M8[M]")
        later = month[0] + steps.astype("m8[M]")
        last = (later + np.timedelta64(1, "M")).astype("M8[D]") - np.timedelta64(1, "D")
        if _at_month_ends(known):
            return last.astype("M8[s]")
        return later.astype("M8[s]") + (known[0] - month[0])

    def after(self, known: np.ndarray, number: int) -> np.ndarray:
        """The next `number` dates behind all that are known."""
        return self.dates(known, len(known) + number)[len(known) :]


def is_date(cell: str) -> bool:
    """Whether a cell looks like a date; a year alone does not."""
    return any(form.fullmatch(cell) for form in (ISO, LEADING_YEAR, DOTTED, SLASHED))


def is_year(cell: str, name: str) -> bool:
    """Whether a cell is a year, in a column that is named after it."""
    return name.lower() in YEAR_NAMES and re.fullmatch(r"\d{4}", cell) is not None


def read_dates(cells: Sequence[str], lines: Sequence[int]) -> np.ndarray:
    """Dates as datetime64[s] [R], in their order or from the newest back.

    They are years, months 2016-07, days, or days with a time; 1.7.2016 is in July. Whether 1/7/2016
    is, a first or a second number above 12 in another cell tells; where none does they are refused.
    Times with an offset become UTC.

    Raises:
        ValueError: naming the line of what is no date, and of dates that are in disorder or twice.
    """
    day_first = _day_first(list(filter(SLASHED.fullmatch, cells)))
    dates = np.empty(len(cells), "M8[s]")
    aware = set()
    for i, (cell, line) in enumerate(zip(cells, lines, strict=True)):
        try:
            found = _parse(cell, day_first)
        except ValueError as error:
            what = f"has on line {line} the date {cell[:40]!r}"
            raise ValueError(f"{what}, which cannot be read; write it like {EXAMPLES}") from error
        aware.add(found.tzinfo is not None)
        if len(aware) > 1:
            raise ValueError(f"has on line {line} a date that differs in having a time zone")
        found = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
        dates[i] = np.datetime64(found, "s")
    _check_order(dates, cells, lines)
    return dates


def _day_first(cells: Sequence[str]) -> bool:
    """Whether of dates a/b/year the first number is the day."""
    pairs = [tuple(map(int, re.split("[/-]", cell)[:2])) for cell in cells]
    days = any(a > 12 for a, _ in pairs)
    if pairs and days == any(b > 12 for _, b in pairs):
        raise ValueError(
            f"has dates like {cells[0][:40]}, of which nothing tells whether the day or the"
            " month comes first; write them like 2016-07-01"
        )
    return days


def _parse(cell: str, day_first: bool) -> datetime:
    if re.fullmatch(r"\d{4}", cell):
        return datetime(int(cell), 1, 1)
    if re.fullmatch(r"\d{4}-\d{2}", cell):
        return datetime.fromisoformat(f"{cell}-01")
    if ISO.fullmatch(cell):
        return datetime.fromisoformat(cell)
    if found := LEADING_YEAR.fullmatch(cell):
        year, month, day, time = found.groups()
    elif found := DOTTED.fullmatch(cell):
        day, month, year, time = found.groups()
    elif found := SLASHED.fullmatch(cell):
        day, month, year, time = found.groups()
        if not day_first:
            day, month = month, day
    else:
        raise ValueError(cell)
    time = re.sub(r"^(\d):", r"0\1:", time.strip())
    return datetime.fromisoformat(f"{year}-{int(month):02}-{int(day):02} {time}".strip())


def _check_order(dates: np.ndarray, cells: Sequence[str], lines: Sequence[int]) -> None:
    """Raises `ValueError` unless all dates rise, or all fall."""
    distances = np.diff(dates).astype(np.int64)
    if distances.size and distances[0] < 0:
        distances = -distances
    wrong = np.flatnonzero(distances <= 0)
    if not wrong.size:
        return
    place = wrong[0]
    here, before = f"line {lines[place + 1]}", f"line {lines[place]}"
    if dates[place] == dates[place + 1]:
        what = f"has the date {cells[place][:40]} on {before} and again on {here}; keep one of them"
    else:
        what = f"has dates out of order on {before} and {here}; sort them"
    raise ValueError(what)


def find_step(dates: np.ndarray, lines: Sequence[int]) -> Step:
    """What most often lies between two of some dates [R] that rise.

    Raises:
        ValueError: if there is but one.
    """
    if len(dates) < 2:
        raise ValueError("has one row, of which no step to the next can be told; give more")
    months = dates.astype("M8[M]")
    if (np.diff(months).astype(int) > 0).all() and (
        _at_month_ends(dates) or len(set((dates - months).tolist())) == 1
    ):
        return Step(_most_often(np.diff(months)), "month")
    seconds = _most_often(np.diff(dates))
    days = dates.astype("M8[D]")
    at_one_time = len(set((dates - days).tolist())) == 1
    a_week = days[-1] - days[0] >= np.timedelta64(7, "D")
    if seconds == DAY and at_one_time and a_week and np.is_busday(days).all():
        return Step(1, "working day")
    return Step(seconds, "second")


def _most_often(distances: np.ndarray) -> int:
    """The distance that comes most often, the smaller one of two."""
    counts = Counter(distances.astype(np.int64).tolist())
    return min(counts, key=lambda distance: (-counts[distance], distance))


def _at_month_ends(dates: np.ndarray) -> bool:
    """Whether each date is the last day of a month, at midnight."""
    days = dates.astype("M8[D]")
    following = days + np.timedelta64(1, "D")
    first = following.astype("M8[M]").astype("M8[D]")
    return bool((days == dates).all() and (first == following).all())
