"""Holds what was written against the model that it was written from."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

import lstm_jax as lj
from experiments.serving import stablehlo
from experiments.serving.model import Served
from lstm_jax.interop import files

SEED = 0
STEPS, LENGTHS = 9, np.array([9, 1, 5], np.int32)


def difference(served: Served, path: Path) -> str:
    """The largest absolute difference between a file's outputs and states and the model's.

    Args:
        served: the model.
        path: a file of `stablehlo.write` or `onnx.write`.

    Returns:
        The number, of random inputs and states; where ONNX Runtime is missing, that it is.
    """
    given, state = problem(served)
    if path.name == "step.stablehlo":
        found = stablehlo.read(path)(state, given[0])
        return _largest(found, jax.jit(served.step)(state, given[0]))
    wanted = jax.jit(served.whole)(given, LENGTHS, state)
    if path.suffix == ".stablehlo":
        return _largest(stablehlo.read(path)(given, LENGTHS, state), wanted)
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed"
    return _largest(run_onnx(served, path, given, LENGTHS, state), wanted)


def stored(tree: Mapping[str, Any], path: Path) -> str:
    """The largest absolute difference between a file's tensors and the arrays it is to hold."""
    wanted = flatten_dict(dict(tree), sep=".")
    tensors = files.take(path, files.read(path).tensors, tree)
    found = flatten_dict(tensors, sep=".")
    return _largest([found[name] for name in wanted], list(wanted.values()))


def problem(served: Served) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs [T, B, D], or symbols [T, B], and a random state [B, S]."""
    rng = np.random.default_rng(SEED)
    one, batch = served.inputs.step(), len(LENGTHS)
    shape = (STEPS, batch, *one.shape)
    state = 0.5 * rng.standard_normal((batch, served.fresh(1).shape[1])).astype(np.float32)
    if served.inputs.symbols:
        return rng.integers(0, served.inputs.symbols, shape).astype(np.int32), state
    return rng.standard_normal(shape).astype(np.float32), state


def run_onnx(
    served: Served, path: Path, given: np.ndarray, lengths: np.ndarray, state: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`Served.whole` as ONNX Runtime computes it from a file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fields = jax.tree.leaves(lj.stream(served.network, served.params).unpack(state))
    arrays = [given, lengths, *map(np.asarray, fields)]
    names = [value.name for value in session.get_inputs()]
    outputs, *fields = session.run(None, dict(zip(names, arrays, strict=True)))
    return np.concatenate([f.reshape(len(lengths), -1) for f in fields], axis=1), outputs


def _largest(found: Sequence[Any], wanted: Sequence[Any]) -> str:
    pairs = zip(found, wanted, strict=True)
    return f"{max(float(np.abs(np.subtract(a, b)).max()) for a, b in pairs):.1e}"
