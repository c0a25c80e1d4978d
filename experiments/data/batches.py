"""Batches as an iterator whose position can be saved, shared among processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grain

from experiments.mesh import Part

BATCHES = 2**40  # more than any run draws


def endless(batch: Callable[[int], Any]) -> grain.MapDataset:
    """The batches of all numbers from 0 on, each computed from its number when it is drawn."""
    return grain.MapDataset.range(BATCHES).map(batch)


def iterate(batches: grain.MapDataset, part: Part, axes: Any) -> grain.DatasetIterator:
    """Iterates over a process's part of batches; its position can be saved and restored.

    The position counts batches, so that any number of processes can go on from it. No threads
    read ahead: with data in memory that would only take the processor's time.

    Args:
        batches: the whole batches.
        part: the process's part of each.
        axes: see `Task.batch_axes`.
    """
    data = batches.map(lambda batch: part.take(batch, axes)) if part.of > 1 else batches
    return iter(data.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)))
