"""Iterators that go on where they were, alone and in several processes."""

import json

import grain
import numpy as np

from experiments.data.batches import iterate
from experiments.mesh import Part


def test_an_iterator_restored_from_json_goes_on_where_it_was():
    def iterator():
        source = grain.MapDataset.source(np.arange(10)).seed(3).shuffle().repeat()
        return iterate(source.batch(4), Part(), 0)

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
        return iterate(batches, part, AXES)

    whole, thirds = iterator(Part()), [iterator(Part(number, 3)) for number in range(3)]
    for _ in range(4):
        batch, parts = next(whole), [next(third) for third in thirds]
        assert {part["x"].shape for part in parts} == {(1, 2)}
        np.testing.assert_array_equal(np.concatenate([p["x"] for p in parts], axis=1), batch["x"])
        assert [part["n"] for part in parts] == [6, 6, 6]
    half = iterator(Part(1, 2))
    half.set_state(json.loads(json.dumps(thirds[0].get_state())))
    np.testing.assert_array_equal(next(half)["x"], next(whole)["x"][:, 3:])
