"""Digits that are written side by side without lifting the pen, and the task to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from experiments.data import files
from experiments.perception.ctc import label_error_rate
from experiments.perception.digits import (
    NAMES,
    SIDE,
    Digits,
    distort,
    eight_points,
    nearest,
    neighbours,
)
from experiments.perception.drawings import Drawn, Row, draw_strokes
from experiments.perception.examples import Split
from experiments.perception.strokes import length_of, read_strokes, resample
from experiments.perception.transcriber import Transcript, transcriber
from experiments.task import Task

LONGEST = 7  # digits of a line
STEP = 0.15  # between the points of a line, in heights of the line
FLATTEST = 0.05  # the height that counts is at least this share of the width; digits have 0.16
MOST_HEIGHTS = 300  # how long the path of a user's line may be: 2,000 steps, of digits 150
HELD_OUT = {"valid": 500, "test": 1000}  # lines at most
GAPS = (0.05, 0.1, 0.15, 0.2, 0.3)  # of which validation chooses the baseline's
SHOWN = 6  # lines in a sample


class Lines(NamedTuple):
    """Digits written in lines.

    Attributes:
        paths: of each line the points [P, 2] that the pen goes through.
        members: of each line the numbers [L] of its digits in `Digits`.
    """

    paths: list[np.ndarray]
    members: list[np.ndarray]


def join(digits: Digits, count: int, seed: int, strength: float = 0.0) -> Lines:
    """Lines of 2 to 7 digits, drawn at random with replacement.

    Their sizes, proportions, heights above the line and gaps vary. The pen is never lifted and goes
    straight from the end of a digit to the start of the next, as it goes from point to point within
    one, so that no mark says where a digit ends.

    Args:
        digits: what the lines are made of.
        count: the number of lines.
        seed: of the random choices.
        strength: of `distort`, for each digit.
    """
    rng = np.random.default_rng(seed)
    paths, members = [], []
    for _ in range(count):
        chosen = rng.integers(len(digits.labels), size=rng.integers(2, LONGEST + 1))
        points = [digits.points[n] for n in chosen]
        if strength:
            points = [distort(own, strength, rng) for own in points]
        paths.append(_side_by_side(points, rng))
        members.append(chosen)
    return Lines(paths, members)


def _side_by_side(digits: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The path through digits [8, 2], each 1 high and 0.65 wide, more or less."""
    placed, right = [], 0.0
    for points in digits:
        width, height = np.array([0.65, 1.0]) * np.exp(0.15 * rng.normal(size=2))
        low = 0.1 * rng.normal()
        placed.append(points / SIDE * [width, height] + [right, low])
        right += width + rng.uniform(0.1, 0.4)
    return np.concatenate(placed)


def even(path: np.ndarray, step: float = STEP) -> np.ndarray:
    """Points at even distances along a line that is scaled to the height 1, or less if it is level.

    Args:
        path: the points that the pen goes through [P, 2].
        step: how far apart the points are to be, more or less, in heights of the line.

    Returns:
        Points [T, 2], T at least 2; the least of each coordinate is 0.

    Example:
        >>> even(np.array([[3, 3], [3, 5]]), step=0.5).tolist()
        [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0]]
    """
    scaled = _one_high(path)
    return resample(scaled, 1 + max(1, round(length_of(scaled) / step)))


def _one_high(path: np.ndarray) -> np.ndarray:
    """A line [P, 2] in its heights, or where that is more, in FLATTEST of its width."""
    width, height = np.ptp(path, axis=0)
    return (path - path.min(axis=0)) / (max(height, FLATTEST * width) or 1.0)


def line_inputs(path: np.ndarray) -> np.ndarray:
    """What the network reads of a line: float32 [T, 3], T by how long the path [P, 2] is.

    At each point the height, from -1 to 1, and the direction from the point before.
    """
    points = even(path)
    directions = np.diff(points, axis=0, prepend=points[:1]) / STEP
    return np.concatenate([2 * points[:, 1:] - 1, directions], axis=1).astype(np.float32)


def pieces(path: np.ndarray, gap: float) -> list[np.ndarray]:
    """The parts of a line between the gaps that a sceptic sees.

    A gap is a part of the path that goes to the right, while all before it lies to its left and all
    after it to its right.

    Args:
        path: the points that the pen goes through [P, 2].
        gap: how far a gap goes at least, in heights of the line.

    Returns:
        The points [T, 2] of each part, as `even` scales them.
    """
    points = even(path, STEP / 4)
    x = points[:, 0]
    left = np.maximum.accumulate(x)[:-1]
    right = np.minimum.accumulate(x[::-1])[::-1][1:]
    edges = np.diff(np.pad((left < right).astype(int), 1))
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    wide = x[ends] - x[starts] >= gap
    bounds = np.concatenate([[0], np.stack([starts[wide], ends[wide]], 1).ravel(), [len(x) - 1]])
    spans = [(int(a), int(b)) for a, b in bounds.reshape(-1, 2)]
    return [points[a : b + 1] for a, b in spans if b > a]


def connected(config: ConfigDict, digits: Mapping[str, Digits], facts: Mapping[str, Any]) -> Task:
    """The task to read the digits of a line, by connectionist temporal classification.

    Args:
        config: `task.lines` and `task.distortion` are used, and what `transcriber` uses.
        digits: those of "train", "valid" and "test"; a line has digits of its own split alone.
        facts: what else the results say about the data.
    """
    lines = {
        name: join(
            own,
            min(config.task.lines, HELD_OUT.get(name, config.task.lines)),
            seed,
            config.task.distortion if name == "train" else 0.0,
        )
        for seed, (name, own) in enumerate(digits.items())
    }
    splits = {
        name: Split(list(map(line_inputs, paths)), [digits[name].labels[own] for own in members])
        for name, (paths, members) in lines.items()
    }
    return transcriber(
        config,
        splits,
        NAMES,
        sample=partial(sample, lines["test"], splits["test"]),
        baselines=lambda: baselines(digits, lines),
        facts=facts,
    )


def baselines(
    digits: Mapping[str, Digits], lines: Mapping[str, Lines]
) -> dict[str, dict[str, float]]:
    """How the nearest neighbours of single digits read lines that are cut at gaps, or truly.

    Which of GAPS a gap is at least is what validation says is best for the neighbours in training.

    Args:
        digits: those of "train", "valid" and "test".
        lines: what is written with those of "valid" and "test".

    Returns:
        The label error rate of the test lines by the name of the model.
    """
    train, valid, test = (digits[name] for name in ("train", "valid", "test"))
    best = min(GAPS, key=lambda gap: _gap_error([train], valid, lines["valid"], gap))
    by_gaps = _gap_error([train, valid], test, lines["test"], best)
    told, members = nearest(digits), lines["test"].members
    truly = label_error_rate([told[own] for own in members], [test.labels[own] for own in members])
    return {
        "3 nearest neighbours of what is between gaps": {"label_error_rate": by_gaps},
        "3 nearest neighbours, told where each digit is": {"label_error_rate": truly},
    }


def _gap_error(known: Sequence[Digits], digits: Digits, lines: Lines, gap: float) -> float:
    """The label error rate of lines of some digits, read by the known ones nearest to `pieces`."""
    parts = [pieces(path, gap) for path in lines.paths]
    told = neighbours(known, np.stack([eight_points([piece]) for own in parts for piece in own]))
    found = np.split(told, np.cumsum(list(map(len, parts)))[:-1])
    return label_error_rate(found, [digits.labels[own] for own in lines.members])


def sample(
    lines: Lines,
    split: Split,
    transcribe: Callable[[Any, Sequence[np.ndarray]], list[Transcript]],
    params: Any,
    key: Any,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Draws lines of the test split with what the network reads: lines.svg, lines.png.

    Args:
        lines: those of the test split.
        split: what the network reads of them.
        transcribe: see `transcriber`.
        params: the parameters.
        key: not used; beam search has no chance in it.
        directory: where the files go.
        prompt: the path of a drawing of the user's to read instead, see `strokes.parse`; between
            its strokes the pen goes straight.

    Raises:
        ConfigError: if the user's drawing cannot be read or is too long.
    """
    if prompt is not None:
        drawing = _read_line(Path(prompt))
        found = transcribe(params, [line_inputs(np.concatenate(drawing))])
        said = _text(found[0].symbols)
        rows = [Row(f"{Path(prompt).name}, read as {said}", [Drawn(drawing)])]
        print(said)
    else:
        found = transcribe(params, list(split.inputs[:SHOWN]))
        rows = [
            Row(f"{_text(labels)}, read as {_text(own.symbols)}", [Drawn([path])])
            for path, labels, own in zip(lines.paths, split.labels, found, strict=False)
        ]
    draw_strokes(directory, "lines", rows)


def _read_line(path: Path) -> list[np.ndarray]:
    """The user's drawing, if it is not too long to be a line of digits."""
    drawing = read_strokes(path, "--prompt")
    heights = length_of(_one_high(np.concatenate(drawing)))
    if heights > MOST_HEIGHTS:
        what = f"goes {heights:.0f} times its height, at most {MOST_HEIGHTS} will do; cut it"
        raise files.refusal(path, "--prompt", what)
    return drawing


def _text(labels: np.ndarray) -> str:
    return "".join(NAMES[label] for label in labels)
