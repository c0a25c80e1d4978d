"""Dated series from CSV files: what is read, what is repaired, what is refused."""

import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.data.calendar import Step
from experiments.data.csv_series import read_dated

FIELD = "config.task.path"
SERIES = "date,OT,load\n2016-07-01 00:00:00,1.5,-2\n2016-07-01 01:00:00,2.5e1, 3\n\n"
DAYS = [f"2020-01-{day:02}" for day in range(1, 32)]


@pytest.fixture
def data_dir():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    return Path(os.environ["LSTM_JAX_DATA"])


def put(directory, content):
    path = directory / "file.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path, **options):
    """The one line with which a file is refused; it names the field and the file."""
    with pytest.raises(ConfigError) as raised:
        read_dated(path, FIELD, **options)
    message = str(raised.value)
    assert message.startswith(f"{FIELD}: {path} ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message


def test_a_series_is_read_with_its_dates(tmp_path):
    found = read_dated(put(tmp_path, SERIES), FIELD)
    assert found.name == "file.csv"
    assert found.columns == ("OT", "load")
    assert found.step == Step(3600, "second")
    np.testing.assert_array_equal(found.values, [[1.5, -2.0], [25.0, 3.0]])
    assert [str(date) for date in found.dates] == ["2016-07-01T00:00:00", "2016-07-01T01:00:00"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_named_columns_come_in_the_order_of_their_names(tmp_path, separator, end):
    rows = [['\ufeff"a"', '"b c"', "d", "day"], ['"1"', "2", "x", "2020-01-01"]]
    rows += [["3", '"4"', "", '"2020-01-02"']]
    text = end.join(separator.join(row) for row in rows)
    found = read_dated(put(tmp_path, text), FIELD, ("b c", "a"))
    assert found.columns == ("b c", "a")
    np.testing.assert_array_equal(found.values, [[2.0, 1.0], [4.0, 3.0]])


def test_random_numbers_survive(tmp_path):
    expected = np.random.default_rng(0).normal(size=(31, 3)) * 10.0 ** np.arange(-9, 9, 6)
    lines = [",".join([d, *map(repr, row)]) for d, row in zip(DAYS, expected.tolist(), strict=True)]
    found = read_dated(put(tmp_path, "\n".join(["day,x,y,z", *lines])), FIELD)
    np.testing.assert_array_equal(found.values, expected)


def test_decimal_commas_are_read_between_semicolons(tmp_path):
    text = "Tag;Kurs\n01.02.2020;1,25\n02.02.2020;-3,5e1\n03.02.2020;7\n"
    found = read_dated(put(tmp_path, text), FIELD)
    assert found.values.ravel().tolist() == [1.25, -35.0, 7.0]
    mixed = put(tmp_path, text.replace("7", "7.5"))
    assert "has on line 2 '1,25' in the column 'Kurs', where a number" in refused(mixed)


def test_numbers_may_name_columns(tmp_path):
    assert read_dated(put(tmp_path, SERIES.replace("OT", "600519")), FIELD).columns[0] == "600519"


def test_a_file_from_its_newest_date_back_is_turned_round(tmp_path):
    rows = [f"{day},{number}" for number, day in enumerate(DAYS)]
    forth = read_dated(put(tmp_path, "\n".join(["day,x", *rows])), FIELD)
    back = read_dated(put(tmp_path, "\n".join(["day,x", *rows[::-1]])), FIELD)
    np.testing.assert_array_equal(back.values, forth.values)
    np.testing.assert_array_equal(back.dates, forth.dates)


def test_gaps_repeat_the_value_before_them_and_nothing_after(tmp_path, caplog):
    """Missing dates and cells; what follows a gap may be anything and the filled part stays."""
    random = np.random.default_rng(3)
    values = random.normal(size=(31, 2)).tolist()
    cells = [[day, *map(repr, row)] for day, row in zip(DAYS, values, strict=True)]
    for row, mark in ((4, ""), (5, "NaN"), (9, "n/a"), (10, "?"), (11, "null")):
        cells[row][2] = mark
    missing = {14, 15, 20}
    text = "\n".join(["day,x,y", *(",".join(c) for n, c in enumerate(cells) if n not in missing)])
    found = read_dated(put(tmp_path, text), FIELD)
    expected = np.array(values)
    for row in range(1, 31):
        gone = row in missing
        if gone:
            expected[row, 0] = expected[row - 1, 0]
        if gone or row in (4, 5, 9, 10, 11):
            expected[row, 1] = expected[row - 1, 1]
    np.testing.assert_array_equal(found.values, expected)
    assert [str(date)[:10] for date in found.dates] == DAYS
    assert found.filled == 5 + 2 * 3
    assert "file.csv: 11 of 62 values are missing; each repeats the one before it" in caplog.text


def test_long_gaps_are_refused_by_line(tmp_path):
    rows = [f"{day},{number}" for number, day in enumerate(DAYS)]
    path = put(tmp_path, "\n".join(["day,x", *rows[:10], *rows[14:]]))
    assert len(read_dated(path, FIELD, longest_gap=4).values) == 31
    message = refused(path, longest_gap=3)
    assert "lacks 4 rows before line 12, each 1 day after the other; fill them, or allow" in message
    assert message.endswith("config.task.longest_gap=4")
    rows[5:8] = [f"{day}," for day in DAYS[5:8]]
    path = put(tmp_path, "\n".join(["day,x", *rows]))
    assert len(read_dated(path, FIELD, longest_gap=3).values) == 31
    message = refused(path, longest_gap=2)
    assert "more than 2 missing values in a row in the column 'x', up to line 9" in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2.5e1", "x" * 99, "on line 3 " + repr("x" * 40) + " in the column 'OT', where a number"),
        ("-2", "-inf", "on line 2 '-inf' in the column 'load'"),
        ("-2", "1e31", "on line 2 '1e31' in the column 'load', where a number up to 1e+30"),
        ("-2", "1e999", "on line 2 '1e999' in the column 'load'"),
        ("-2", "1_000", "on line 2 '1_000' in the column 'load'"),
        ("-2", '"1,000"', "on line 2 '1,000' in the column 'load'"),
        ("-2", '"1,000.5"', "on line 2 '1,000.5' in the column 'load'"),
        ("1.5", "", "no value in the column 'OT' on line 2, the first one"),
        ("1.5", "1,5", "on line 2 4 cells, but the header names 3 columns"),
        (", 3", "", "on line 3 2 cells"),
        ("date,OT,load\n", "", "must have the names of its columns on its first line"),
        ("load", "OT", "has several columns 'OT'"),
        ("2016-07-01 01", '"2016', "on line 4 what is no CSV (unexpected end of data)"),
        ("2016-07-01 01", '"2016" ', "on line 3 what is no CSV (',' expected after '\"')"),
        (SERIES[13:], "", "has a header and no row of numbers"),
        ("\n2016-07-01 01:00:00,2.5e1, 3", "", "has one row, of which no step"),
        (SERIES, "\n\n", "has no line but blank ones"),
        (SERIES, "date\n2016-07-01\n2016-07-02\n", "has only one column; give a column of dates"),
        ("2016-07-01 00:00:00", "first", "has no column of dates (line 2: first, 1.5, -2)"),
        ("01:00:00", "00:00:00", "2016-07-01 00:00:00 on line 2 and again on line 3; keep one"),
        (",OT", f",{'x' * 140_000}", "on line 1 what is no CSV (field larger than field limit"),
    ],
)
def test_what_is_no_series_is_refused(tmp_path, old, new, message):
    assert old in SERIES
    assert message in refused(put(tmp_path, SERIES.replace(old, new)))


def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path):
    message = refused(tmp_path / "absent.csv")
    assert message.count(FIELD) == 1
    assert "cannot be read (No such file or directory); give the path of a file" in message
    assert "is no UTF-8 text (byte 4, line 1, column 5)" in refused(put(tmp_path, b"date\xff,x\n"))


def test_irregular_dates_are_refused_by_line(tmp_path):
    rows = [f"{day},1" for day in DAYS]
    rows[20] = "2020-01-21 07:30,1"
    message = refused(put(tmp_path, "\n".join(["day,x", *rows])))
    assert (
        "on line 22 the date 2020-01-21T07:30:00, which is no whole number of steps of" in message
    )
    rows[20], rows[21] = "2020-01-22,1", "2020-01-21,1"
    message = refused(put(tmp_path, "\n".join(["day,x", *rows])))
    assert "dates out of order on line 22 and line 23; sort them" in message


def test_a_column_that_is_absent_has_a_hint(tmp_path):
    message = refused(put(tmp_path, SERIES), columns=("loads",))
    assert message.endswith("has no column 'loads'; it has date, OT, load; did you mean 'load'?")
    message = refused(put(tmp_path, SERIES), columns=("date",))
    assert "has dates in the column 'date'; name columns of numbers" in message


@pytest.mark.parametrize("content", ["1," * 5_000_000, SERIES + "x" * 10_000_000, "a," * 5_000_000])
def test_a_line_without_end_is_refused_at_once(tmp_path, content):
    path = put(tmp_path, content)
    tracemalloc.start()
    started = time.process_time()
    assert "0000 characters, at most 1000000 will do" in refused(path)
    assert time.process_time() - started < 3.0
    assert tracemalloc.get_traced_memory()[1] < 10 * len(content)
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "names", "rows", "filled", "first", "last"),
    [
        ("ett/ETTh1", "HUFL HULL MUFL MULL LUFL LULL OT", 17420, 0, 5.827, 9.567),
        ("univariate/airline-passengers", "Passengers", 144, 0, 112.0, 432.0),
        ("univariate/daily-min-temperatures", "Temp", 3652, 2, 20.7, 13.0),
        ("univariate/monthly-sunspots", "Sunspots", 2820, 0, 58.0, 33.4),
    ],
)
def test_real_series_are_read(data_dir, name, names, rows, filled, first, last):
    """The temperatures lack the last day of two leap years."""
    found = read_dated(data_dir / f"{name}.csv", FIELD)
    assert found.columns == tuple(names.split())
    assert found.values.shape == (rows, len(found.columns))
    assert found.filled == filled
    assert found.values[0, 0] == pytest.approx(first)
    assert found.values[-1, -1] == pytest.approx(last)
