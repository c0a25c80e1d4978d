"""An ONNX model as plain Python: nodes, their attributes, constants as NumPy arrays."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np


class Node(NamedTuple):
    """A node of a graph.

    An optional input or output that is left out has the name "". `version` is that of ONNX's
    operator set.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    version: int

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.operator})"


class Graph(NamedTuple):
    """A graph, its nodes in an order in which they can be evaluated.

    `shapes` has the declared shape of inputs: an integer where an axis is fixed, else None.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, np.ndarray]
    nodes: tuple[Node, ...]
    shapes: dict[str, tuple[int | None, ...]]


def load(model: Any) -> Any:
    """A checked `onnx.ModelProto` without local functions, from one, its bytes, or a path."""
    import onnx
    from onnx import inliner

    if isinstance(model, bytes):
        model = onnx.load_from_string(model)
    elif isinstance(model, str | os.PathLike):
        model = onnx.load(model)
    elif not isinstance(model, onnx.ModelProto):
        raise TypeError(
            f"model is a {type(model).__name__}; give an onnx.ModelProto, its bytes, or a path"
        )
    return inliner.inline_local_functions(model) if model.functions else model


def parse_model(model: Any) -> Graph:
    """The graph of an `onnx.ModelProto`."""
    versions = {opset.domain: opset.version for opset in model.opset_import}
    version = versions.get("", versions.get("ai.onnx", 1))
    if version < 7:
        raise ValueError(
            f"model has opset {version}, whose recurrent operators differ; convert it to 7 or "
            "later with onnx.version_converter"
        )
    return parse_graph(model.graph, version)


def parse_graph(graph: Any, version: int) -> Graph:
    """An `onnx.GraphProto`, with the graphs inside its nodes."""
    from onnx import numpy_helper

    if graph.sparse_initializer:
        raise ValueError("model has sparse initializers; store them as dense ones")
    constants = {c.name: np.asarray(numpy_helper.to_array(c)) for c in graph.initializer}
    inputs = [i for i in graph.input if i.name not in constants]
    return Graph(
        tuple(i.name for i in inputs),
        tuple(o.name for o in graph.output),
        constants,
        tuple(parse_node(node, index, version) for index, node in enumerate(graph.node)),
        {i.name: declared_shape(i.type.tensor_type) for i in inputs if has_shape(i)},
    )


def has_shape(value: Any) -> bool:
    """Whether an input says that it is a tensor of a known rank."""
    return value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape")


def declared_shape(tensor: Any) -> tuple[int | None, ...]:
    """Fixed axes as integers, others as None."""
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)


def parse_node(node: Any, index: int, version: int) -> Node:
    """An `onnx.NodeProto`; one without a name is called by its operator and position."""
    operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    attributes = {a.name: parse_attribute(a, version) for a in node.attribute}
    name = node.name or f"{operator}_{index}"
    return Node(name, operator, tuple(node.input), tuple(node.output), attributes, version)


def parse_attribute(attribute: Any, version: int) -> Any:
    """Numbers and lists of them, strings, arrays, graphs."""
    import onnx
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    kinds = onnx.AttributeProto
    if attribute.type == kinds.STRING:
        return value.decode()
    if attribute.type == kinds.STRINGS:
        return [v.decode() for v in value]
    if attribute.type == kinds.TENSOR:
        return np.asarray(numpy_helper.to_array(value))
    if attribute.type == kinds.GRAPH:
        return parse_graph(value, version)
    return list(value) if attribute.type in (kinds.INTS, kinds.FLOATS) else value
