"""One run on one device, on eight, with a model axis, and in two processes: the same numbers.

JAX's number of devices is fixed once it has started, so that the runs are processes of their own:
this file, run as a program, is such a run.
"""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P

import lstm_jax as lj
from configs import default
from experiments import mesh as meshes
from experiments.config import ConfigError
from lstm_jax.linen import Recurrent

ROOT = Path(__file__).parents[2]
MEMBERS, STEPS, BATCH, HIDDEN, SYMBOLS = 2, 12, 16, 8, 6
EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
SLURM = ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID")


class State(NamedTuple):
    """The part of a `TrainState` that is spread, [M, ...] in every leaf."""

    params: Any
    opt_state: Any
    carry: Any


class Model(nn.Module):
    @nn.compact
    def __call__(self, xs, carry):
        carry, ys = Recurrent(lj.lstm(HIDDEN), time_major=True)(xs, initial_state=carry)
        return carry, nn.Dense(SYMBOLS)(ys)


def optimizer():
    return optax.adam(1e-2)


def init(key):
    carry = lj.lstm(HIDDEN).initial_state(BATCH)
    params = Model().init(key, jnp.zeros((1, BATCH, SYMBOLS)), carry)
    return State(params, optimizer().init(params), carry)


def init_members():
    return jax.vmap(init)(jax.random.split(jax.random.PRNGKey(0), MEMBERS))


def draw(mesh, key):
    return meshes.constrain(mesh, jax.random.uniform(key, (STEPS, BATCH, 1)), 1)


def step(mesh, state, symbols, key):
    def loss(params):
        xs = jax.nn.one_hot(symbols[:-1], SYMBOLS) * draw(mesh, key)
        carry, logits = Model().apply(params, xs, state.carry)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, symbols[1:])
        return losses.mean(), carry

    grads, carry = jax.grad(loss, has_aux=True)(state.params)
    updates, opt_state = optimizer().update(grads, state.opt_state)
    return State(optax.apply_updates(state.params, updates), opt_state, carry)


def train(directory: Path, data: int, model: int) -> None:
    """Trains for 50 steps; the main process writes the state and what lies where."""
    config = config_of(data, model)
    meshes.start(config)
    mesh = meshes.make_mesh(config)
    shardings = meshes.state_shardings(mesh, jax.eval_shape(init_members))
    state = jax.jit(init_members, out_shardings=shardings)()
    mapped = jax.vmap(functools.partial(step, mesh), (0, None, None))
    mapped = jax.jit(mapped, donate_argnums=0, out_shardings=shardings)
    for number in range(50):
        symbols = np.random.default_rng(number).integers(SYMBOLS, size=(STEPS + 1, BATCH))
        batch = meshes.place(mesh, meshes.own_part().take(symbols, 1), 1)
        state = mapped(state, batch, jax.random.PRNGKey(number))
    drawn = jax.jit(functools.partial(draw, mesh))(jax.random.PRNGKey(0))
    report = {"drawn": local_shape(drawn), "NPROC": os.environ.get("NPROC"), **placed(mesh)}
    report["state"] = {name: local_shape(leaf) for name, leaf in named(state).items()}
    whole = jax.jit(lambda tree: tree, out_shardings=meshes.replicated(mesh))(state)
    if meshes.is_main():
        arrays = {name: np.asarray(leaf.addressable_data(0)) for name, leaf in named(whole).items()}
        np.savez(directory / "state.npz", **arrays)
        (directory / "report.json").write_text(json.dumps(report))


def placed(mesh) -> dict[str, Any]:
    """How evaluation's batches lie: rows that split evenly, rows that do not, no rows."""
    rng = np.random.default_rng(0)
    batch = {"even": rng.normal(size=(3, 16)), "odd": rng.normal(size=(3, 5)), "none": np.uint32(7)}
    axes = {"even": 1, "odd": 1, "none": None}
    spread = meshes.place(mesh, batch, axes, whole=True)
    back = jax.jit(lambda tree: tree, out_shardings=meshes.replicated(mesh))(spread)
    same = [
        np.array_equal(np.asarray(b.addressable_data(0)), np.asarray(a, b.dtype))
        for a, b in zip(jax.tree.leaves(batch), jax.tree.leaves(back), strict=True)
    ]
    return {"whole": jax.tree.map(local_shape, spread), "same": same}


def local_shape(leaf) -> list[int]:
    shards = getattr(leaf, "addressable_shards", None)
    return list(shards[0].data.shape if shards else np.shape(leaf))


def named(tree) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="/"): leaf for p, leaf in leaves}


def config_of(data: int, model: int, batch_size: int = BATCH):
    config = default.get_config()
    config.mesh.update(data=data, model=model)
    config.train.batch_size = batch_size
    return config


def run(directory: Path, data: int, model: int = 1, processes: int = 1, **environment: str):
    """Trains in one or several processes and returns (arrays by name, report)."""
    directory.mkdir()
    port = free_port()
    started = []
    for number in range(processes):
        explicit = dict(zip(EXPLICIT, (f"127.0.0.1:{port}", processes, number), strict=True))
        started.append(
            launch(directory, data, model, explicit if processes > 1 else {}, environment)
        )
    outputs = [process.communicate(timeout=200)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes, "\n".join(outputs)
    with np.load(directory / "state.npz") as file:
        arrays = dict(file)
    return arrays, json.loads((directory / "report.json").read_text())


def launch(directory, data, model, explicit, environment) -> subprocess.Popen[str]:
    unset = {*EXPLICIT, *SLURM, "XLA_FLAGS", "NPROC", "JAX_NUM_CPU_DEVICES"}
    inherited = {k: v for k, v in os.environ.items() if k not in unset}
    given = {"JAX_PLATFORMS": "cpu", **explicit, **environment}
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.experiments.test_mesh",
            str(directory),
            str(data),
            str(model),
        ],
        cwd=ROOT,
        env=inherited | {k: str(v) for k, v in given.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_close(got, expected):
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return run(tmp_path_factory.mktemp("mesh") / "single", data=1)


@pytest.mark.slow
def test_eight_devices_equal_one_and_each_other(tmp_path, single):
    first, report = run(tmp_path / "a", data=8)
    second, _ = run(tmp_path / "b", data=8)
    assert_close(first, single[0])
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    assert report["state"]["carry/h"] == [MEMBERS, BATCH // 8, HIDDEN]
    assert report["drawn"] == [STEPS, BATCH // 8, 1]
    assert report["whole"] == {"even": [3, 2], "odd": [3, 5], "none": []}
    assert all(report["same"])
    assert int(report["NPROC"]) >= 18


@pytest.mark.slow
def test_a_model_axis_splits_the_two_kernels_that_matter(tmp_path, single):
    arrays, report = run(tmp_path / "run", data=2, model=2, XLA_FLAGS=flag(4), NPROC="24")
    assert_close(arrays, single[0])
    split = {k: v for k, v in report["state"].items() if list(arrays[k].shape) != v}
    kernels = ("Recurrent_0/network/recurrent_kernel", "Dense_0/kernel", "Dense_0/bias")
    trees = ("params", "opt_state/0/mu", "opt_state/0/nu")
    halves = {f"{tree}/params/{name}" for tree in trees for name in kernels}
    assert set(split) == {*halves, "carry/h", "carry/c"}
    assert split["params/params/Recurrent_0/network/recurrent_kernel"] == [MEMBERS, 8, 2 * HIDDEN]
    assert split["params/params/Dense_0/kernel"] == [MEMBERS, HIDDEN, SYMBOLS // 2]
    assert split["carry/h"] == [MEMBERS, BATCH // 2, HIDDEN]
    assert report["NPROC"] == "24"


@pytest.mark.slow
@pytest.mark.parametrize("data", [2, 4])
def test_two_processes_equal_one(tmp_path, single, data):
    arrays, report = run(tmp_path / "run", data=data, processes=2)
    assert_close(arrays, single[0])
    assert report["state"]["carry/h"] == [MEMBERS, BATCH // data, HIDDEN]
    assert report["whole"]["even"] == [3, 16 // data]
    assert all(report["same"])


def flag(devices: int) -> str:
    return f"--xla_force_host_platform_device_count={devices}"


MESH = AbstractMesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def test_what_cannot_be_split_evenly_stays_whole_and_is_named(caplog):
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=np.float32)
    params = {"Dense_0": {"kernel": shape((1, 5, 7)), "bias": shape((1, 7))}, "Dense_1": {}}
    params["network"] = {"recurrent_kernel": shape((1, 5, 6)), "kernel": shape((1, 4, 4))}
    carry = {"h": shape((1, 8, 5)), "odd": shape((1, 6, 5)), "count": shape((1,))}
    with caplog.at_level("WARNING"):
        got = meshes.state_shardings(MESH, State(params, (), carry))
    specs = {name: sharding.spec for name, sharding in named(got).items()}
    assert {name: spec for name, spec in specs.items() if spec != P()} == {
        "params/network/recurrent_kernel": P(None, None, "model"),
        "carry/h": P(None, "data"),
    }
    (line,) = caplog.messages
    assert "Dense_0/kernel" in line and "Dense_0/bias" in line and "recurrent" not in line


@pytest.mark.parametrize(
    ("data", "model", "batch_size", "message"),
    [
        (0, 1, 16, r"config\.mesh\.data is 0, it must be at least 1, or -1 for all"),
        (-2, 1, 16, r"config\.mesh\.data is -2"),
        (1, 0, 16, r"config\.mesh\.model is 0, it must be at least 1"),
        (-1, 99, 16, r"config\.mesh\.model is 99, it must divide .* devices"),
        (33, 3, 99, r"config\.mesh\.data=33 times config\.mesh\.model=3 are 99 devices"),
    ],
)
def test_a_mesh_that_cannot_be_says_why(data, model, batch_size, message):
    with pytest.raises(ConfigError, match=message):
        meshes.make_mesh(config_of(data, model, batch_size))


def test_the_batch_must_be_shared_evenly(monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda process: [None] * 8)
    with pytest.raises(ConfigError, match=r"batch_size is 12, it must be a multiple .* 8"):
        meshes.make_mesh(config_of(8, 1, batch_size=12))


def test_processes_must_share_the_axis_data(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"mesh\.data is 3, it must be a multiple .* 2;"):
        meshes.make_mesh(config_of(3, 1))


def test_a_single_device_costs_nothing():
    mesh = meshes.make_mesh(config_of(1, 1))
    batch = {"x": np.zeros((2, 3)), "count": np.uint32(1)}
    assert meshes.place(mesh, batch, {"x": 1, "count": None}) is batch
    assert meshes.constrain(mesh, batch, {"x": 1, "count": None}) is batch


def initialized(monkeypatch, environment: dict[str, str]) -> list[dict[str, Any]]:
    """What `start` hands to `jax.distributed.initialize`, call by call."""
    calls: list[dict[str, Any]] = []
    for name in (*EXPLICIT, *SLURM):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **arguments: calls.append(arguments))
    meshes.start(config_of(1, 1))
    return calls


def test_processes_are_announced_explicitly_or_by_slurm(monkeypatch):
    explicit = dict(zip(EXPLICIT, ("host:1234", "4", "3"), strict=True))
    (call,) = initialized(monkeypatch, explicit)
    assert (call["coordinator_address"], call["num_processes"]) == ("host:1234", 4)
    assert (call["process_id"], call["cluster_detection_method"]) == (3, "deactivate")
    (call,) = initialized(monkeypatch, {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"})
    assert call == {"cluster_detection_method": "slurm"}


def test_a_single_process_joins_nobody(monkeypatch):
    assert initialized(monkeypatch, {}) == []
    assert initialized(monkeypatch, {"SLURM_JOB_ID": "5", "SLURM_NTASKS": "8"}) == []
    assert initialized(monkeypatch, {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("host:1",), "JAX_COORDINATOR_ADDRESS is set; set all of"),
        (("host:1", "two", "0"), "JAX_NUM_PROCESSES is 'two', it must be a whole number"),
        (("host:1", "2", "2"), "JAX_PROCESS_ID is 2, it must be below JAX_NUM_PROCESSES"),
    ],
)
def test_half_an_announcement_is_refused(monkeypatch, values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        initialized(monkeypatch, dict(zip(EXPLICIT, values, strict=False)))


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
