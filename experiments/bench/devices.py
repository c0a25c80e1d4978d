"""Several processor cores as several JAX devices, each with its part of the batch."""

from __future__ import annotations

import os
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def core_count() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_devices(count: int) -> None:
    """Makes JAX show the processor as `count` devices; to be called before any computation."""
    if count > 1:
        jax.config.update("jax_num_cpu_devices", count)


def on_all(tree: Any) -> Any:
    """Arrays as every device has them whole."""
    return _place(tree, PartitionSpec())


def split_batch(tree: Any) -> Any:
    """Arrays [T, B, ...] split over the devices by sequences."""
    return _place(tree, PartitionSpec(None, "batch"))


def _place(tree: Any, spec: PartitionSpec) -> Any:
    mesh = jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(AxisType.Auto,))
    return jax.device_put(tree, NamedSharding(mesh, spec))
