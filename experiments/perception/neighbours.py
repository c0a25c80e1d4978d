"""The nearest neighbour by dynamic time warping: what new series classifiers are measured by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CHUNK = 1 << 16  # entries of the rows that are computed at once: few enough for a cache


def nearest(queries: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> np.ndarray:
    """The number [Q] of each query's nearest reference; of equal ones the first.

    Args:
        queries: sequences [T_q, D].
        references: sequences [S_r, D], at least one.
    """
    return dtw(queries, references).argmin(axis=1)


def dtw(queries: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> np.ndarray:
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
    distances = np.zeros((len(xs), len(ys)))
    row = np.full((len(xs), *ys.shape[:2]), np.inf)
    for i in range(xs.shape[1]):
        cost = _squared_distances(xs[:, i], ys)
        diagonal = np.roll(row, 1, axis=-1)
        diagonal[..., 0] = np.inf if i else 0.0
        sums = cost.cumsum(axis=-1)
        entries = np.minimum(row, diagonal) - (sums - cost)
        row = sums + np.minimum.accumulate(entries, axis=-1)
        ended = x_lengths == i + 1
        distances[ended] = row[ended][:, np.arange(len(ys)), y_lengths - 1]
    return distances


def _squared_distances(x: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """|x − y|² [Q, R, S] of points x [Q, D] and ys [R, S, D]."""
    products = x @ ys.reshape(-1, ys.shape[-1]).T
    squares = (x**2).sum(axis=-1)[:, None, None] + (ys**2).sum(axis=-1)
    return np.maximum(squares - 2 * products.reshape(squares.shape), 0.0)


def _lay(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sequences in one array [N, T, D], float64, zero behind their ends; their lengths [N]."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]))
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded, lengths
