"""Digits in lines: what is joined, what the network reads of it, and a sceptic's cuts."""

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.perception import lines
from experiments.perception.ctc import label_error_rate
from experiments.perception.digits import Digits, neighbours, stretch
from experiments.perception.lines import FLATTEST, STEP, Lines, even, join, line_inputs, pieces


def random_digits(seed, count=12):
    rng = np.random.default_rng(seed)
    return Digits(stretch(rng.normal(size=(count, 8, 2))), rng.integers(0, 10, count))


def loops(seed, count=30):
    """Digits that begin and end in the middle of their box: no part of them looks like a gap."""
    rng = np.random.default_rng(seed)
    angles = np.arange(8) * 2 * np.pi / 7 + rng.integers(4, size=(count, 1)) * np.pi / 2
    radii = 1 + 0.1 * rng.normal(size=(count, 8))
    points = stretch(np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1))
    points[:, [0, -1]] = 50
    return Digits(points, rng.integers(0, 10, count))


def test_lines_hold_their_digits_from_left_to_right():
    digits = random_digits(0)
    found = join(digits, 60, seed=3)
    assert {len(own) for own in found.members} == set(range(2, 8))
    assert {int(n) for own in found.members for n in own} == set(range(12))
    gaps = []
    for path, members in zip(found.paths, found.members, strict=True):
        placed = path.reshape(len(members), 8, 2)
        for points, n in zip(placed, members, strict=True):
            np.testing.assert_allclose(stretch(points), digits.points[n], atol=1e-9)
            assert 0.4 < np.ptp(points[:, 0]) < 1.1
            assert 0.5 < np.ptp(points[:, 1]) < 1.7
        gaps += [*(placed[1:, :, 0].min(axis=1) - placed[:-1, :, 0].max(axis=1))]
    assert 0.1 <= min(gaps) < 0.12
    assert 0.38 < max(gaps) <= 0.4


def test_a_seed_gives_the_same_lines_and_distortion_changes_the_digits():
    digits = random_digits(1)
    one, again, other = (join(digits, 5, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(np.concatenate(one.paths), np.concatenate(again.paths))
    assert [len(own) for own in one.members] != [len(own) for own in other.members]
    bent = join(digits, 5, 3, strength=0.1)
    shapes = stretch(bent.paths[0].reshape(-1, 8, 2)) - digits.points[bent.members[0]]
    assert 0.5 < np.abs(shapes).mean() < 30


def test_the_network_reads_heights_and_directions_of_even_steps():
    path = 40 * np.random.default_rng(2).normal(size=(20, 2)).cumsum(axis=0)
    read = line_inputs(path)
    points = even(path)
    assert np.ptp(points[:, 1]) <= 1
    height, length = np.ptp(path[:, 1]), np.hypot(*np.diff(path, axis=0).T).sum()
    assert len(points) == len(read) == 1 + round(length / height / STEP)
    np.testing.assert_allclose(read[:, 0], 2 * points[:, 1] - 1, atol=1e-6)
    np.testing.assert_allclose(points[0] + STEP * read[:, 1:].cumsum(axis=0), points, atol=1e-4)
    steps = np.hypot(*read[1:, 1:].T)
    assert steps.max() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(line_inputs(7 * path + 3), read, atol=1e-4)


@pytest.mark.parametrize("size", [1e-300, 1e-3, 1.0, 1e6])
def test_dots_and_level_lines_can_be_read(size):
    level = np.array([[0.0, 1.0], [5.0, 1.0]])
    for path, steps in ((np.ones((1, 2)), 2), (np.ones((3, 2)), 2), (level, 134)):
        read = line_inputs(size * path)
        assert len(read) == steps
        assert np.isfinite(read).all()
    rising = np.array([[0.0, 0.0], [5.0, 1e-9]])
    np.testing.assert_allclose(line_inputs(size * rising), read, atol=1e-6)


def test_lines_of_digits_are_too_high_to_count_as_level():
    for path in join(random_digits(4), 2000, seed=4).paths:
        assert np.ptp(path[:, 1]) > 2 * FLATTEST * np.ptp(path[:, 0])
        assert np.ptp(even(path)[:, 1]) == pytest.approx(1, abs=STEP)


def test_a_line_that_no_digits_can_make_is_refused(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(f"{n % 2},{n % 2}" for n in range(1000)))
    sample = tmp_path, str(path)
    with pytest.raises(ConfigError) as refused:
        lines.sample(None, None, unread, None, None, *sample)
    assert str(refused.value) == (
        f"--prompt: {path} goes 1413 times its height, at most 300 will do; cut it"
    )
    path.write_text("\n".join(f"{n % 2},{n % 2}" for n in range(200)))
    with pytest.raises(InterruptedError):
        lines.sample(None, None, unread, None, None, *sample)


def unread(params, inputs):
    assert len(inputs[0]) < 2050
    raise InterruptedError


def test_gaps_are_where_the_path_goes_to_the_right_once_and_for_all():
    """Three boxes from 0 to 1, 1.5 to 2.5 and 2.6 to 3.6, joined by straight ways."""
    box = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0, 0], [1, 0.2]])
    path = np.concatenate([box + [shift, 0] for shift in (0, 1.5, 2.6)])
    bounds = [(p[:, 0].min(), p[:, 0].max()) for p in pieces(path, gap=0.3)]
    np.testing.assert_allclose(bounds, [(0, 1), (1.5, 3.6)], atol=0.08)
    bounds = [(p[:, 0].min(), p[:, 0].max()) for p in pieces(path, gap=0.05)]
    np.testing.assert_allclose(bounds, [(0, 1), (1.5, 2.5), (2.6, 3.6)], atol=0.08)
    (whole,) = pieces(path, gap=0.6)
    assert len(whole) == len(even(path, STEP / 4))


def test_true_cuts_and_wide_gaps_give_what_the_neighbours_say():
    """Of digits far from each other both baselines are those of the digits alone."""
    digits = {name: loops(seed) for seed, name in enumerate(("train", "valid", "test"))}
    joined = {name: join(own, 6, seed=1) for name, own in digits.items()}
    for name, own in joined.items():
        for n, members in enumerate(own.members):
            shifts = 3.0 * np.arange(len(members)).repeat(8)
            clean = digits[name].points[members].reshape(-1, 2) / 100
            own.paths[n] = clean + np.stack([shifts, 0 * shifts], axis=1)
    found = lines.baselines(digits, joined)
    told = neighbours([digits["train"], digits["valid"]], digits["test"].points)
    labels = digits["test"].labels
    members = joined["test"].members
    expected = label_error_rate([told[m] for m in members], [labels[m] for m in members])
    errors = {name: value["label_error_rate"] for name, value in found.items()}
    assert errors["3 nearest neighbours, told where each digit is"] == pytest.approx(expected)
    assert 0 < expected < 100
    parts = [pieces(path, 0.3) for path in joined["test"].paths]
    assert [len(own) for own in parts] == [len(own) for own in members]


def side_by_side(points, shift):
    """A line of two equal digits."""
    own = points / 100
    return Lines([np.concatenate([own, own + [shift, 0]])], [np.array([0, 0])])


def by_gaps(digits, joined):
    return lines.baselines(digits, joined)["3 nearest neighbours of what is between gaps"]


def test_the_error_by_gaps_counts_what_is_not_cut_and_what_is_told_wrong():
    """One digit is known: apart two of it are read, close together they are read as one."""
    points = loops(0).points[:1]
    same, other = (Digits(points, np.array([label])) for label in (3, 4))
    for shift, test, expected in ((1.02, same, 50), (2, same, 0), (2, other, 100)):
        digits = {"train": same, "valid": same, "test": test}
        joined = {name: side_by_side(points[0], shift) for name in ("valid", "test")}
        assert by_gaps(digits, joined) == {"label_error_rate": expected}


def test_what_validation_has_is_learnt_from():
    points = loops(0).points[0]
    train, valid = (
        Digits(np.stack([own] * 3), np.array([label] * 3))
        for own, label in ((points, 3), (points[:, ::-1], 5))
    )
    digits = {"train": train, "valid": valid, "test": valid}
    joined = {name: side_by_side(valid.points[0], 2) for name in ("valid", "test")}
    assert by_gaps(digits, joined) == {"label_error_rate": 0}


def test_validation_alone_chooses_how_wide_a_gap_is():
    """Its digit has a gap of 0.26 heights inside, so that 0.3 is best; two loops look like it."""
    x, y = [37, 0, 37, 37, 63, 63, 100, 63], [0, 50, 100, 50, 50, 100, 50, 0]
    bridge, loop = np.stack([x, y], axis=1).astype(float), loops(0).points[0]
    known = Digits(np.stack([bridge] * 3 + [loop] * 3), np.array([1, 1, 1, 3, 3, 3]))
    digits = {"train": known, "valid": Digits(bridge[None], np.array([1]))}
    digits["test"] = Digits(loop[None], np.array([3]))
    for shift, expected in ((1.45, 0), (1.2, 100)):
        joined = {"valid": side_by_side(bridge, 1.45), "test": side_by_side(loop, shift)}
        assert by_gaps(digits, joined) == {"label_error_rate": expected}
