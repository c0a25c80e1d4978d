"""Windows of a series: what is known at an origin, and what is to be forecast from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import grain
import numpy as np
from ml_collections import ConfigDict

from experiments.config import ConfigError
from experiments.data import batches
from experiments.data.csv_series import Dated
from experiments.mesh import Part

SPLITS = ("train", "valid", "test")
CHUNK = 128  # windows that are evaluated at once
FARTHEST = 1e6  # deviations


class Batch(NamedTuple):
    """Windows [T, B, C] and what follows them [L, B, C]; where `present` [B] is 0, nothing is."""

    windows: np.ndarray
    targets: np.ndarray
    present: np.ndarray


AXES: Any = Batch._make((1, 1, 0))


class Scaled(NamedTuple):
    """A series in deviations from its mean, both of the training rows alone.

    Attributes:
        dated: the series as it was.
        values: (x − mean) / deviation, float32 [R, C].
        mean: [C].
        deviation: [C].
        ends: the row after the last one of each split, by its name.
    """

    dated: Dated
    values: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    ends: dict[str, int]

    def start(self, split: str) -> int:
        """The first row of a split."""
        return {"train": 0, "valid": self.ends["train"], "test": self.ends["valid"]}[split]

    def scale(self, dated: Dated) -> np.ndarray:
        """A series of the same columns as the model sees it, float32 [R, C].

        Raises:
            ValueError: naming a value that is far from those of training.
        """
        return _scale(dated, self.mean, self.deviation)

    def restore(self, values: np.ndarray) -> np.ndarray:
        """What the model sees [..., C] as it was."""
        return values * self.deviation + self.mean


def scaled(dated: Dated, ends: dict[str, int]) -> Scaled:
    """Scales a series by its training rows.

    Args:
        dated: the series.
        ends: see `Scaled`.

    Raises:
        ValueError: naming a column that does not vary in training, or a row far beyond it.
    """
    train = dated.values[: ends["train"]]
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    for name, column in zip(dated.columns, train.T, strict=True):
        if np.ptp(column) == 0:
            what = f"has the value {column[0]:g} in all {len(train)} training rows of the column"
            raise ValueError(f"{what} {name!r}; leave it out by config.task.columns")
    return Scaled(dated, _scale(dated, mean, deviation), mean, deviation, ends)


def _scale(dated: Dated, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    values = (dated.values - mean) / deviation
    if (far := np.argwhere(np.abs(values) > FARTHEST)).size:
        row, column = far[0]
        what = f"{dated.values[row, column]:g} in the column {dated.columns[column]!r}"
        beyond = f"more than {FARTHEST:g} deviations of the training rows from their mean"
        raise ValueError(f"has at {dated.dates[row]} {what}, {beyond}; correct it")
    return values.astype(np.float32)


def fractions(rows: int) -> dict[str, int]:
    """Where splits end: 60 % are for training, then 20 % for validation, as in ETTh1."""
    return {"train": 3 * rows // 5, "valid": 4 * rows // 5, "test": rows}


class Windows:
    """The windows of each split, at every origin.

    An origin t forecasts the rows t to t + L − 1 from the rows t − T to t − 1. All rows that are
    forecast lie in the split; those that are read may lie before it.

    Args:
        config: `train.batch_size` and `seed` are used.
        series: the series.
        length: T.
        horizon: L.

    Raises:
        ConfigError: if a split has no origin.
    """

    def __init__(self, config: ConfigDict, series: Scaled, length: int, horizon: int) -> None:
        self._config, self._values = config, series.values
        self.length, self.horizon = length, horizon
        self.origins = {}
        for split in SPLITS:
            start, end = series.start(split), series.ends[split]
            first, last = max(start, length), end - horizon
            if first > last:
                read = f" and config.task.window is {length}" if start < length else ""
                raise ConfigError(
                    f"config.task.horizon is {horizon}{read}, but the {split} part of"
                    f" {series.dated.name} has {end - start} rows; choose less"
                )
            self.origins[split] = np.arange(first, last + 1)

    def train(self, part: Part) -> grain.DatasetIterator:
        """Endless training batches, see `Task.train_batches`."""
        return batches.iterate(batches.endless(self.drawn), part, AXES)

    def drawn(self, number: int) -> Batch:
        """The training batch of a number: any origins."""
        random = np.random.default_rng((self._config.seed, number))
        return self.at(random.choice(self.origins["train"], self._config.train.batch_size))

    def in_order(self, split: str) -> Iterator[Batch]:
        """The windows at all origins of a split, in their order."""
        for start in range(0, len(self.origins[split]), CHUNK):
            origins = self.origins[split][start : start + CHUNK]
            empty = CHUNK - len(origins)
            batch = self.at(np.pad(origins, (0, empty), mode="edge"))
            yield batch._replace(present=(np.arange(CHUNK) < len(origins)).astype(np.float32))

    def at(self, origins: np.ndarray) -> Batch:
        """The windows at some origins [B]."""
        rows = np.asarray(origins)[None] + np.arange(-self.length, self.horizon)[:, None]
        values = self._values[rows]
        present = np.ones(rows.shape[1], np.float32)
        return Batch(values[: self.length], values[self.length :], present)

    def facts(self) -> dict[str, Any]:
        """What the results say about the windows."""
        return {f"{split}_origins": len(self.origins[split]) for split in SPLITS}
