"""The standard library's text, and text in streams."""

import json

import grain
import numpy as np
import pytest

from experiments import data
from experiments.config import ConfigError
from experiments.data import Windows
from experiments.mesh import Part


def test_the_standard_library_gives_a_large_capped_text():
    text = data.stdlib_text()
    assert 1_500_000 < len(text) <= data.STDLIB_CAP
    assert text.count("\ndef ") > 500
    assert data.STDLIB_MODULES.split() == sorted(data.STDLIB_MODULES.split())
    assert data.stdlib_text(cap=1000) == text[:1000]
    with pytest.raises(ConfigError, match=r"no source file .*nothing_like_this\.py"):
        data.stdlib_text(modules="abc nothing_like_this")


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


def test_an_iterator_restored_from_json_goes_on_where_it_was():
    def iterator():
        source = grain.MapDataset.source(np.arange(10)).seed(3).shuffle().repeat()
        return data.iterate(source.batch(4), Part(), 0)

    running = iterator()
    for _ in range(4):
        next(running)
    restored = iterator()
    restored.set_state(json.loads(json.dumps(running.get_state())))
    after = [next(running).tolist() for _ in range(5)]
    assert [next(restored).tolist() for _ in range(5)] == after
    assert after[0] != after[-1]


AXES = {"x": 1, "n": None}


def test_processes_share_each_batch_and_another_number_of_them_goes_on():
    def iterator(part):
        source = grain.MapDataset.source(np.arange(20)).seed(3).shuffle().repeat()
        batches = source.batch(6).map(lambda v: {"x": v[None] * 10, "n": len(v)})
        return data.iterate(batches, part, AXES)

    whole, thirds = iterator(Part()), [iterator(Part(number, 3)) for number in range(3)]
    for _ in range(4):
        batch, parts = next(whole), [next(third) for third in thirds]
        assert {part["x"].shape for part in parts} == {(1, 2)}
        np.testing.assert_array_equal(np.concatenate([p["x"] for p in parts], axis=1), batch["x"])
        assert [part["n"] for part in parts] == [6, 6, 6]
    half = iterator(Part(1, 2))
    half.set_state(json.loads(json.dumps(thirds[0].get_state())))
    np.testing.assert_array_equal(next(half)["x"], next(whole)["x"][:, 3:])
