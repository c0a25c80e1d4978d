"""One step of one sequence, on one core: what a served model's next answer takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import lstm_jax as lj
from experiments.bench import alone
from experiments.bench.problem import SEED
from experiments.bench.settings import Settings, say
from experiments.bench.timing import Quartiles, race, summarize
from lstm_jax.interop.quantization import MODES, quantize
from lstm_jax.interop.torch import to_torch

STEPS = 200  # that are timed together, each from the state of the one before
HIDDEN = (128, 512)
OURS = "lj.stream"
PEERS = ("torch.nn.LSTMCell", "onnxruntime")


def streaming(settings: Settings) -> dict[str, Any]:
    """Steps of an LSTM with as many inputs as units, batch 1, each size in a process of its own."""
    found = {}
    for hidden in HIDDEN:
        say(f"stream: {hidden} units")
        found[str(hidden)] = alone.in_fresh_process(one_core, hidden, settings.seconds)
    return {"steps": STEPS, "units": found}


def one_core(hidden: int, seconds: float) -> dict[str, Any]:
    """Races the contenders on the first core that the process may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cell = lj.lstm(hidden)
    params = cell.init(jax.random.key(SEED), hidden)
    x = np.random.default_rng(SEED).standard_normal((1, hidden)).astype(np.float32)
    calls = {OURS: _stream(cell, params, x)}
    for mode in MODES:
        calls[f"{OURS}, int8 {mode}"] = _stream(cell, quantize(cell, params, mode), x)
    for name, make in zip(PEERS, (_torch, _onnxruntime), strict=True):
        try:
            calls[name] = make(cell, params, x)
        except ImportError:
            say(f"stream: {name} is not installed")
    outputs = {name: call() for name, call in calls.items()}
    errors = {name: float(np.abs(y - outputs[OURS]).max()) for name, y in outputs.items()}
    return summarize(race(calls, seconds), [OURS]) | {"difference": errors}


def _stream(cell: lj.Cell, params: Any, x: np.ndarray) -> Callable[[], np.ndarray]:
    """Our stream; the input comes from outside at every step, and the output is read."""
    stream = lj.stream(cell, params)
    fresh = stream.initial_state()

    def call() -> np.ndarray:
        state = fresh
        for _ in range(STEPS):
            state, y = stream.step(state, x)
            answer = np.asarray(y)
        return answer

    return call


def _torch(cell: lj.Cell, params: Any, x: np.ndarray) -> Callable[[], np.ndarray]:
    """PyTorch's cell of the same weights."""
    import torch

    torch.set_num_threads(1)
    theirs = torch.nn.LSTMCell(x.shape[1], cell.hidden_size)
    weights = to_torch(cell, params).state_dict()
    theirs.load_state_dict({name.removesuffix("_l0"): v for name, v in weights.items()})

    @torch.inference_mode()
    def call() -> np.ndarray:
        state = None
        for _ in range(STEPS):
            state = theirs(torch.from_numpy(x), state)
            answer = state[0].numpy()
        return answer

    return call


def _onnxruntime(cell: lj.Cell, params: Any, x: np.ndarray) -> Callable[[], np.ndarray]:
    """ONNX Runtime on what `to_onnx` writes, a step of one sequence."""
    import onnx  # noqa: F401, which to_onnx needs
    import onnxruntime

    from lstm_jax.interop.onnx import to_onnx

    model = to_onnx(cell, params, batch_size=1, steps=1, initial_state=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    zeros = np.zeros((1, cell.hidden_size), np.float32)

    def call() -> np.ndarray:
        h = c = zeros
        for _ in range(STEPS):
            y, h, c = session.run(None, {"xs": x[None], "initial_h": h, "initial_c": c})
        return y[0]

    return call


def microseconds(seconds: Quartiles) -> float:
    """The median time of a step."""
    return 1e6 * seconds["median"] / STEPS
