"""Recognition without recurrence: cut at silences, and tell each piece by its mean sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from experiments.perception.examples import Arrays, Split

SHORTEST = 3  # steps of a piece, and of a silence
EXAMPLES = 500  # training recordings, at most, that pieces are cut from


def cut(features: np.ndarray) -> list[np.ndarray]:
    """The pieces [T, D] of features [N, D] that are louder than halfway between soft and loud.

    Example:
        >>> loud, soft = np.ones((5, 1)), np.zeros((4, 1))
        >>> [len(piece) for piece in cut(np.concatenate([soft, loud, soft, loud, loud, soft]))]
        [5, 10]
    """
    loudness = features.mean(axis=1)
    low, high = np.percentile(loudness, (10, 90))
    spoken, wide = np.pad(loudness > (low + high) / 2, SHORTEST), np.ones(SHORTEST)
    ndimage = scipy.ndimage
    spoken = ndimage.binary_opening(ndimage.binary_closing(spoken, wide), wide)
    spoken = spoken[SHORTEST:-SHORTEST]
    return [features[place] for place in ndimage.find_objects(ndimage.label(spoken)[0])]


def summary(features: np.ndarray) -> np.ndarray:
    """The mean and the deviation over time of features [T, D]: [2 D]."""
    return np.concatenate([features.mean(axis=0), features.std(axis=0)])


def logistic(inputs: Arrays, labels: np.ndarray) -> Any:
    """A logistic regression on the summaries of inputs [T, D]."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    return LogisticRegression(max_iter=2000).fit(np.stack(list(map(summary, inputs))), labels)


def classify(train: Split, inputs: Arrays) -> np.ndarray:
    """The classes [N] that a logistic regression on summaries finds."""
    model = logistic(train.inputs, np.concatenate(list(train.labels)))
    return model.predict(np.stack(list(map(summary, inputs))))


def transcribe(train: Split, inputs: Arrays) -> list[np.ndarray] | None:
    """The labels [L] of each input, a piece each.

    The training recordings that have as many pieces as labels teach what the pieces are.

    Returns:
        The labels; None if those recordings have fewer than two different ones.
    """
    pieces: list[np.ndarray] = []
    labels: list[int] = []
    for features, said in zip(train.inputs[:EXAMPLES], train.labels[:EXAMPLES], strict=True):
        if len(found := cut(features)) == len(said):
            pieces += found
            labels += said.tolist()
    if len(set(labels)) < 2:
        return None
    model = logistic(pieces, np.array(labels))
    return [
        model.predict(np.stack(list(map(summary, found)))) if found else np.empty(0, int)
        for found in map(cut, inputs)
    ]
