"""Sequence classification: series of measurements, one class each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from experiments.config import ConfigError, choose
from experiments.data import downloads, files, series
from experiments.data.buckets import pad
from experiments.data.downloads import DataSet
from experiments.data.series import Series
from experiments.language.samples import write_samples
from experiments.perception import dtw
from experiments.perception.classifier import Predict, classifier
from experiments.perception.confusion import plot_confusion
from experiments.perception.cylinder_bell_funnel import cylinder_bell_funnel
from experiments.perception.examples import Split
from experiments.task import Task

FIELD = "config.task.path"
ORIGIN = "https://raw.githubusercontent.com/aeon-toolkit/aeon/main/aeon/datasets/data"
JAPANESE_VOWELS = (
    DataSet(
        "ucr/JapaneseVowels_TRAIN.ts",
        f"{ORIGIN}/JapaneseVowels/JapaneseVowels_TRAIN.ts",
        "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    ),
    DataSet(
        "ucr/JapaneseVowels_TEST.ts",
        f"{ORIGIN}/JapaneseVowels/JapaneseVowels_TEST.ts",
        "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    ),
)
GENERATED = {"train": 120, "test": 90}  # cylinders, bells and funnels
HELD_OUT = 5  # one of so many examples of a class is held out
FARTHEST = 1e6  # deviations
PATIENCE = 5 * 10**9  # differences of time warping; what takes more of them is left out


class Data(NamedTuple):
    """Normalised splits, and what normalised them.

    Attributes:
        name: of the data set.
        splits: "train", "valid" and "test".
        classes: the names of the classes.
        mean: of each dimension over the steps of the training split [D].
        deviation: likewise, 1 where nothing varies [D].
    """

    name: str
    splits: dict[str, Split]
    classes: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray

    def normalise(self, sequence: np.ndarray) -> np.ndarray:
        """(x − mean) / deviation of a sequence [T, D], float32, at most FARTHEST from 0."""
        scores = (sequence - self.mean) / self.deviation
        return np.clip(scores, -FARTHEST, FARTHEST).astype(np.float32)


def classification(config: ConfigDict) -> Task:
    """Classes of Japanese vowels by speaker, of generated series, or of `config.task.path`.

    Every fifth example of each class in the training file is for validation. Inputs are normalised
    by the training split.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    data = load(config)
    return classifier(
        config,
        data.splits,
        data.classes,
        augment=partial(augment, config.task.noise, config.task.drop),
        baselines=partial(baselines, data),
        sample=partial(sample, data),
        facts={"name": data.name, "dimensions": len(data.mean)},
    )


def load(config: ConfigDict) -> Data:
    """The series that `config.task` names, in their splits.

    Args:
        config: `task.data`, `task.path` and `data_dir` are used.

    Raises:
        ConfigError: if a file is absent or wrong, or has too few series or classes.
    """
    train, test = _read(config)
    if test is None:
        train, test = divide(train)
    train, valid = divide(train)
    if not valid.labels or len(set(train.labels)) == 1:
        what = f"leaves {len(train.labels)} series of {len(set(train.labels))} classes for training"
        what += f" and {len(valid.labels)} for validation; give several of at least two classes"
        raise files.refusal(Path(config.task.path), FIELD, what)
    return prepare(train, valid, test)


def _read(config: ConfigDict) -> tuple[Series, Series | None]:
    """The series to learn from, and those of the test if they are apart."""
    name = choose("task.data", config.task.data, ("cylinder_bell_funnel", "japanese_vowels"))
    if config.task.path:
        return _read_pair(Path(config.task.path))
    if name == "japanese_vowels":
        paths = [downloads.locate(data_set, config.data_dir) for data_set in JAPANESE_VOWELS]
        train, test = (series.read_ts(path, "config.task.data") for path in paths)
        return train, test
    drawn = [cylinder_bell_funnel(n, seed) for seed, n in enumerate(GENERATED.values())]
    return drawn[0], drawn[1]


def _read_pair(path: Path) -> tuple[Series, Series | None]:
    """A file NAME_TRAIN.ts, and NAME_TEST.ts if that is beside it.

    Raises:
        ConfigError: if one of them is wrong, or they do not fit one another.
    """
    train = series.read_ts(path, FIELD)
    beside = path.with_name(path.name.replace("_TRAIN", "_TEST"))
    if beside == path or not beside.is_file():
        return train, None
    test = series.read_ts(beside, FIELD)
    _check_dimensions(test, train.sequences[0].shape[1], beside, FIELD)
    if unknown := sorted(set(test.labels) - set(train.classes)):
        what = f"has the label {unknown[0][:40]!r}, which {path.name} does not have"
        raise files.refusal(beside, FIELD, what)
    return train, test


def _check_dimensions(found: Series, dimensions: int, path: Path, field: str) -> None:
    """Raises `ConfigError` unless the series have as many dimensions as those of training."""
    if found.sequences[0].shape[1] != dimensions:
        what = f"dimensions, but the training data have {dimensions}"
        raise files.refusal(path, field, f"has {found.sequences[0].shape[1]} {what}")


def divide(whole: Series) -> tuple[Series, Series]:
    """Holds out every fifth example of each class: its second, its seventh and so on.

    Args:
        whole: all examples.

    Returns:
        Those that stay, and those that are held out.
    """
    seen: dict[str, int] = {}
    held = []
    for label in whole.labels:
        held.append(seen.get(label, 0) % HELD_OUT == 1)
        seen[label] = seen.get(label, 0) + 1
    return _pick(whole, np.flatnonzero(np.logical_not(held))), _pick(whole, np.flatnonzero(held))


def _pick(whole: Series, numbers: Sequence[int] | np.ndarray) -> Series:
    """Some of the examples."""
    sequences = [whole.sequences[n] for n in numbers]
    return whole._replace(sequences=sequences, labels=[whole.labels[n] for n in numbers])


def prepare(train: Series, valid: Series, test: Series) -> Data:
    """Normalises the splits by the first of them.

    Args:
        train: what is learnt from; it knows every class.
        valid: what selects.
        test: what is reported.

    Returns:
        The splits, in which a label is the place of a class among `train.classes`.
    """
    steps = np.concatenate(train.sequences).astype(np.float64)
    deviation = np.where(np.ptp(steps, axis=0) > 0, steps.std(axis=0), 1.0)
    data = Data(train.name, {}, train.classes, steps.mean(axis=0), deviation)
    for name, split in {"train": train, "valid": valid, "test": test}.items():
        inputs = [data.normalise(sequence) for sequence in split.sequences]
        labels = [np.array([train.classes.index(label)], np.int32) for label in split.labels]
        data.splits[name] = Split(inputs, labels)
    return data


def augment(
    noise: float, drop: float, sequence: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Leaves out each step with a probability, though never all, and adds noise to the others.

    Args:
        noise: the deviation of what is added.
        drop: the probability.
        sequence: float32 [T, D].
        random: where the chance comes from.

    Returns:
        Another float32 sequence [T', D], T' from 1 to T.
    """
    kept = random.random(len(sequence)) >= drop
    kept[random.integers(len(sequence))] = True
    left = sequence[kept]
    return left + noise * random.standard_normal(left.shape, np.float32)


def baselines(data: Data) -> dict[str, np.ndarray]:
    """The classes that simpler models find for the test split, with validation to learn from.

    Args:
        data: the splits.

    Returns:
        The numbers of the classes [N], by the names of the models.
    """
    from sklearn.linear_model import LogisticRegression

    inputs = [*data.splits["train"].inputs, *data.splits["valid"].inputs]
    labels = np.concatenate([*data.splits["train"].labels, *data.splits["valid"].labels])
    tests = list(data.splits["test"].inputs)
    width = max(map(len, inputs))
    flat, flat_tests = (
        pad(split, width, 0, np.float32).swapaxes(0, 1).reshape(len(split), -1)
        for split in (inputs, tests)
    )
    regression = LogisticRegression(max_iter=1000).fit(flat, labels)
    found = {"logistic regression on padded input": regression.predict(flat_tests)}
    differences = sum(map(len, inputs)) * sum(map(len, tests)) * len(data.mean)
    if differences <= PATIENCE:
        nearest = dtw.nearest(tests, inputs)
        found["1-nearest neighbour, dynamic time warping"] = labels[nearest]
    else:
        logging.warning("no baseline by time warping: %d differences are too many", differences)
    return found


def sample(
    data: Data,
    predict: Predict,
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Writes which test series are taken for what: confusion.png, and wrong.txt with the wrong.

    Args:
        data: the splits.
        predict: see `classifier`.
        params: the parameters.
        key: not used; there is no chance in it.
        directory: where the files go.
        prompt: a `.ts` file of the user's own, with or without labels; answers.txt has its classes.

    Raises:
        ConfigError: if that file is wrong, or has other dimensions than the training data.
    """
    if prompt is not None:
        return _answer(data, predict, params, directory, prompt)
    test = data.splits["test"]
    probabilities = predict(params, test.inputs)
    truth, predicted = np.concatenate(list(test.labels)), probabilities.argmax(axis=-1)
    plot_confusion(directory / "confusion.png", truth, predicted, data.classes)
    wrong = "".join(
        f"test series {n + 1}: class {data.classes[truth[n]]},"
        f" taken for {_verdict(data.classes, probabilities[n])}\n"
        for n in np.flatnonzero(predicted != truth)
    )
    none = "no test series is taken for another class\n"
    write_samples(directory, [wrong or none], "wrong.txt")
    print(directory / "confusion.png")


def _answer(data: Data, predict: Predict, params: Any, directory: Path, prompt: str) -> None:
    """Writes the classes of the series in a file of the user's: answers.txt."""
    if not prompt:
        raise ConfigError("--prompt is empty; give the path of a .ts file")
    own = series.read_ts(Path(prompt), "--prompt", labelled=False)
    _check_dimensions(own, len(data.mean), Path(prompt), "--prompt")
    probabilities = predict(params, [data.normalise(sequence) for sequence in own.sequences])
    said = [f", labelled {label}" for label in own.labels] or [""] * len(probabilities)
    answers = "".join(
        f"series {n}: class {_verdict(data.classes, row)}{label}\n"
        for n, (row, label) in enumerate(zip(probabilities, said, strict=True), 1)
    )
    write_samples(directory, [answers], "answers.txt")


def _verdict(classes: Sequence[str], probabilities: np.ndarray) -> str:
    """The likeliest class and its probability."""
    best = int(probabilities.argmax())
    return f"{classes[best]} ({100 * probabilities[best]:.0f} %)"
