"""Series of `.ts` files: whatever they hold is read as it is, or refused in one sentence."""

import os
from pathlib import Path

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.data.series import fill, read_ts

HEADER = """\
# two dimensions, two classes

@problemName Toy
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down
@data
"""
ROWS = "1,2,3:4,5,6:up\n-1:2e1:down\n"
TOY = HEADER + ROWS


def put(directory, content):
    path = directory / "toy.ts"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path, **options):
    """The one sentence with which a file is refused; it names the field and the file."""
    with pytest.raises(ConfigError) as raised:
        read_ts(path, "config.task.path", **options)
    message = str(raised.value)
    assert message.startswith(f"config.task.path: {path} ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200
    return message


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
def test_a_file_is_read(tmp_path, separator):
    found = read_ts(put(tmp_path, "\ufeff" + TOY.replace("\n", separator)), "config.task.path")
    assert (found.name, found.labels, found.classes) == ("Toy", ["up", "down"], ("up", "down"))
    np.testing.assert_array_equal(found.sequences[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(found.sequences[1], [[-1, 20]])
    assert all(sequence.dtype == np.float32 for sequence in found.sequences)


def test_tags_come_in_any_case_and_may_be_few(tmp_path):
    path = put(tmp_path, "@CLASSLABEL True\n@Other tag\n@DATA\n 1 , 2 : b c \n\n# 3\n3,4:a\n")
    found = read_ts(path, "config.task.path")
    assert (found.name, found.labels, found.classes) == ("toy", ["b c", "a"], ("a", "b c"))
    np.testing.assert_array_equal(found.sequences[0], [[1], [2]])


def test_random_series_survive(tmp_path):
    """Written here in full precision, with any lengths, dimensions and labels."""
    random = np.random.default_rng(0)
    for dimensions in (1, 2, 7):
        classes = [f"class-{n}" for n in range(random.integers(1, 5))]
        shapes = [(random.integers(1, 30), dimensions) for _ in range(9)]
        expected = [(9 * random.normal(size=shape)).astype(np.float32) for shape in shapes]
        labels = random.choice(classes, 9).tolist()
        rows = [
            ":".join([*(",".join(map(repr, d)) for d in values.T.tolist()), label])
            for values, label in zip(expected, labels, strict=True)
        ]
        head = f"@dimensions {dimensions}\n@classLabel true {' '.join(classes)}\n@data\n"
        found = read_ts(put(tmp_path, head + "\n".join(rows)), "config.task.path")
        assert (found.labels, found.classes) == (labels, tuple(classes))
        for got, values in zip(found.sequences, expected, strict=True):
            np.testing.assert_array_equal(got, values, strict=True)


def test_series_without_labels_are_read_where_none_are_needed(tmp_path):
    path = put(tmp_path, "@classLabel false\n@data\n1,2:3,4\n")
    found = read_ts(path, "config.task.path", labelled=False)
    assert (found.labels, found.classes) == ([], ())
    np.testing.assert_array_equal(found.sequences[0], [[1, 3], [2, 4]])
    assert "has no class labels; end each line by one" in refused(path)
    assert read_ts(put(tmp_path, TOY), "config.task.path", labelled=False).labels == ["up", "down"]


def test_missing_values_are_interpolated(tmp_path):
    path = put(tmp_path, HEADER + "?,1,NaN,?,4,?,?:9,?,7,7,nan,5,?:up\n")
    (found,) = read_ts(path, "config.task.path").sequences
    np.testing.assert_array_equal(found.T, [[1, 1, 2, 3, 4, 4], [9, 8, 7, 7, 6, 5]])


def test_fill_by_hand_and_by_a_loop():
    np.testing.assert_array_equal(fill(np.array([[1.0], [np.nan], [2.0]])), [[1], [1.5], [2]])
    random = np.random.default_rng(1)
    values = random.normal(size=(40, 3))
    values[random.random((40, 3)) < 0.4] = np.nan
    values[-2:] = np.nan
    values[-3, 1] = 0.5
    for filled, column in zip(fill(values).T, values[:-2].T, strict=True):
        for step in range(38):
            before = next((n for n in range(step, -1, -1) if np.isfinite(column[n])), None)
            after = next((n for n in range(step, 38) if np.isfinite(column[n])), None)
            low, high = after if before is None else before, before if after is None else after
            share = 0 if low == high else (step - low) / (high - low)
            expected = column[low] + share * (column[high] - column[low])
            assert filled[step] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2e1", "x" * 99, f"has on line 12 {'x' * 40!r}, where a finite number or ? must be"),
        ("2e1", "inf", "has on line 12 'inf', where"),
        ("2e1", "1e39", "has on line 12 '1e39', where"),
        ("2e1", "", "has on line 12 '', where"),
        ("2e1", "2 1", "has on line 12 '2 1', where"),
        ("2e1", "?", "has on line 12 no value in dimension 2; leave the example out"),
        ("5,6", "5", "has on line 11 dimensions of 2 to 3 values; give all as many, ? for missing"),
        (":2e1:", ":", "has on line 12 1 dimensions, where 2 must be, or is cut there"),
        (":2e1:", ":2:3:", "has on line 12 3 dimensions, where 2 must be"),
        ("2e1:down\n", "2e1", "has on line 12 1 dimensions, where 2 must be, or is cut there"),
        ("2e1:down\n", "2e1:do", "has on line 12 the label 'do', which @classLabel does not name"),
        ("2e1:down", "2e1:", "has on line 12 an empty label, or is cut there"),
        ("-1:2e1:down\n", "-1", "has on line 12 no label behind a colon, or is cut there"),
        (ROWS, "", "has no series after the line @data, or is cut there"),
        ("@data\n" + ROWS, "", "has no line @data; give a .ts file as the UCR and UEA archives"),
        ("@data\n", "", "has on line 10 neither a tag nor a comment; is @data missing?"),
        ("@dimensions 2", "@dimensions 3", "line 11 2 dimensions, where 3 must be"),
        ("@dimensions 2", "@dimensions two", "the tag @dimensions 'two', it must be a number"),
        ("@dimensions 2", f"@dimension {'9' * 5000}", "has the tag @dimension '9999999"),
        ("@univariate false\n@dimensions 2", "@univariate true", "line 10 2 dimensions, where 1"),
        ("@univariate false", "@univariate maybe", "the tag @univariate 'maybe', it must be true"),
        ("@univariate false", "@univariate", "has the tag @univariate '', it must be true or"),
        ("@equalLength false", "@equalLength true", "line 12 1 values in a dimension, where 3"),
        ("@equalLength false", "@equalLength true\n@seriesLength 1", "line 12 3 values in a dim"),
        ("@timeStamps false", "@timeStamps true", "has time stamps (@timeStamps true); give the"),
        ("@classLabel", "@targetLabel", "has a number to predict (@targetLabel true); give one"),
        ("@classLabel true up down", "@classLabel false", "has no class labels; end each line"),
        ("@classLabel true up down\n", "", "has no class labels; end each line by one"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    assert TOY.count(old) == 1
    assert message in refused(put(tmp_path, TOY.replace(old, new)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give the path of a file"),
        (b"\x89PNG\r\n\0", "is no text (byte 6 is zero"),
        (TOY.encode() + b"\xff", "is no UTF-8 text"),
        (b"a,b\n1,2\n", "has on line 1 neither a tag nor a comment"),
    ],
)
def test_what_is_no_such_text_is_refused(tmp_path, content, message):
    assert message in refused(put(tmp_path, content))


def test_what_is_not_there_is_refused(tmp_path):
    assert "cannot be read (No such file or directory)" in refused(tmp_path / "none.ts")


def test_damaged_files_are_read_or_refused(tmp_path):
    """Some bytes changed, lines lost or the end gone."""
    random = np.random.default_rng(2)
    original = (HEADER.replace("up down", "up down left") + ROWS * 3).encode()
    some = np.frombuffer(b"\n\r:,?#@-+.e019_ n\xe2\xff\0\x85", np.uint8)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(600):
        damaged = bytearray(original)
        for _ in range(random.integers(0, 4)):
            damaged[random.integers(len(damaged))] = random.choice(some)
        start, end = sorted(random.integers(0, 3 * len(damaged), 2))
        path = put(tmp_path, bytes(damaged[:start] + damaged[end:]))
        try:
            found = read_ts(path, "config.task.path")
        except ConfigError as error:
            assert str(error).startswith(f"config.task.path: {path} ")
            assert str(error).isprintable()
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert len(found.sequences) == len(found.labels) > 0
        assert set(found.labels) <= set(found.classes)
        assert len({sequence.shape[1] for sequence in found.sequences}) == 1
        assert all(np.isfinite(sequence).all() for sequence in found.sequences)
    assert min(outcomes.values()) > 60


def test_japanese_vowels():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    path = Path(os.environ["LSTM_JAX_DATA"]) / "ucr" / "JapaneseVowels_TRAIN.ts"
    found = read_ts(path, "config.task.data")
    assert (found.name, found.classes) == ("JapaneseVowels", tuple("123456789"))
    assert found.labels == [name for name in found.classes for _ in range(30)]
    first = path.read_text().split("@data\n")[1].split("\n")[0].split(":")
    expected = [[float(value) for value in dimension.split(",")] for dimension in first[:-1]]
    np.testing.assert_array_equal(found.sequences[0], np.array(expected, np.float32).T)
    assert {sequence.shape[1] for sequence in found.sequences} == {12}
    assert (min(map(len, found.sequences)), max(map(len, found.sequences))) == (7, 26)
