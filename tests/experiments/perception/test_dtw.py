"""Dynamic time warping against a plain double loop, and by hand."""

import numpy as np
import pytest

from experiments.perception import dtw


def plain(x, y):
    """The distance of a pair, as the recursion stands in the docstring."""
    table = np.full((len(x) + 1, len(y) + 1), np.inf)
    table[0, 0] = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            before = min(table[i, j + 1], table[i + 1, j], table[i, j])
            table[i + 1, j + 1] = ((x[i] - y[j]) ** 2).sum() + before
    return table[-1, -1]


def draw(number, longest, dimensions, seed):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, number)
    return [random.normal(size=(n, dimensions)).astype(np.float32) for n in lengths]


@pytest.mark.parametrize("dimensions", [1, 3])
@pytest.mark.parametrize("chunk", [dtw.CHUNK, 1, 300])
def test_distances_are_those_of_a_double_loop(monkeypatch, dimensions, chunk):
    monkeypatch.setattr(dtw, "CHUNK", chunk)
    queries, references = draw(9, 12, dimensions, 0), draw(7, 15, dimensions, 1)
    expected = [[plain(x.astype(float), y.astype(float)) for y in references] for x in queries]
    np.testing.assert_allclose(dtw.distances(queries, references), expected, rtol=1e-10)
    nearest = dtw.nearest(queries, references)
    np.testing.assert_array_equal(nearest, np.argmin(expected, axis=1))


def test_distances_far_from_zero_keep_their_digits():
    """|x|² − 2xy + |y|² would lose them, even with the mean of all subtracted."""
    x, y = (sequence.astype(float) for sequence in draw(2, 9, 2, 2))
    far = dtw.distances([x + 1e6, x - 1e6], [y + 1e6, y - 1e6])
    np.testing.assert_allclose(np.diag(far), plain(x, y), rtol=1e-6)


def test_by_hand():
    """A repeated value costs nothing, a shift of a whole series does."""
    series = [np.array(values, np.float32)[:, None] for values in ([0, 2], [0, 0, 2, 2], [1, 3])]
    expected = [[0, 0, 2], [0, 0, 4], [2, 4, 0]]
    np.testing.assert_allclose(dtw.distances(series, series), expected, atol=1e-12)
    assert dtw.nearest([series[2]], [series[1], series[0], series[0]]).tolist() == [1]
