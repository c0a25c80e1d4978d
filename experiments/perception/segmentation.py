"""Recognition without recurrence: cut at silences, and tell each segment by its mean sound."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import scipy

from experiments.perception.examples import Arrays, Split

THRESHOLDS = (0.2, 0.3, 0.4, 0.5)  # between soft, 0, and loud, 1; validation chooses
SHORTEST = (2, 3, 4, 5, 6)  # steps of a segment, and of a silence; validation chooses
PARTS = 3  # of a segment, of equal length, whose means are told apart


class Segmenter(NamedTuple):
    """Cuts sequences into what is loud for long enough.

    Soft is a sequence's tenth percentile of the mean over the features, and loud its ninetieth.

    Attributes:
        threshold: what counts as loud, from 0, soft, to 1.
        shortest: steps; shorter silences are filled up, then shorter segments dropped.
    """

    threshold: float
    shortest: int

    @classmethod
    def fit(cls, split: Split) -> Segmenter:
        """The one whose numbers of segments differ least from the numbers of labels, in all."""
        counts = list(map(len, split.labels))

        def errors(segmenter: Segmenter) -> int:
            found = [len(segmenter(features)) for features in split.inputs]
            return int(np.abs(np.subtract(found, counts)).sum())

        return min(itertools.starmap(cls, itertools.product(THRESHOLDS, SHORTEST)), key=errors)

    def __call__(self, features: np.ndarray) -> list[np.ndarray]:
        """The segments [S, D] of features [T, D].

        Example:
            >>> loud, soft = np.ones((5, 1)), np.zeros((4, 1))
            >>> sequence = np.concatenate([soft, loud, soft, loud, loud, soft])
            >>> [len(segment) for segment in Segmenter(0.5, 3)(sequence)]
            [5, 10]
        """
        loudness = features.mean(axis=1)
        low, high = np.percentile(loudness, (10, 90))
        loud = np.pad(loudness > low + self.threshold * (high - low), self.shortest)
        ndimage, wide = scipy.ndimage, np.ones(self.shortest)
        loud = ndimage.binary_opening(ndimage.binary_closing(loud, wide), wide)
        loud = loud[self.shortest : -self.shortest]
        return [features[place] for place in ndimage.find_objects(ndimage.label(loud)[0])]


def classify(known: Split, inputs: Arrays, parts: int) -> np.ndarray:
    """The classes of sequences by a logistic regression on summaries of them.

    Args:
        known: sequences of one label each, that it learns from.
        inputs: N sequences [T, D].
        parts: see `summary`.

    Returns:
        Labels [N].
    """
    return _Regression(known.inputs, np.concatenate(list(known.labels)), parts)(inputs)


def transcribe(train: Split, valid: Split, inputs: Arrays) -> list[np.ndarray] | None:
    """The labels of sequences, one for each segment, by a logistic regression on PARTS of it.

    Validation says how to cut. The sequences of both splits that have as many segments as labels
    teach what the segments are.

    Args:
        train: sequences with their labels.
        valid: more of them.
        inputs: N sequences [T, D].

    Returns:
        N arrays of labels [L]; None if there are fewer than two different ones to learn from.
    """
    segmenter = Segmenter.fit(valid)
    segments: list[np.ndarray] = []
    labels: list[int] = []
    for split in (train, valid):
        for features, said in zip(split.inputs, split.labels, strict=True):
            if len(found := segmenter(features)) == len(said):
                segments += found
                labels += said.tolist()
    if len(set(labels)) < 2:
        return None
    tell = _Regression(segments, np.array(labels), PARTS)
    return [tell(segmenter(features)) for features in inputs]


def summary(features: np.ndarray, parts: int) -> np.ndarray:
    """The means over some parts of the time, and the deviation over all of it.

    Args:
        features: [T, D].
        parts: how many; each is as long as the others, more or less, and at least a step.

    Returns:
        [(parts + 1) D].

    Example:
        >>> summary(np.array([[1.0], [3.0], [5.0], [7.0]]), parts=2).round(2).tolist()
        [2.0, 6.0, 2.24]
    """
    steps = len(features)
    places = [slice(steps * n // parts, -(-steps * (n + 1) // parts)) for n in range(parts)]
    means = [features[place].mean(axis=0) for place in places]
    return np.concatenate([*means, features.std(axis=0)])


class _Regression:
    """A logistic regression on standardized summaries of sequences [T, D]."""

    def __init__(self, inputs: Arrays, labels: np.ndarray, parts: int) -> None:
        from sklearn.linear_model import LogisticRegression  # slow to import
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits

        self._parts = parts
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        with threadpool_limits(1):  # products this small are ten times slower on shared cores
            self._model: Any = model.fit(self._summaries(inputs), labels)

    def __call__(self, inputs: Arrays) -> np.ndarray:
        """The labels of some inputs [N]."""
        return self._model.predict(self._summaries(inputs)) if len(inputs) else np.empty(0, int)

    def _summaries(self, inputs: Arrays) -> np.ndarray:
        return np.stack([summary(features, self._parts) for features in inputs])
