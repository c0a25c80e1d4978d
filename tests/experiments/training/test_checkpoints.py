"""Checkpoints come back bit by bit, and neither damage nor a kill nor a full disk loses them."""

import errno
import hashlib
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.training import checkpoints as module
from experiments.training.checkpoints import Checkpoints, read

CONFIG = {"train": {"steps": 9}, "cell": {"name": "lstm"}, "data_dir": None}


class Pair(NamedTuple):
    kernel: Any
    bias: Any


def state_at(step: int) -> dict[str, Any]:
    key = jax.random.PRNGKey(step)
    kernel = jax.random.normal(key, (2, 3, 50))
    return {
        "params": Pair(kernel, None),
        "best": [kernel[0].astype(jnp.bfloat16), {"lstm/bias.0": 2 * kernel[1]}],
        "step": jnp.array(step),
        "flag": jnp.array([True, False]),
        "carry": (),
        "key": key,
    }


def extra_at(step: int) -> dict[str, Any]:
    return {"iterator": {"position": [step, None]}, "seconds": step / 3}


def shapes(tree: Any) -> Any:
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), tree)


def save(directory: Path, *steps: int) -> None:
    with Checkpoints(directory, CONFIG) as checkpoints:
        for step in steps:
            checkpoints.save(step, state_at(step), extra_at(step))


def restore(directory: Path, like: Any = None, config: dict[str, Any] = CONFIG) -> Any:
    with Checkpoints(directory, config) as checkpoints:
        return checkpoints.restore(shapes(state_at(0)) if like is None else like)


def check(restored: tuple[Any, Any], step: int) -> None:
    """The restored state and JSON are those of a step, to the bit."""
    state, expected = restored[0], state_at(step)
    assert jax.tree.structure(state) == jax.tree.structure(expected)
    for found, leaf in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        assert found.dtype == leaf.dtype
        np.testing.assert_array_equal(found, leaf)
    assert restored[1] == extra_at(step)


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def snapshot(directory: Path) -> dict[str, str]:
    """All that is below a directory, with the sha256 of the files."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in directory.rglob("*")
    }


def damage(directory: Path) -> None:
    for path in files(directory):
        path.write_bytes(b"damaged")


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """A directory with the checkpoints 1 and 2, not to be changed."""
    directory = tmp_path_factory.mktemp("checkpoints") / "two"
    save(directory, 1, 2)
    return directory


@pytest.fixture
def copy(two, tmp_path) -> Path:
    return Path(shutil.copytree(two, tmp_path / "copy"))


def test_restores_the_latest_exactly(two):
    check(restore(two), 2)
    check(read(two, CONFIG, state_at(0)), 2)


def test_nothing_to_restore(tmp_path):
    assert restore(tmp_path / "a" / "b") is None
    assert read(tmp_path / "c", CONFIG, shapes(state_at(0))) is None
    assert names(tmp_path) == ["a"]  # read makes no directory


def test_keeps_two(tmp_path):
    save(tmp_path / "c", 1, 2, 10)
    assert names(tmp_path / "c") == ["10", "2"]


def test_a_step_can_be_saved_again(copy):
    with Checkpoints(copy, CONFIG) as checkpoints:
        checkpoints.save(2, state_at(3), extra_at(3))
        check(checkpoints.restore(state_at(0)), 3)
    check(restore(copy), 3)
    assert names(copy) == ["1", "2"]


def test_a_step_below_another_is_not_deleted_at_once(copy):
    save(copy, 0)
    assert names(copy) == ["0", "2"]


def test_falls_back_from_a_damaged_checkpoint_and_goes_on(copy, caplog):
    damage(copy / "2")
    check(restore(copy), 1)
    assert names(copy) == ["1", "2.damaged"]
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert f"{copy / '2'} is damaged" in record.getMessage()
    assert "it is now 2.damaged" in record.getMessage()
    save(copy, 2)
    check(restore(copy), 2)
    damage(copy / "2")
    check(restore(copy), 1)
    assert names(copy) == ["1", "2.damaged", "2.damaged2"]


def test_says_so_each_time_when_all_are_damaged(copy):
    damage(copy)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no .* read, 1.damaged and 2.damaged are .* delete"):
            restore(copy)
    shutil.rmtree(copy)
    assert restore(copy) is None


def test_read_passes_over_damage_and_changes_nothing(copy, caplog):
    damage(copy / "2")
    (copy / "unfinished" / "3").mkdir(parents=True)
    before = snapshot(copy)
    check(read(copy, CONFIG, shapes(state_at(0))), 1)
    assert f"{copy / '2'} is damaged" in caplog.text
    damage(copy / "1")
    with pytest.raises(RuntimeError, match="1 and 2 are damaged"):
        read(copy, CONFIG, shapes(state_at(0)))
    assert snapshot(copy).keys() == before.keys()


def test_read_while_the_run_goes_on(copy, monkeypatch, caplog):
    """The checkpoint that is read is deleted under the reader's hands, a newer one is there."""
    original = module.ocp.load

    def load(path: Path) -> Any:
        if path.name == "2":
            save(copy, 3, 4)
        return original(path)

    monkeypatch.setattr(module.ocp, "load", load)
    check(read(copy, CONFIG, shapes(state_at(0))), 4)
    assert "is damaged" not in caplog.text


def test_a_leaf_that_reads_otherwise_is_damage(copy, monkeypatch):
    """Even where every file is as it was written."""
    original = module.ocp.load

    def load(path: Path) -> Any:
        arrays = original(path)
        if path.name == "2":
            arrays["params/kernel"][1, 2, 3] += 1e-6
        return arrays

    monkeypatch.setattr(module.ocp, "load", load)
    check(restore(copy), 1)


def test_another_position_of_the_iterator_is_damage(copy):
    record = copy / "2" / "record.json"
    text = record.read_text()
    assert text.count("[2, null]") == 1
    record.write_text(text.replace("[2, null]", "[3, null]"))
    check(restore(copy), 1)


def flip(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def truncate(path: Path, rng: np.random.Generator) -> None:
    os.truncate(path, rng.integers(path.stat().st_size))


def delete(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


def survives(directory: Path, copy: Path, name: Path, change: Callable, seed: int) -> None:
    """Step 1 comes back to the bit after a change in a file of step 2, and step 2 is set aside."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    change(copy / name, np.random.default_rng(seed))
    restored = restore(copy)
    if "2" in names(copy):  # the change changed nothing, such as one blank for another
        assert name.name == module.RECORD
        check(restored, 2)
    else:
        check(restored, 1)
        assert names(copy) == ["1", "2.damaged"]


def damages(directory: Path, flips: int) -> Iterator[tuple[Path, Callable, int]]:
    for path in files(directory / "2"):
        counts = {delete: 1, flip: flips, truncate: flips} if path.stat().st_size else {delete: 1}
        for change, count in counts.items():
            for seed in range(count):
                yield path.relative_to(directory), change, seed


def test_every_damaged_file_is_found(two, tmp_path):
    for name, change, seed in damages(two, flips=1):
        survives(two, tmp_path / "copy", name, change, seed)


class Killed(BaseException):
    """Stands for a kill: no code of ours may handle it."""


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_while_a_step_is_replaced_leaves_the_old_one_or_the_new_one(
    copy, monkeypatch, renames
):
    """Even of the only checkpoint that there is."""
    shutil.rmtree(copy / "1")
    original, calls = Path.rename, []

    def rename(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) > renames:
            raise Killed
        return original(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        checkpoints = Checkpoints(copy, CONFIG)
        with pytest.raises(Killed):
            checkpoints.save(2, state_at(2), {"iterator": 2})
    assert len(calls) == renames + 1
    check(restore(copy), 2)
    assert names(copy) == ["2"]


@pytest.mark.slow
def test_every_damaged_file_is_found_wherever_it_is_damaged(two, tmp_path):
    cases = list(damages(two, flips=15))
    assert len(cases) > 200
    for name, change, seed in cases:
        survives(two, tmp_path / "copy", name, change, seed)


def test_another_configuration_is_refused(copy):
    damage(copy / "2")
    other = {"train": {"steps": 8}, "cell": {"name": "lstm"}, "data_dir": "elsewhere"}
    with pytest.raises(ConfigError, match=r"\(config.train.steps was 9, now 8\)"):
        restore(copy, config=other)
    with pytest.raises(ConfigError, match=r"\(config.train.steps was 9, now 8\)"):
        read(copy, other, shapes(state_at(0)))
    check(restore(copy, config=CONFIG | {"data_dir": "elsewhere"}), 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": np.zeros(2, np.int32)}, r"step was int32\[\], now int32\[2\]"),
        ({"flag": np.zeros(2, np.float32)}, r"flag was bool\[2\], now float32\[2\]"),
        ({"more": np.zeros((), np.float32)}, r"more was absent, now float32\[\]"),
        ({"params": ()}, r"params/kernel was float32\[2, 3, 50\], now absent"),
    ],
)
def test_another_version_of_the_code_is_no_damage(two, change, message):
    before = snapshot(two)
    like = shapes(state_at(0) | change)
    with pytest.raises(RuntimeError, match=message):
        restore(two, like)
    with pytest.raises(RuntimeError, match=message):
        read(two, CONFIG, like)
    assert snapshot(two) == before


@pytest.mark.parametrize(
    ("place", "step"),
    [
        ("unfinished/4/state/_METADATA", 3),
        ("unfinished/4/record.json", 3),
        ("unfinished/4", 3),
        (".", 4),
    ],
)
def test_a_kill_while_writing_leaves_the_one_before(copy, monkeypatch, place, step):
    def flush(path: Path) -> None:
        if path == copy / place:
            raise Killed

    save(copy, 3)
    monkeypatch.setattr(module, "_flush", flush)
    checkpoints = Checkpoints(copy, CONFIG)
    with pytest.raises(Killed):
        checkpoints.save(4, state_at(4), extra_at(4))
    monkeypatch.undo()
    check(read(copy, CONFIG, state_at(0)), step)
    assert (copy / "unfinished").exists()
    Checkpoints(copy, CONFIG)
    assert not (copy / "unfinished").exists()
    check(restore(copy), step)


def test_all_is_on_the_disk_before_it_counts(copy, monkeypatch):
    """Every file and directory is synced in its first place, then the rename, then the deletion."""
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        synced.append(path)
        assert (copy / "1").exists()
        assert (copy / "3").exists() == (path == str(copy))

    monkeypatch.setattr(module.os, "fsync", fsync)
    save(copy, 3)
    written = [copy / "3", *(copy / "3").rglob("*")]
    expected = {str(copy / "unfinished" / path.relative_to(copy)) for path in written}
    assert set(synced[:-1]) >= expected
    assert synced[-1] == str(copy)
    assert not (copy / "1").exists()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 500, 10_000])
def test_a_full_disk_leaves_the_ones_before(copy, size):
    large = state_at(3) | {"large": jax.random.normal(jax.random.PRNGKey(0), (10_000,))}
    message = r"checkpoint 3 cannot .* \(the disk is full\); the latest whole one is 2; free"
    with (
        pytest.raises(RuntimeError, match=message),
        Checkpoints(copy, CONFIG) as checkpoints,
        largest_file(size),
    ):
        checkpoints.save(3, large, extra_at(3))
    assert names(copy) == ["1", "2"]
    check(restore(copy), 2)


def test_a_disk_with_too_little_left_is_not_filled(copy, monkeypatch):
    usage = shutil.disk_usage(copy)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state_at(3)))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=size))
    save(copy, 3)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=size - 1))
    monkeypatch.setattr(module.ocp, "save", None)
    with pytest.raises(RuntimeError, match="4 cannot .*disk is full.* is 3"):
        save(copy, 4)
    check(restore(copy), 3)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_only_when_synced(copy, monkeypatch, code):
    def fsync(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.os, "fsync", fsync)
    with pytest.raises(RuntimeError, match="disk is full"):
        save(copy, 3)
    assert names(copy) == ["1", "2"]


def test_another_failure_is_named(copy, monkeypatch):
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(module.os, "fsync", fsync)
    with pytest.raises(RuntimeError, match="3 cannot .*put.output error.* is 2; mend .* same"):
        save(copy, 3)
    assert names(copy) == ["1", "2"]


def start(program: str, *arguments: object) -> subprocess.Popen:
    """Runs a function of this module in another process, its arguments as text."""
    command = f"import sys; from {__name__} import {program}; {program}(*sys.argv[1:])"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "2"}
    texts = [str(argument) for argument in arguments]
    return subprocess.Popen([sys.executable, "-c", command, *texts], env=environment)


def big_state(step: int) -> dict[str, Any]:
    rng = np.random.default_rng(step)  # the same numbers in every process
    return {f"w{i}": jnp.asarray(rng.random(10**6, np.float32)) for i in range(4)}


def save_without_end(directory: str) -> None:
    with Checkpoints(Path(directory), CONFIG) as checkpoints:
        for step in range(1000):
            checkpoints.save(step, big_state(step), {"step": step})


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.03, 0.1])
def test_a_killed_run_leaves_a_whole_checkpoint(tmp_path, delay):
    directory = tmp_path / "c"
    process = start("save_without_end", directory)
    while not (directory / "3").exists():
        assert process.poll() is None
        time.sleep(0.001)
    while not list(directory.glob("unfinished/*/state")):
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.wait()
    for result in (read(directory, CONFIG, shapes(big_state(0))), restore(directory, big_state(0))):
        state, extra = result
        assert extra["step"] >= 3
        jax.tree.map(np.testing.assert_array_equal, state, big_state(extra["step"]))
    assert len(names(directory)) in (2, 3)
    assert all(name.isdecimal() for name in names(directory))


def sharded(values: Any) -> Any:
    """Split over all devices of all processes where two of them can split it."""
    mesh = jax.make_mesh((4,), ("all",), axis_types=(jax.sharding.AxisType.Auto,))

    def split(leaf: jax.Array) -> jax.Array:
        spec = jax.P("all") if leaf.shape[:1] == (4,) else jax.P()
        place, whole = jax.sharding.NamedSharding(mesh, spec), np.asarray(leaf)
        return jax.make_array_from_callback(leaf.shape, place, whole.__getitem__)

    return jax.tree.map(split, values)


def split_state(step: int) -> dict[str, Any]:
    values = np.random.default_rng(step).normal(size=(4, 3)).astype(np.float32)
    return {"whole": 2 * values[:3], "split": values, "step": np.int32(step)}


def save_and_restore_together(directory: str, address: str, process: str) -> None:
    jax.distributed.initialize(address, num_processes=2, process_id=int(process))
    with Checkpoints(Path(directory), CONFIG) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, sharded(split_state(step)), {"step": step})
        if process == "0":
            damage(Path(directory) / "3")
        state, extra = checkpoints.restore(sharded(split_state(0)))
        assert extra == {"step": 2}
        assert not state["split"].is_fully_addressable
        for name, leaf in state.items():
            for shard in leaf.addressable_shards:
                np.testing.assert_array_equal(shard.data, split_state(2)[name][shard.index])
        checkpoints.save(3, state, {"step": 3})


@pytest.mark.slow
def test_two_processes_save_and_restore_together(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    directory = tmp_path / "c"
    pair = [start("save_and_restore_together", directory, address, i) for i in range(2)]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]
    assert names(directory) == ["2", "3", "3.damaged"]
    state, extra = read(directory, CONFIG, jax.tree.map(jnp.asarray, split_state(0)))
    assert extra == {"step": 3}
    jax.tree.map(np.testing.assert_array_equal, state, split_state(2))
