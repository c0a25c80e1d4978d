"""Measurements that need a fresh process: first calls, peak memory, another number format."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.bench import devices
from experiments.bench.contenders import CONTENDERS
from experiments.bench.ours import init, outputs
from experiments.bench.problem import Problem, Shape, jax_calls
from experiments.bench.timing import seconds_of

PROC = Path("/proc/self")
M_MMAP_THRESHOLD, BLOCK = -3, 1 << 16
SETTLE_SECONDS = 0.3  # XLA frees a call's memory shortly after its end
PRECISIONS = ("float32", "bfloat16")


def in_fresh_process(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Calls a function of this module in a process of its own.

    Returns:
        What it returns, or `{"failed": reason}` if the process died.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            return {"failed": "the process was killed, most likely for want of memory"}


def contender(name: str, problem: Problem) -> dict[str, Any]:
    """The seconds that a contender's first gradient takes over a second one, and its memory."""
    return_freed_blocks()
    devices.set_devices(problem.devices)
    calls = CONTENDERS[name](problem)
    first, second = seconds_of(calls.gradient), seconds_of(calls.gradient)
    return {
        "first_call_seconds": first - second,
        "peak_bytes": peak_bytes(calls.gradient),
        "temp_bytes": calls.temp_bytes() if calls.temp_bytes else None,
    }


def long_sequence(
    shape: Shape, method: str, remat: int | None, loss: str, rounds: int
) -> dict[str, Any]:
    """Time and memory of an LSTM's gradient, with the loss on the "last" or on "all" outputs."""
    return_freed_blocks()
    problem = Problem("lstm", shape)
    cell = lj.lstm(shape.hidden)
    unroll = outputs(cell, method, remat)
    xs, dy = problem.arrays()
    function, dy = (unroll, dy) if loss == "all" else (lambda *inputs: unroll(*inputs)[-1], dy[-1])
    calls = jax_calls(function, init(cell, problem), xs, dy)
    calls.gradient()
    return {
        "seconds": statistics.median(seconds_of(calls.gradient) for _ in range(rounds)),
        "peak_bytes": peak_bytes(calls.gradient),
        "temp_bytes": calls.temp_bytes() if calls.temp_bytes else None,
    }


def first_steps(layers: int) -> dict[str, Any]:
    """The first two training steps of the character model, the text and the state at hand."""
    from configs import char_lm
    from experiments.config import resolve
    from experiments.mesh import Part
    from experiments.tasks import TASKS
    from experiments.training.results import compilations
    from experiments.training.step import init_state, make_train_step

    config = char_lm.get_config()
    config.cell.layers = layers
    config = resolve(config)
    task = TASKS[config.task.name](config)
    batches, step = task.train_batches(Part()), make_train_step(task, config)
    state, parts = jax.block_until_ready(init_state(task, config)), []
    for _ in range(2):
        batch = next(batches)
        before, started = compilations(), time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch))
        seconds = time.perf_counter() - started
        new = {part: done[len(before[part]) :] for part, done in compilations().items()}
        spent = {part: sum(done) for part, done in new.items()}
        parts.append({"seconds": seconds, "compilations": len(new["compile"]), **spent})
    first, second = parts
    traced = first["seconds"] - first["lower"] - first["compile"] - second["seconds"]
    return {"first_step": {**first, "trace": traced}, "second_step": second}


def precision(shape: Shape) -> dict[str, Any]:
    """Errors of an LSTM by each precision and method against float64.

    Returns:
        For each, max |a − b| / max |b| of the outputs and of each gradient.
    """
    jax.config.update("jax_enable_x64", True)
    problem = Problem("lstm", shape)
    params = init(lj.lstm(shape.hidden, param_dtype="float32"), problem)

    def values(dtype: str, method: str) -> dict[str, np.ndarray]:
        wide = dtype == "float64"
        cell = lj.lstm(shape.hidden, dtype=dtype, param_dtype="float64" if wide else "float32")
        given = jax.tree.map(lambda v: v.astype("float64" if wide else "float32"), params)
        xs, dy = (array.astype("float64" if wide else "float32") for array in problem.arrays())
        calls = jax_calls(outputs(cell, method), given, jnp.asarray(xs), dy)
        ys, (to_params, to_xs) = calls.gradient()
        named = {"ys": ys, "d xs": to_xs}
        named |= {f"d {k}": v for k, v in to_params._asdict().items() if v is not None}
        return {name: np.asarray(value, np.float64) for name, value in named.items()}

    exact = values("float64", "scan")
    return {
        f"{dtype}, {method}": {
            name: float(np.abs(value - exact[name]).max() / np.abs(exact[name]).max())
            for name, value in values(dtype, method).items()
        }
        for dtype in PRECISIONS
        for method in ("fused", "scan")
    }


def return_freed_blocks() -> None:
    """Lets glibc give freed blocks back at once; those it keeps would hide what a call needs."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # not glibc
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, BLOCK)


def peak_bytes(call: Callable[[], Any]) -> int | None:
    """The most memory that a call takes beyond what the process had before; Linux alone tells."""
    time.sleep(SETTLE_SECONDS)
    try:
        (PROC / "clear_refs").write_text("5")  # sets the high-water mark to the present size
    except OSError:
        return None
    before = _status("VmRSS")
    call()
    return max(_status("VmHWM") - before, 0)


def _status(field: str) -> int:
    """A field of /proc/self/status in bytes."""
    lines = (PROC / "status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])
