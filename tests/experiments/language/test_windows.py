"""Texts in streams and windows."""

import numpy as np
import pytest

from experiments.language.windows import Windows


@pytest.mark.parametrize("warm_up", [False, True])
@pytest.mark.parametrize(
    ("size", "streams", "steps"), [(100, 4, 5), (101, 4, 5), (23, 3, 7), (9, 4, 8), (2, 3, 4)]
)
def test_every_symbol_but_the_first_is_predicted_once(size, streams, steps, warm_up):
    symbols = np.arange(size)
    windows = Windows(symbols, streams, steps, warm_up)
    counted = []
    for window in windows:
        assert window.inputs.shape == (steps, streams)
        np.testing.assert_array_equal(window.targets, window.inputs + 1)
        counted += window.targets[window.weights == 1.0].tolist()
        assert set(window.weights.ravel()) <= {0.0, 1.0}
    assert sorted(counted) == list(range(1, size))


def test_windows_go_on_where_the_one_before_ended():
    first, second, third = Windows(np.arange(13), streams=2, steps=2)
    np.testing.assert_array_equal(first.inputs, [[0, 6], [1, 7]])
    np.testing.assert_array_equal(second.inputs, [[2, 8], [3, 9]])
    np.testing.assert_array_equal(third.inputs, [[4, 10], [5, 11]])
    assert first.fresh.all()
    assert not second.fresh.any()
    assert not third.fresh.any()


def test_warm_up_gives_every_stream_the_window_before_its_own():
    windows = list(Windows(np.arange(13), streams=2, steps=2, warm_up=True))
    np.testing.assert_array_equal(windows[0].inputs[:, 1], [4, 5])
    assert windows[0].weights.sum() == 0
    np.testing.assert_array_equal([w.fresh for w in windows], [[1, 1], [1, 0], [0, 0], [0, 0]])


def test_restarts_come_at_another_time_in_every_stream():
    windows = Windows(np.arange(37), streams=3, steps=2, restart=4)
    np.testing.assert_array_equal(
        [window.fresh for window in windows],
        [[1, 1, 1], [0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]],
    )
