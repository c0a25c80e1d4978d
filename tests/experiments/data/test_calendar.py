"""Dates as files write them, and the steps between them."""

import calendar as python_calendar
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from experiments.data import calendar
from experiments.data.calendar import Step


def read(*cells):
    return calendar.read_dates(cells, range(2, 2 + len(cells))).tolist()


def dates(*texts):
    return np.array(texts, "M8[s]")


def step_of(known):
    return calendar.find_step(known, range(2, 2 + len(known)))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1949", datetime(1949, 1, 1)),
        ("1949-03", datetime(1949, 3, 1)),
        ("2016-07-01", datetime(2016, 7, 1)),
        ("2016-07-01 13:05", datetime(2016, 7, 1, 13, 5)),
        ("2016-07-01T13:05:09", datetime(2016, 7, 1, 13, 5, 9)),
        ("2016-07-01T13:05:09+02:00", datetime(2016, 7, 1, 11, 5, 9)),
        ("2016-07-01T13:05Z", datetime(2016, 7, 1, 13, 5)),
        ("2016/7/1", datetime(2016, 7, 1)),
        ("1.7.2016", datetime(2016, 7, 1)),
        ("01.07.2016 9:30", datetime(2016, 7, 1, 9, 30)),
        ("13/7/2016", datetime(2016, 7, 13)),
        ("7/13/2016 23:00", datetime(2016, 7, 13, 23)),
        ("7-13-2016", datetime(2016, 7, 13)),
    ],
)
def test_dates_are_read_in_many_forms(cell, expected):
    assert read(cell) == [expected]


def test_another_cell_tells_the_day_from_the_month():
    assert read("1/7/2016", "12/7/2016", "13/7/2016")[0] == datetime(2016, 7, 1)
    assert read("1/7/2016", "1/12/2016", "1/13/2016")[0] == datetime(2016, 1, 7)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1/7/2016", "2/7/2016"], "has dates like 1/7/2016, of which nothing tells whether the"),
        (["13/7/2016", "7/14/2016"], "has dates like 13/7/2016, of which nothing tells"),
        (["2016-01-01", "2016-02-30"], "has on line 3 the date '2016-02-30', which cannot be read"),
        (["2016-01-01", "soon"], "has on line 3 the date 'soon', which cannot be read; write it"),
        (["2016-01-01", ""], "has on line 3 the date '', which"),
        (["2016-01-01", "2016-01-02", "2016-01-02"], "2016-01-02 on line 3 and again on line 4"),
        (["2016-01-01", "2016-01-03", "2016-01-02"], "dates out of order on line 3 and line 4"),
        (["2016-01-03", "2016-01-02", "2016-01-04"], "dates out of order on line 3 and line 4"),
        (["2016-01-01", "2016-01-02T00:00Z"], "line 3 a date that differs in having a time zone"),
    ],
)
def test_what_cannot_be_read_names_its_line(cells, message):
    with pytest.raises(ValueError) as raised:
        read(*cells)
    assert message in str(raised.value)


def month_ends(start, number):
    found = []
    for k in range(number):
        year, month = divmod(start - 1 + k, 12)
        days = python_calendar.monthrange(2020 + year, month + 1)[1]
        found.append(date(2020 + year, month + 1, days))
    return found


def working_days(start, number):
    found, day = [], start
    while len(found) < number:
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return found


HOURLY = [datetime(2016, 7, 1) + timedelta(hours=k) for k in range(40)]
WEEKLY = [datetime(2016, 7, 1) + timedelta(weeks=k) for k in range(40)]
TWO_DAYS = [date(2019, 12, 1) + timedelta(days=2 * k) for k in range(90)]
QUARTERS = [date(1999 + k // 4, 1 + 3 * (k % 4), 15) for k in range(30)]


@pytest.mark.parametrize(
    ("known", "expected", "text", "season"),
    [
        (HOURLY, Step(3600, "second"), "1 hour", 24),
        (WEEKLY, Step(7 * 86_400, "second"), "1 week", 1),
        (TWO_DAYS, Step(2 * 86_400, "second"), "2 days", 1),
        (month_ends(1, 30), Step(1, "month"), "1 month", 12),
        (QUARTERS, Step(3, "month"), "3 months", 4),
        (working_days(date(2021, 3, 4), 60), Step(1, "working day"), "1 working day", 5),
    ],
)
def test_steps_are_found_and_go_on(known, expected, text, season):
    """The last ten dates follow from the others, and gaps do not change the step."""
    every = np.array(known, "M8[s]")
    step = step_of(every)
    assert (step, str(step), step.season()) == (expected, text, season)
    np.testing.assert_array_equal(step.after(every[:-10], 10), every[-10:])
    kept = np.r_[0:3, 4 : len(every)]
    assert step_of(every[kept]) == expected
    np.testing.assert_array_equal(step.places(every[kept], kept), kept)


def test_seven_days_a_week_are_no_working_days():
    every = np.arange("2021-03-01", "2021-03-20", dtype="M8[D]").astype("M8[s]")
    assert step_of(every) == Step(86_400, "second")
    assert step_of(every[:5]) == Step(86_400, "second")  # Monday to Friday


def test_a_date_between_two_steps_names_its_line():
    known = dates("2020-01-01T00", "2020-01-01T01", "2020-01-01T02", "2020-01-01T03:30")
    step = step_of(known)
    with pytest.raises(ValueError, match="on line 5 the date 2020-01-01T03:30:00, which is no"):
        step.places(known, range(2, 6))


def test_one_date_has_no_step():
    with pytest.raises(ValueError, match="has one row, of which no step"):
        step_of(dates("2020-01-01"))


def test_years_are_dates_only_under_their_name():
    assert calendar.is_year("1949", "Year")
    assert not calendar.is_year("1949", "Passengers")
    assert not calendar.is_date("1949")
