"""Samples of handwriting: what goes on from a user's drawing, and how much is written."""

import jax
import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.perception import synthesis
from experiments.perception.examples import Split
from experiments.perception.strokes import size, thin, to_offsets, to_strokes
from tests.experiments.perception.test_strokes import written


def curve(seed):
    """A stroke of a pen whose places are known as often as a hand's are."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(1, 5) + np.linspace(0, 4, 100)
    return 30 * np.stack([np.cos(angles), np.sin(1.3 * angles)], axis=1)


def distances(stroke):
    return np.hypot(*np.diff(stroke, axis=0).T)


@pytest.mark.parametrize("length", [None, 7])
def test_as_many_points_are_written_as_the_real_drawings_have(monkeypatch, tmp_path, length):
    """By a pen that ends a stroke at every third point."""
    real = [to_offsets([curve(n)[: 5 + 6 * n]]) for n in range(14)]
    shown, ways = [], 1.0 + np.arange(10)

    def write(model, params, key, opening, count, steps, bias):
        assert bias == 0.25
        pen = np.stack(np.broadcast_arrays(ways, 0, (np.arange(steps) % 3 == 2)[:, None]), axis=-1)
        return pen[:, :count]

    monkeypatch.setattr(synthesis, "write", write)
    monkeypatch.setattr(synthesis, "draw_strokes", lambda directory, name, rows: shown.append(rows))
    for seed in range(2):
        synthesis.sample(
            None, {"test": Split(real, [])}, None, jax.random.key(seed), tmp_path, length, 0.25
        )
    chosen = []
    for drawings, below in shown:
        own = [np.concatenate(item.strokes) for item in below.items]
        chosen.append([len(points) for points in own])
        assert len(set(chosen[-1])) == 10
        for way, points, item in zip(ways, own, drawings.items, strict=True):
            assert item.strokes[0][0].tolist() == [0, 0]
            drawn = np.concatenate(item.strokes)[1:]
            assert abs(len(drawn) - (length or len(points))) <= 1
            np.testing.assert_allclose(distances(drawn), way, rtol=1e-6)
    assert chosen[0] != chosen[1]


def curve_and_marks(seed):
    """A curve of points 4 apart or a little more, and many dots and dashes far from each other.

    One dash is much shorter than the others.
    """
    rng = np.random.default_rng(seed)
    marks = []
    for number, length in enumerate([0.5, *rng.uniform(4, 5.6, 29)]):
        dot = np.array([[-40.0 + 80 * (number % 2), 0]])
        marks += [dot, -dot, np.concatenate([dot, dot + [0, length]])]
    return [thin(curve(seed), 4.0), *marks]


@pytest.fixture
def opening(monkeypatch, tmp_path):
    """What the network reads before it goes on, as a function of the user's drawing."""
    train = [to_offsets(curve_and_marks(seed)) for seed in range(20)]
    splits = {name: Split(train, []) for name in ("train", "test")}
    read = []

    def write(model, params, key, opening, count, steps, bias):
        read.append(opening)
        return np.zeros((steps, count, 3))

    def sample(drawing):
        path = tmp_path / "mine.txt"
        path.write_text(written(drawing))
        synthesis.sample(None, splits, None, jax.random.key(0), tmp_path, prompt=str(path))
        return to_strokes(read[-1])

    monkeypatch.setattr(synthesis, "write", write)
    monkeypatch.setattr(synthesis, "draw_strokes", lambda directory, name, rows: None)
    usual = np.mean([size(to_strokes(own)) for own in train])
    return sample, usual


def test_the_users_points_are_as_far_apart_as_those_of_training(opening):
    sample, usual = opening
    hand = [curve(50), curve(60) + [20, 0]]
    found = sample([7 * stroke + 1000 for stroke in hand])
    assert size(found) == pytest.approx(usual, rel=1e-3)
    scale = usual / size(hand)
    for stroke, original in zip(found, hand, strict=True):
        assert distances(stroke)[:-1].min() >= 4
        assert np.median(distances(stroke)) == pytest.approx(4.8, abs=0.3)
        ends = scale * (original[[0, -1]] - hand[0][0])
        np.testing.assert_allclose(stroke[[0, -1]], ends, atol=1e-3)


def test_straight_lines_between_the_users_points_get_points(opening):
    sample, usual = opening
    corners = np.array([[0.0, 0.0], [3, 0], [3, -4], [3.1, -4]])
    (found,) = sample([corners])
    assert size([found]) == pytest.approx(usual)
    for corner in corners[[0, 1, 3]] * usual / 4:
        assert np.abs(found - corner).max(axis=1).min() < 1e-4
    assert (np.abs(distances(found)[:-1] - 5) < 1).all()
    assert len(found) > 20


@pytest.mark.parametrize("point", [1e-310, 5.0, 1e6])
def test_dots_and_points_that_repeat_can_be_gone_on_from(opening, point):
    sample, usual = opening
    dot = np.full((1, 2), point)
    assert sample([dot])[0].tolist() == [[0, 0]]
    assert sample([np.repeat(dot, 5, axis=0)])[0].tolist() == [[0, 0], [0, 0]]
    assert [stroke.tolist() for stroke in sample([dot, dot])] == [[[0, 0]]] * 2
    assert size(sample([dot, 0 * dot])) == pytest.approx(usual)
    assert size(sample([np.array([[1e6, point], [1e6, 0]])])) == pytest.approx(usual)


def test_a_drawing_of_too_many_points_is_refused(opening):
    sample, _ = opening
    zigzag = np.stack([np.arange(100) % 2, np.arange(100) / 100], axis=1)
    with pytest.raises(ConfigError, match=r"^--prompt: .*mine.txt has \d{4} points at the usual d"):
        sample([zigzag])
    assert len(sample([zigzag[:40]])[0]) > 400
