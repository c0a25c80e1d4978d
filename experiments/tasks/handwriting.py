"""Handwriting: tell which digit was drawn, read digits in a line, write as a hand does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from experiments.config import choose
from experiments.perception import omniglot, pendigits, scribbles
from experiments.perception.classifier import Predict, classifier
from experiments.perception.digits import (
    NAMES,
    Digits,
    distort,
    eight_points,
    inputs,
    nearest,
    points_of,
)
from experiments.perception.drawings import Drawn, Row, draw_strokes
from experiments.perception.examples import Split
from experiments.perception.lines import connected
from experiments.perception.strokes import Drawing, read_strokes
from experiments.perception.synthesis import synthesis
from experiments.task import Task

HELD_OUT = 1000  # generated drawings of validation, and of the test, at most
ROWS, COLUMNS = 2, 8  # of the drawings in a sample


def handwriting(config: ConfigDict) -> Task:
    """One of three tasks, by `config.task.goal`.

    "digits": which digit is it, of eight points of the pen; from pendigits or generated.
    "connected": which digits are in a line that was written without lifting the pen; of the same.
    "synthesis": where will the pen go next; on Omniglot's characters or generated digits.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    goal = choose("task.goal", config.task.goal, GOALS)
    return GOALS[goal](config)


def digits(config: ConfigDict) -> Task:
    """The task to tell isolated digits, by the share of right answers."""
    splits = load_digits(config)
    return classifier(
        config,
        {
            name: Split([inputs(points) for points in own.points], list(own.labels[:, None]))
            for name, own in splits.items()
        },
        NAMES,
        augment=partial(_augment, config.task.distortion),
        baselines=lambda: {"3 nearest neighbours": nearest(splits)},
        sample=partial(sample, splits["test"]),
        facts=facts(config),
    )


def lines(config: ConfigDict) -> Task:
    """The task to read digits in a line, by the label error rate."""
    splits = load_digits(config)
    return connected(config, splits, facts(config))


def writing(config: ConfigDict) -> Task:
    """The task to predict the pen's next offset, by the negative log-likelihood."""
    if choose("task.data", config.task.data, ("generated", "omniglot")) == "omniglot":
        splits: Mapping[str, Sequence[Drawing]] = omniglot.load(config.data_dir)
    else:
        splits = {name: drawn for name, (drawn, _) in generated(config.task.drawings).items()}
    return synthesis(config, splits, facts(config))


GOALS = {"digits": digits, "connected": lines, "synthesis": writing}


def load_digits(config: ConfigDict) -> dict[str, Digits]:
    """The digits of each split."""
    if choose("task.data", config.task.data, ("generated", "pendigits")) == "pendigits":
        return pendigits.load(config.data_dir)
    return {
        name: Digits(np.stack([eight_points(drawing) for drawing in drawn]), labels)
        for name, (drawn, labels) in generated(config.task.drawings).items()
    }


def generated(count: int) -> dict[str, tuple[list[list[np.ndarray]], np.ndarray]]:
    """Generated drawings and their digits, `count` to learn from; no two splits share a seed."""
    held_out = min(count, HELD_OUT)
    counts = {"train": count, "valid": held_out, "test": held_out}
    return {name: scribbles.drawings(own, seed) for seed, (name, own) in enumerate(counts.items())}


def facts(config: ConfigDict) -> dict[str, Any]:
    """What the results say about where the data are from."""
    generated = config.task.data == "generated"
    return {"data": "generated, drawn by no one" if generated else config.task.data}


def _augment(strength: float, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The inputs of a digit as it might also have been written."""
    return inputs(distort(points_of(features), strength, rng)) if strength else features


def sample(
    digits: Digits,
    predict: Predict,
    params: Any,
    key: Any,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Draws the test digits whose right answer got the least probability: digits.svg, digits.png.

    Args:
        digits: the test split.
        predict: see `classifier`.
        params: the parameters.
        key: not used; there is no chance in it.
        directory: where the files go.
        prompt: the path of a drawing of the user's to tell instead, see `strokes.parse`.

    Raises:
        ConfigError: if the user's drawing cannot be read.
    """
    if prompt is not None:
        drawing = read_strokes(Path(prompt), "--prompt")
        found = predict(params, [inputs(eight_points(drawing))])
        items = [Drawn(drawing, _likeliest(found[0]))]
        rows = [Row(f"{Path(prompt).name}, and what it may be", items)]
        print(items[0].caption.replace("\n", ", "))
    else:
        found = predict(params, [inputs(points) for points in digits.points])
        right = found[np.arange(len(found)), digits.labels]
        items = [
            Drawn([digits.points[n]], f"is {digits.labels[n]}\n{_likeliest(found[n])}")
            for n in np.argsort(right)[: ROWS * COLUMNS]
        ]
        title = "the test digits that the network finds hardest"
        rows = [
            Row("" if start else title, items[start : start + COLUMNS])
            for start in range(0, len(items), COLUMNS)
        ]
    draw_strokes(directory, "digits", rows)


def _likeliest(probabilities: np.ndarray, number: int = 2) -> str:
    """The likeliest digits with their probabilities, one in each line."""
    order = np.argsort(-probabilities)[:number]
    return "\n".join(f"{NAMES[n]}: {100 * probabilities[n]:.1f} %" for n in order)
