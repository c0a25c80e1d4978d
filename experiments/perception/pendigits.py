"""UCI's Pen-Based Recognition of Handwritten Digits: 10,992 digits of 44 writers.

Alimoglu and Alpaydin 1996, "Methods of combining multiple classifiers based on different
representations for pen-based handwriting recognition", TAINN. CC BY 4.0.
"""

from __future__ import annotations

import numpy as np

from experiments.data import downloads, files
from experiments.data.downloads import DataSet
from experiments.perception.digits import POINTS, Digits

FIELD = "config.data_dir"
ORIGIN = (
    "https://archive.ics.uci.edu/ml/machine-learning-databases/"
    "pen-based-recognition-of-handwritten-digits"
)
TRAINING = DataSet(
    "pendigits/pendigits.tra",
    f"{ORIGIN}/pendigits.tra",
    "e2b9eb9f0d0467e2b64a4816a3420edf2b8043447576f4b84337aba44a9f97d3",
)
TESTING = DataSet(
    "pendigits/pendigits.tes",
    f"{ORIGIN}/pendigits.tes",
    "8bd03229c5c5291fefe43e45465dd948d2645bf23328b9d993e0b777666b2015",
)
VALID = 0.1  # of the training file


def load(data_dir: str | None = None) -> dict[str, Digits]:
    """The digits of each split.

    "test" is the test file: 14 writers of whom training has nothing. "valid" is the last tenth of
    the training file, whose order mixes its 30 writers: validation knows them all.

    Args:
        data_dir: where to look first, see `downloads.locate`.

    Raises:
        ConfigError: if a file is missing and cannot be downloaded, or holds something else.
    """
    points, labels = _read(TRAINING, data_dir)
    held_out = len(labels) - int(len(labels) * VALID)
    return {
        "train": Digits(points[:held_out], labels[:held_out]),
        "valid": Digits(points[held_out:], labels[held_out:]),
        "test": _read(TESTING, data_dir),
    }


def _read(data_set: DataSet, data_dir: str | None) -> Digits:
    """The rows of a file: sixteen coordinates from 0 to 100, then the digit."""
    text = files.read_text(downloads.locate(data_set, data_dir), FIELD)
    table = np.array([line.split(",") for line in text.splitlines()], np.int32)
    return Digits(table[:, :-1].reshape(-1, POINTS, 2).astype(np.float64), table[:, -1])
