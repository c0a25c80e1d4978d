"""Strokes: the form of files, offsets and back, thinning, resampling, and whatever bytes come."""

import itertools
import math

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.perception.strokes import (
    fill,
    length_of,
    parse,
    read_strokes,
    resample,
    size,
    thin,
    to_offsets,
    to_strokes,
)


def random_drawing(seed, strokes=5, longest=9):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rng.integers(1, longest + 1), 2)) for _ in range(strokes)]


def written(drawing, form="{x!r},{y!r},{t}"):
    """A drawing as Omniglot's files hold it."""
    lines = ["START"]
    for stroke in drawing:
        lines += [form.format(x=float(x), y=float(y), t=t) for t, (x, y) in enumerate(stroke)]
        lines.append("BREAK")
    return "\n".join(lines) + "\n"


def assert_equal(drawing, expected, **tolerance):
    assert len(drawing) == len(expected)
    for own, other in zip(drawing, expected, strict=True):
        np.testing.assert_allclose(own, other, **{"rtol": 0, "atol": 0, **tolerance})


@pytest.mark.parametrize("change", [str, lambda text: text.replace("\n", " \r\n\r\n")])
@pytest.mark.parametrize("form", ["{x!r},{y!r},{t}", "{x!r}, {y!r}"])
def test_a_file_holds_the_strokes_that_were_written(change, form):
    drawing = random_drawing(0)
    assert_equal(parse(change(written(drawing, form))), drawing)


def test_strokes_without_points_are_skipped_and_the_last_break_may_be_absent():
    drawing = parse("START\nBREAK\n1,2\nBREAK\nBREAK\n3,4\n5,6")
    assert_equal(drawing, [[[1, 2]], [[3, 4], [5, 6]]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("START\nBREAK\n", "has no points"),
        ("1,2\nSTOP\n", "line 2 is 'STOP', it must be x,y or x,y,t"),
        ("1,2\n\n3\n", "line 3 is '3'"),
        ("1,2,3,4", "line 1"),
        ("nan,2", "line 1 is 'nan,2'"),
        ("1,-inf", "line 1"),
        ("1e30,1", r"coordinates within 1e\+06"),
        ("9" * 5000 + ",1", "line 1 is '9{40}'"),
    ],
)
def test_other_texts_are_refused_in_one_sentence(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        parse(text)
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"^--prompt: .*mine\.txt .*{message}") as raised:
        read_strokes(path, "--prompt")
    assert "\n" not in str(raised.value)


def test_damaged_files_give_strokes_or_one_sentence(tmp_path):
    rng = np.random.default_rng(1)
    content = written(random_drawing(2)).encode()
    path = tmp_path / "drawing.txt"
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(len(damaged), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged[: rng.integers(1, len(damaged) + 1)]))
        try:
            drawing = read_strokes(path, "--prompt")
        except ConfigError as error:
            refused += 1
            assert str(path) in str(error)
        else:
            assert all(np.isfinite(stroke).all() and len(stroke) for stroke in drawing)
    assert 30 < refused < 300


def test_offsets_are_the_ways_between_points():
    drawing = random_drawing(3)
    expected, last = [], drawing[0][0]
    for stroke in drawing:
        for number, point in enumerate(stroke):
            expected.append([*(point - last), float(number == len(stroke) - 1)])
            last = point
    np.testing.assert_allclose(to_offsets(drawing), expected, rtol=1e-6, atol=1e-7)


def test_strokes_come_back_from_their_offsets():
    drawing = random_drawing(4)
    moved = [stroke - drawing[0][0] for stroke in drawing]
    assert_equal(to_strokes(to_offsets(drawing)), moved, atol=1e-5)
    unfinished = to_offsets(drawing)
    unfinished[-1, 2] = 0
    assert_equal(to_strokes(unfinished), moved, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_thinning_keeps_points_that_are_apart(seed):
    rng = np.random.default_rng(seed)
    stroke = rng.normal(size=(rng.integers(1, 30), 2)).cumsum(axis=0)
    kept = thin(stroke, 2.0)
    places = [np.flatnonzero((stroke == point).all(axis=1))[0] for point in kept]
    assert places[0] == 0
    assert places[-1] == len(stroke) - 1
    assert places == sorted(set(places))
    for start, end in itertools.pairwise(places[:-1]):
        assert math.dist(stroke[start], stroke[end]) >= 2
        assert all(math.dist(stroke[start], stroke[n]) < 2 for n in range(start + 1, end))


def test_thinning_by_hand():
    stroke = np.array([[0, 0], [1, 0], [2, 0], [2.5, 0], [4, 0], [4.5, 0]])
    assert thin(stroke, 2)[:, 0].tolist() == [0, 2, 4.5]  # 4 is too near to the last
    assert thin(stroke[:2], 2)[:, 0].tolist() == [0, 1]
    assert thin(stroke[:1], 2)[:, 0].tolist() == [0]


def test_resampling_walks_along_the_path():
    """Against a walk in small steps."""
    points = np.random.default_rng(5).normal(size=(7, 2))
    parts = np.linspace(0, 1, 20_001)[:-1, None]
    walk = np.concatenate([a + parts * (b - a) for a, b in itertools.pairwise(points)])
    walked = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(walk, axis=0).T))])
    assert length_of(points) == pytest.approx(walked[-1], rel=1e-3)
    for number, point in enumerate(resample(points, 11)):
        nearest = walk[np.abs(walked - number * walked[-1] / 10).argmin()]
        np.testing.assert_allclose(point, nearest, atol=2e-3)


def test_a_dot_resamples_to_itself():
    assert resample(np.array([[3.0, 4.0]]), 3).tolist() == [[3, 4]] * 3
    assert resample(np.array([[3.0, 4.0]] * 5), 2).tolist() == [[3, 4]] * 2


def test_the_size_is_the_longer_side():
    assert size([np.array([[0, 1], [2, 5]]), np.array([[-1, 3]])]) == 4


@pytest.mark.parametrize("seed", range(5))
def test_filling_adds_points_on_ways_of_two_steps_or_more(seed):
    stroke = np.random.default_rng(seed).normal(size=(8, 2)).cumsum(axis=0)
    parts = []
    for start, end in itertools.pairwise(stroke):
        count = max(math.floor(math.dist(start, end) / 0.4), 1)
        parts += [start + n / count * (end - start) for n in range(count)]
    np.testing.assert_allclose(fill(stroke, 0.4), [*parts, stroke[-1]], atol=1e-12)


def test_dots_have_no_ways_to_fill():
    assert fill(np.array([[3.0, 4.0]]), 1.0).tolist() == [[3, 4]]
    assert fill(np.array([[3.0, 4.0]] * 2), 1.0).tolist() == [[3, 4]] * 2
