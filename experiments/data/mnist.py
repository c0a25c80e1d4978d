"""MNIST: 28 by 28 pictures of handwritten digits (LeCun et al. 1998)."""

from __future__ import annotations

import numpy as np

from experiments.data import downloads

VALIDATION = 5000  # the last training pictures


def load(data_dir: str | None = None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each split's pictures uint8 [N, 28, 28] and digits [N].

    "test" has the 10,000 of the test set; the last 5,000 of the training set are "valid".

    Args:
        data_dir: where to look first, see `downloads.locate`.

    Raises:
        ConfigError: if the file is missing and cannot be downloaded, or holds something else.
    """
    with np.load(downloads.locate(downloads.MNIST, data_dir)) as arrays:
        pictures, digits = arrays["x_train"], arrays["y_train"]
        test = arrays["x_test"], arrays["y_test"]
    return {
        "train": (pictures[:-VALIDATION], digits[:-VALIDATION]),
        "valid": (pictures[-VALIDATION:], digits[-VALIDATION:]),
        "test": test,
    }
