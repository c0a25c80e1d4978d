"""Models as ONNX: inputs, recurrent operators and linear layer in one graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.config import ConfigError
from experiments.serving.model import Served
from lstm_jax.interop.onnx import to_onnx
from lstm_jax.interop.quantization import to_int8

RECURRENT = ("LSTM", "GRU", "RNN")
INPUTS = {
    "numbers": "scaled = Mul (inputs, scale)   xs = Add (scaled, shift)",
    "embedded": "rows = Gather (embedding, inputs)   scaled = Mul (rows, scale)"
    "   xs = Add (scaled, shift)",
    "one-hot": "xs = OneHot (inputs, symbols, off_and_on)",
}
LAST = """
    counted = Sub (lengths, one)
    bounded = Max (counted, zero)
    place = Cast <to: int = 7> (bounded)
    column = Unsqueeze (place, axis_one)
    by_sequence = Transpose <perm: ints = [1, 0, 2]> (ys)
    last = GatherND <batch_dims: int = 1> (by_sequence, column)
"""
POOLS = {
    "steps": "read = Identity (ys)",
    "last": LAST + "read = Identity (last)",
    "mean": """
    sums = ReduceSum <keepdims: int = 0> (ys, axis_zero)
    bounded = Max (lengths, one)
    count = Cast <to: int = 1> (bounded)
    column = Unsqueeze (count, axis_one)
    read = Div (sums, column)
    """,
    "halves": LAST
    + """
    first = Gather (ys, zero)
    ahead, last_back = Split <axis: int = 1, num_outputs: int = 2> (last)
    first_ahead, back = Split <axis: int = 1, num_outputs: int = 2> (first)
    read = Concat <axis: int = 1> (ahead, back)
    """,
}
READOUT = "product = MatMul (read, kernel)   outputs = Add (product, bias)"


def write(served: Served, path: Path, quantize: bool = False) -> None:
    """Writes a model as ONNX, with open batch and time.

    The graph takes `inputs` [T, B, D] or symbols [T, B], `lengths` [B] and the initial state's
    arrays, and gives `outputs` and the final state's: with T = 1 it streams.

    Args:
        served: the model, its parameters not quantized.
        path: the file.
        quantize: whether the kernels of recurrent operators are stored in int8, with one scale a
            row of theirs, and turned into float32 where the model is loaded.

    Raises:
        ConfigError: if there is nothing to quantize.
    """
    import onnx

    model = to_onnx(served.network, served.params, lengths=True, initial_state=True)
    _surround(model.graph, served)
    if quantize:
        _quantize(model.graph)
    model.doc_string = "inputs, a recurrent network, a linear layer"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _surround(graph: Any, served: Served) -> None:
    """Puts what is before and after the network around it."""
    from onnx import numpy_helper, parser

    inputs, kind = served.inputs, "numbers"
    if inputs.symbols:
        kind = "one-hot" if inputs.embedding is None else "embedded"
    pooling = "halves" if served.halves and served.pooling == "last" else served.pooling
    text = f"""around ({_input(served)}, int32[batch] lengths, float[time, batch, H] ys)
        => (float[{"time, " * (served.pooling == "steps")}batch, {len(served.bias)}] outputs)
        {{ {INPUTS[kind]} {POOLS[pooling]} {READOUT} }}"""
    around = parser.parse_graph(text)
    before = 3 if kind == "embedded" else 2 if kind == "numbers" else 1
    nodes = [*around.node[:before], *graph.node, *around.node[before:]]
    used = {name for node in around.node for name in node.input}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in _constants(served).items()
        if name in used
    )
    graph.input[0].CopyFrom(around.input[0])
    graph.output[0].CopyFrom(around.output[0])
    del graph.node[:]
    graph.node.extend(nodes)


def _input(served: Served) -> str:
    if served.inputs.symbols:
        return "int32[time, batch] inputs"
    return f"float[time, batch, {served.inputs.size}] inputs"


def _constants(served: Served) -> dict[str, Any]:
    inputs = served.inputs
    return {
        "kernel": np.asarray(served.kernel, np.float32),
        "bias": np.asarray(served.bias, np.float32),
        "scale": np.float32(inputs.scale),
        "shift": np.float32(inputs.shift),
        "embedding": np.asarray(0 if inputs.embedding is None else inputs.embedding, np.float32),
        "symbols": np.int32(inputs.symbols),
        "off_and_on": np.array([inputs.shift, inputs.scale + inputs.shift], np.float32),
        "zero": np.int32(0),
        "one": np.int32(1),
        "axis_zero": np.array([0]),
        "axis_one": np.array([1]),
    }


def _quantize(graph: Any) -> None:
    """Stores W and R of every recurrent operator as int8, [directions, G·H, ...], by their rows."""
    from onnx import helper, numpy_helper

    stored = {tensor.name: tensor for tensor in graph.initializer}
    kernels = [n for node in graph.node if node.op_type in RECURRENT for n in node.input[1:3]]
    if not kernels:
        raise ConfigError(
            "--quantize: the cell has no operator of its own in ONNX, and its kernels stay float32;"
            " choose --format=stablehlo"
        )
    for name in dict.fromkeys(kernels):
        values, scale = to_int8(jnp.asarray(numpy_helper.to_array(stored[name])), axis=(0, 2))
        graph.initializer.remove(stored[name])
        for part, array in (("int8", values), ("scale", scale.reshape(-1))):
            tensor = numpy_helper.from_array(np.asarray(array), f"{name}_{part}")
            graph.initializer.append(tensor)
        node = helper.make_node(
            "DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [name], axis=1
        )
        graph.node.insert(0, node)
