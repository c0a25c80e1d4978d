"""Digits that are written side by side without lifting the pen, and the task to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from experiments.perception.ctc import label_error_rate
from experiments.perception.digits import NAMES, SIDE, Digits, distort, eight_points, neighbours
from experiments.perception.drawings import Drawn, Row, draw_strokes
from experiments.perception.examples import Split
from experiments.perception.strokes import length_of, read_strokes, resample
from experiments.perception.transcriber import Transcript, transcriber
from experiments.task import Task

LONGEST = 7  # digits of a line
STEP = 0.15  # between the points of a line, in heights of the line
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
    """The path [P, 2] scaled to the height 1, from 0 to 1, by points about a step apart [T, 2]."""
    height = max(float(np.ptp(path[:, 1])), 1e-6)
    scaled = (path - path.min(axis=0)) / height
    return resample(scaled, max(2, round(length_of(scaled) / step)))


def line_inputs(path: np.ndarray) -> np.ndarray:
    """What the network reads of a line: float32 [T, 3], T by how long the path [P, 2] is.

    At each point the height, from -1 to 1, and the direction from the point before.
    """
    points = even(path)
    directions = np.diff(points, axis=0, prepend=points[:1]) / STEP
    return np.concatenate([2 * points[:, 1:] - 1, directions], axis=1).astype(np.float32)


def pieces(path: np.ndarray, gap: float) -> list[np.ndarray]:
    """The parts of a line between the gaps that a sceptic sees.

    A gap is a part of the path that goes to the right by at least `gap` heights of the line, while
    all before it lies to its left and all after it to its right.
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
    splits = {name: _examples(lines[name], own) for name, own in digits.items()}
    return transcriber(
        config,
        splits,
        NAMES,
        sample=partial(sample, lines["test"], splits["test"]),
        baselines=lambda: baselines(digits, lines),
        facts=facts,
    )


def _examples(lines: Lines, digits: Digits) -> Split:
    labels = np.asarray(digits.labels, np.int32)
    return Split(list(map(line_inputs, lines.paths)), [labels[own] for own in lines.members])


def baselines(
    digits: Mapping[str, Digits], lines: Mapping[str, Lines]
) -> dict[str, dict[str, float]]:
    """The error of the nearest neighbours of single digits, with cuts at gaps, and with true cuts.

    How wide a gap must be is what validation says is best.
    """
    found = {gap: gap_error(digits, lines, "valid", gap) for gap in GAPS}
    best = min(found, key=lambda gap: found[gap])
    members, labels = lines["test"].members, digits["test"].labels
    told = neighbours([digits["train"], digits["valid"]], digits["test"].points)
    true_cuts = label_error_rate([told[own] for own in members], [labels[own] for own in members])
    return {
        "3 nearest neighbours of what is between gaps": {
            "label_error_rate": gap_error(digits, lines, "test", best)
        },
        "3 nearest neighbours, told where each digit is": {"label_error_rate": true_cuts},
    }


def gap_error(
    digits: Mapping[str, Digits], lines: Mapping[str, Lines], split: str, gap: float
) -> float:
    """The label error rate of nearest neighbours of the pieces between gaps."""
    parts = [pieces(path, gap) for path in lines[split].paths]
    points = np.stack([eight_points([piece]) for own in parts for piece in own])
    told = neighbours([digits["train"]], points)
    found = np.split(told, np.cumsum(list(map(len, parts)))[:-1])
    return label_error_rate(found, [digits[split].labels[own] for own in lines[split].members])


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
        ConfigError: if the user's drawing cannot be read.
    """
    if prompt is not None:
        drawing = read_strokes(Path(prompt), "--prompt")
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
    draw_strokes(directory / "lines.svg", directory / "lines.png", rows)
    for name in ("lines.svg", "lines.png"):
        print(directory / name)


def _text(labels: np.ndarray) -> str:
    return "".join(NAMES[label] for label in labels)
