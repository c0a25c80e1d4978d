"""Pictures as sequences: handwritten digits, read row by row or pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.config import choose
from experiments.data import mnist
from experiments.perception.classifier import Predict, classifier
from experiments.perception.examples import Split
from experiments.perception.panels import Panel, plot_panels
from experiments.task import Task

DATA = ("digits", "mnist")
ORDERS = ("permuted", "pixels", "rows")
PERMUTATION = 0  # the seed of the order of the permuted pixels
ITERATIONS = 100  # of the logistic regression, at most
SHOWN = 24  # of the hardest pictures


class Pictures(NamedTuple):
    """Pictures of a split, uint8 [N, H, W], and the digit [N] that each shows."""

    images: np.ndarray
    digits: np.ndarray


def pixels(config: ConfigDict) -> Task:
    """Which digit a picture shows, from its rows or its pixels one after the other.

    `config.task.order` is "rows" (each step a row), "pixels" (each step one, row by row) or
    "permuted" (the same in one fixed random order; Le et al. 2015, arXiv:1504.00941, section 4.2).
    `config.task.data` is "mnist", or "digits", the 1,797 pictures of 8 by 8 in scikit-learn.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    order = choose("task.order", config.task.order, ORDERS)
    pictures = load(choose("task.data", config.task.data, DATA), config.data_dir)
    train = pictures["train"].images
    return classifier(
        config,
        {name: in_sequence(split, order) for name, split in pictures.items()},
        [str(digit) for digit in range(10)],
        moments=(float(train.mean()), float(train.std())),
        baselines=partial(baselines, pictures),
        sample=partial(sample, pictures["test"], order),
    )


def load(data: str, data_dir: str | None) -> dict[str, Pictures]:
    """The pictures of each split; those of scikit-learn are divided by their number modulo 6.

    Args:
        data: "mnist" or "digits".
        data_dir: where MNIST is looked for first, see `downloads.locate`.

    Raises:
        ConfigError: if MNIST is missing and cannot be downloaded.
    """
    if data == "mnist":
        return {name: Pictures(*split) for name, split in mnist.load(data_dir).items()}
    from sklearn.datasets import load_digits  # slow to import

    found = load_digits()
    whole = Pictures((found.images * (255 / 16)).astype(np.uint8), found.target)
    place = np.arange(len(found.target)) % 6
    where = {"train": place < 4, "valid": place == 4, "test": place == 5}
    return {name: Pictures(*(part[own] for part in whole)) for name, own in where.items()}


def in_sequence(pictures: Pictures, order: str) -> Split:
    """Pictures as sequences of their rows, or of their pixels.

    Args:
        pictures: N of them, H by W.
        order: "rows", "pixels" or "permuted".

    Returns:
        Inputs uint8 [N, H, W] or [N, H · W, 1], and labels int32 [N, 1].
    """
    number, height, width = pictures.images.shape
    labels = pictures.digits.astype(np.int32)[:, None]
    if order == "rows":
        return Split(pictures.images, labels)
    flat = pictures.images.reshape(number, height * width, 1)
    if order == "permuted":
        flat = flat[:, np.random.default_rng(PERMUTATION).permutation(height * width)]
    return Split(flat, labels)


def baselines(pictures: Mapping[str, Pictures]) -> dict[str, np.ndarray]:
    """The digits that a logistic regression on all pixels finds for the test split.

    Args:
        pictures: the splits.

    Returns:
        The digits [N], by the name of the model.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import

    train, test = (
        pictures[name].images.reshape(len(pictures[name].digits), -1) / 255.0
        for name in ("train", "test")
    )
    model = LogisticRegression(max_iter=ITERATIONS).fit(train, pictures["train"].digits)
    return {"logistic regression on all pixels": model.predict(test)}


def sample(
    pictures: Pictures,
    order: str,
    predict: Predict,
    params: Any,
    key: jax.Array,
    directory: Path,
) -> None:
    """Draws the test pictures whose digit the model finds least likely: hardest.png.

    Args:
        pictures: those of the test split.
        order: of the pixels.
        predict: see `classifier`.
        params: the parameters.
        key: not used; there is no chance in it.
        directory: where the file goes.
    """
    found = predict(params, in_sequence(pictures, order).inputs)
    likely = found[np.arange(len(found)), pictures.digits]
    panels = [
        Panel(pictures.images[n], f"{pictures.digits[n]}, found {found[n].argmax()}", bool(right))
        for n in np.argsort(likely, kind="stable")[:SHOWN]
        for right in [found[n].argmax() == pictures.digits[n]]
    ]
    accuracy = np.mean(found.argmax(axis=1) == pictures.digits)
    title = f"the hardest of {len(found):,} test pictures, {100 * accuracy:.2f} % of them right"
    plot_panels(directory / "hardest.png", panels, title)
    print(directory / "hardest.png")
