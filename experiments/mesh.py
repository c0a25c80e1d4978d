"""Over which devices and processes a run is spread, and where each of its arrays lies.

The devices form a mesh with two axes: the sequences of a batch are split over "data", the columns
of the largest kernels over "model". Programs are written as for one device; `jax.jit` splits them
by where their arguments lie.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from experiments.config import ConfigError

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
SPLIT_BY_COLUMN = re.compile(r"(^|/)(recurrent_kernel|Dense_\d+/(kernel|bias))$")


class Part(NamedTuple):
    """A process's share of every batch of B: rows [number · B / of, (number + 1) · B / of)."""

    number: int = 0
    of: int = 1

    def take(self, batch: Any, axes: Any) -> Any:
        """This part of a whole batch; `axes` as in `place`."""

        def rows(axis: int | None, leaf: Any) -> Any:
            return leaf if axis is None else np.split(leaf, self.of, axis)[self.number]

        return _map(rows, axes, batch)


def start(config: ConfigDict) -> None:
    """Joins the run's other processes and asks for CPU devices, before JAX makes any array.

    Several processes are announced by JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
    JAX_PROCESS_ID, or by Slurm, as a step of several tasks. Where they do not meet within five
    minutes, JAX ends the process.

    Raises:
        ConfigError: if the environment announces them only in part.
    """
    wanted = max(config.mesh.data, 1) * config.mesh.model
    count = show_cpu_devices(-(-wanted // _join()))
    if min(wanted, count) > 1:
        # XLA launches and runs each device's programs on one pool of so many threads. A thread
        # that launches may wait for earlier programs of its device, one that runs for the other
        # devices: with fewer than two for each device, all may wait for ever.
        os.environ.setdefault("NPROC", str(2 * count + (os.cpu_count() or 1)))


def make_mesh(config: ConfigDict) -> Mesh:
    """The mesh of `config.mesh`, with the devices of each process side by side.

    Raises:
        ConfigError: if there are not so many devices, or they cannot share the batch.
    """
    data, model = _shape(config)
    each, pinned = data * model // jax.process_count(), jax.config.values["jax_default_device"]
    devices = [d for p in range(jax.process_count()) for d in jax.local_devices(p)[:each]]
    devices = [pinned] if isinstance(pinned, jax.Device) else devices
    if len(devices) < data * model:
        raise ConfigError(
            f"config.mesh.data={data} times config.mesh.model={model} are {data * model} devices,"
            f" but there are {jax.device_count()}; ask for as many or fewer"
        )
    if config.train.batch_size % data:
        raise ConfigError(
            f"config.train.batch_size is {config.train.batch_size}, it must be a multiple of"
            f" config.mesh.data, which is {data}"
        )
    axis_types = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh((data, model), ("data", "model"), axis_types, devices=devices)


def own_part() -> Part:
    """This process's share."""
    return Part(jax.process_index(), jax.process_count())


def is_main() -> bool:
    """Whether this is the process that writes and shows things."""
    return jax.process_index() == 0


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(mesh: Mesh, state: Any) -> Any:
    """Where each leaf of a `TrainState` of arrays or shapes lies.

    Recurrent kernels and the output layer, with their moments, are split by column over "model";
    the carry by sequence over "data". What cannot be split evenly, and all else, is replicated.
    """
    paths = jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), state
    )
    _report_whole(mesh, paths.params, state.params)
    return jax.tree.map(
        lambda path, leaf: NamedSharding(mesh, _spec(mesh, path, leaf.shape)), paths, state
    )


def place(mesh: Mesh, batch: Any, axes: Any, whole: bool = False) -> Any:
    """Spreads a batch of numpy arrays over the mesh.

    Args:
        mesh: where to.
        batch: this process's part of the sequences.
        axes: the batch's tree with the axis of each leaf that counts sequences; None: it has none.
        whole: every process has the whole batch. Then the sequences may be of any number: what
            cannot be split evenly is replicated.

    Returns:
        The global arrays; the batch as it is where there is a single device.
    """
    if mesh.size == 1:
        return batch

    def put(axis: int | None, leaf: Any) -> jax.Array:
        leaf = np.asarray(leaf)
        uneven = whole and axis is not None and leaf.shape[axis] % mesh.shape["data"]
        spec = PartitionSpec() if axis is None or uneven else _along(axis, "data")
        shape = leaf.shape if whole else None
        return jax.make_array_from_process_local_data(NamedSharding(mesh, spec), leaf, shape)

    return _map(put, axes, batch)


def constrain(mesh: Mesh, batch: Any, axes: Any) -> Any:
    """Splits over the mesh what a jitted function draws by itself; arguments as in `place`."""

    def split(axis: int | None, leaf: jax.Array) -> jax.Array:
        if axis is None or leaf.shape[axis] % mesh.shape["data"]:
            return leaf
        sharding = NamedSharding(mesh, _along(axis, "data"))
        return jax.lax.with_sharding_constraint(leaf, sharding)

    return batch if mesh.size == 1 else _map(split, axes, batch)


def _join() -> int:
    """Joins the processes that the environment announces; returns their number."""
    given = [name for name in (ADDRESS, COUNT, INDEX) if name in os.environ]
    if 0 < len(given) < 3:
        raise ConfigError(f"{given[0]} is set; set all of {ADDRESS}, {COUNT} and {INDEX} or none")
    count = _number(COUNT) if given else int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if count > 1 and not jax.distributed.is_initialized():
        arguments = _explicit(count) if given else {"cluster_detection_method": "slurm"}
        jax.distributed.initialize(**arguments)
    return count


def _explicit(count: int) -> dict[str, Any]:
    index = _number(INDEX)
    if index >= count:
        raise ConfigError(f"{INDEX} is {index}, it must be below {COUNT}, which is {count}")
    if not re.fullmatch(r".+:\d+", os.environ[ADDRESS]):
        raise ConfigError(f"{ADDRESS} is {os.environ[ADDRESS]!r}, it must be HOST:PORT")
    return {
        "coordinator_address": os.environ[ADDRESS],
        "num_processes": count,
        "process_id": index,
        "cluster_detection_method": "deactivate",
    }


def _number(name: str) -> int:
    text = os.environ[name]
    if not text.isdecimal():
        raise ConfigError(f"{name} is {text!r}, it must be a whole number")
    return int(text)


def show_cpu_devices(wanted: int) -> int:
    """Makes the CPU show so many devices, unless a number was said before; returns it.

    To be called before JAX makes any array.
    """
    flags, name = os.environ.get("XLA_FLAGS", ""), "xla_force_host_platform_device_count"
    if flag := re.search(rf"{name}=(\d+)", flags):
        return int(flag[1])
    if wanted > 1 and jax.config.values["jax_num_cpu_devices"] < 0:
        jax.config.update("jax_num_cpu_devices", wanted)
    return jax.config.values["jax_num_cpu_devices"]


def _shape(config: ConfigDict) -> tuple[int, int]:
    """The sizes of the axes "data" and "model"."""
    data, model = config.mesh.data, config.mesh.model
    if data < 1 and data != -1:
        raise ConfigError(f"config.mesh.data is {data}, it must be at least 1, or -1 for all")
    if model < 1:
        raise ConfigError(f"config.mesh.model is {model}, it must be at least 1")
    if data == -1 and jax.device_count() % model:
        raise ConfigError(
            f"config.mesh.model is {model}, it must divide the number of devices,"
            f" which is {jax.device_count()}"
        )
    data = jax.device_count() // model if data == -1 else data
    if data % jax.process_count():
        raise ConfigError(
            f"config.mesh.data is {data}, it must be a multiple of the number of processes,"
            f" which is {jax.process_count()}; -1 takes all devices"
        )
    return data, model


def _spec(mesh: Mesh, path: str, shape: tuple[int, ...]) -> PartitionSpec:
    if SPLIT_BY_COLUMN.search(path) and shape[-1] % mesh.shape["model"] == 0:
        return _along(len(shape) - 1, "model")
    if path.startswith("carry") and len(shape) > 1 and shape[1] % mesh.shape["data"] == 0:
        return _along(1, "data")
    return PartitionSpec()


def _report_whole(mesh: Mesh, paths: Any, params: Any) -> None:
    """Says which kernels cannot be split."""
    model, leaves = mesh.shape["model"], zip(*map(jax.tree.leaves, (paths, params)), strict=True)
    whole = [p for p, leaf in leaves if SPLIT_BY_COLUMN.search(p) and leaf.shape[-1] % model]
    if whole and is_main():
        text = "%s: whole on every device, the columns are no multiple of config.mesh.model=%d"
        logging.log_first_n(logging.WARNING, text, 1, ", ".join(whole), model)


def _map(function: Callable[..., Any], axes: Any, batch: Any) -> Any:
    return jax.tree.map(function, axes, batch, is_leaf=lambda axis: axis is None)


def _along(axis: int, name: str) -> PartitionSpec:
    return PartitionSpec(*[None] * axis, name)
