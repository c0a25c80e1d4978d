"""Models as StableHLO: files that run wherever jax is, without this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from experiments.serving.model import Served

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
ENTRIES = ("whole", "step")


def write(served: Served, directory: Path) -> list[Path]:
    """Writes `whole.stablehlo` and, of a model that streams, `step.stablehlo`.

    Batch and time are symbolic: one file serves any number of sequences of any length. The
    parameters are in the files.

        whole = jax.export.deserialize(open("whole.stablehlo", "rb").read())
        state, outputs = whole.call(inputs, lengths, state)
        step = jax.export.deserialize(open("step.stablehlo", "rb").read())
        state, output = step.call(state, input)

    Shapes and dtypes are those of `Served.whole` and `Served.step`; a state of zeros [B, S] is
    that of sequences that begin.

    Args:
        served: the model.
        directory: where to write; it exists.

    Returns:
        The files.
    """
    files = []
    for name in ENTRIES[: 1 + served.streams]:
        path = directory / f"{name}.stablehlo"
        function = jax.jit(getattr(served, name))
        exported = export.export(function, platforms=PLATFORMS)(*_arguments(served, name))
        path.write_bytes(exported.serialize())
        files.append(path)
    return files


def _arguments(served: Served, name: str) -> tuple[jax.ShapeDtypeStruct, ...]:
    """What an entry takes, with symbols for the batch and the time."""
    batch, time = export.symbolic_shape("batch, time")
    one, size = served.inputs.step(), served.fresh(1).shape[1]
    state = jax.ShapeDtypeStruct((batch, size), jnp.float32)
    if name == "step":
        return state, jax.ShapeDtypeStruct((batch, *one.shape), one.dtype)
    lengths = jax.ShapeDtypeStruct((batch,), jnp.int32)
    return jax.ShapeDtypeStruct((time, batch, *one.shape), one.dtype), lengths, state


def read(path: Path) -> Any:
    """What such a file computes, as a function that is compiled when it is first called."""
    return jax.jit(export.deserialize(bytearray(path.read_bytes())).call)
