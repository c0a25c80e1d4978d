"""Dynamic time warping: distances of series, and the nearest neighbour by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CHUNK = 1 << 16  # entries of the rows that are computed at once: few enough for a cache


def nearest(queries: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> np.ndarray:
    """Each query's nearest reference: what new classifiers of series are measured by.

    Args:
        queries: Q sequences [T_q, D].
        references: R sequences [S_r, D], at least one.

    Returns:
        The numbers of the references [Q]; of equally near ones the first.

    Example:
        >>> nearest([np.array([[1.0], [4.0]])], [np.zeros((3, 1)), np.array([[1.0], [1.0], [5.0]])])
        array([1])
    """
    return distances(queries, references).argmin(axis=1)


def distances(queries: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> np.ndarray:
    """The distances of dynamic time warping between all pairs.

        d(i, j) = |x_i − y_j|² + min(d(i−1, j), d(i, j−1), d(i−1, j−1)),   distance d(T, S)

    All dimensions are warped together ("dependent"), there is no band, and lengths do not count. A
    row follows from the one before it without a loop over j: with C(j) = Σ_{k≤j} |x_i − y_k|²

        d(i, j) = C(j) + min_{k≤j} [min(d(i−1, k), d(i−1, k−1)) − C(k−1)]

    Args:
        queries: Q sequences [T_q, D].
        references: R sequences [S_r, D].

    Returns:
        [Q, R], float64.

    Source: H. Sakoe and S. Chiba 1978, "Dynamic programming algorithm optimization for spoken word
    recognition", IEEE Transactions on Acoustics, Speech, and Signal Processing 26(1);
    "dependent": Shokoohi-Yekta et al. 2017, "Generalizing DTW to the multi-dimensional case
    requires an adaptive approach", Data Mining and Knowledge Discovery 31(1).
    """
    padded, lengths = _lay(references)
    size = max(1, CHUNK // (len(references) * padded.shape[1]))
    parts = [queries[start : start + size] for start in range(0, len(queries), size)]
    return np.concatenate([_distances(*_lay(part), padded, lengths) for part in parts])


def _distances(
    xs: np.ndarray, x_lengths: np.ndarray, ys: np.ndarray, y_lengths: np.ndarray
) -> np.ndarray:
    """The distances [Q, R] between padded sequences [Q, T, D] and [R, S, D]."""
    found = np.zeros((len(xs), len(ys)))
    row = np.full((len(xs), *ys.shape[:2]), np.inf)
    for i in range(xs.shape[1]):
        cost = _squared_distances(xs[:, i], ys)
        diagonal = np.roll(row, 1, axis=-1)
        diagonal[..., 0] = np.inf if i else 0.0
        sums = cost.cumsum(axis=-1)
        entries = np.minimum(row, diagonal) - (sums - cost)
        row = sums + np.minimum.accumulate(entries, axis=-1)
        ended = x_lengths == i + 1
        found[ended] = row[ended][:, np.arange(len(ys)), y_lengths - 1]
    return found


def _squared_distances(x: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """|x − y|² [Q, R, S] of points x [Q, D] and ys [R, S, D].

    The dimensions take turns, since |x|² − 2xy + |y|² loses its digits far from zero.
    """
    squares = np.zeros((len(x), *ys.shape[:2]))
    for own, others in zip(x.T, np.moveaxis(ys, -1, 0), strict=True):
        squares += (own[:, None, None] - others) ** 2
    return squares


def _lay(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sequences in one array [N, T, D], float64, zero behind their ends; their lengths [N]."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]))
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded, lengths
