"""Kernels whose thread blocks share the units, run by test_gpu_kernels.py."""

import pytest

import lstm_jax as lj
from lstm_jax.recurrence.gpu import device, plan
from tests.lstm_jax.test_gpu_kernels import SEVERAL, interpreted, plans, same_as_scan

__all__ = ["interpreted", "plans"]


@pytest.mark.parametrize(("case", "slices"), [(SEVERAL[0], 4), *((c, 2) for c in SEVERAL)], ids=str)
def test_thread_blocks_that_share_the_units(monkeypatch, plans, case, slices):
    monkeypatch.setattr(plan, "arrangements", lambda *_: [("cluster", slices)])
    same_as_scan(case.cell(16 * slices - 3, dtype="float32"), tolerance=5e-5, rows=9)
    assert {(made.kind, made.slices, made.units) for made in plans} == {("cluster", slices, 16)}


def test_clusters_with_a_projection():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "arrangements", lambda *_: [("cluster", 2)])
        same_as_scan(lj.lstmp(60, projection_size=20, dtype="float32"), tolerance=5e-5)


def test_an_operand_in_chunks(monkeypatch, plans):
    """Where shared memory has no room for a whole operand beside the matrices."""
    monkeypatch.setattr(plan, "arrangements", lambda *_: [("cluster", 4)])
    with device.interpreted(device.HOPPER._replace(shared_memory=92_000)):
        same_as_scan(lj.lstm(128, dtype="float32"), tolerance=5e-5, steps=3)
    assert {made.chunk for made in plans} == {32, 128}
