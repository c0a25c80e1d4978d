"""A graph that grows node by node, and becomes an ONNX model."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

BEYOND = np.iinfo(np.int64).max  # the end of an axis, to the operator Slice


class Entry(NamedTuple):
    """A node to be; `captured` are names that graphs inside it take from around it."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    name: str
    captured: tuple[str, ...]


class Builder:
    """The nodes of a graph, and the constants and names that it shares with graphs inside it.

    Attributes:
      dimensions: {symbol: the name of a vector [1] with its value}, for axes that are not fixed.
    """

    def __init__(self, parent: Builder | None = None) -> None:
        self.entries: list[Entry] = []
        self.constants: dict[str, np.ndarray] = parent.constants if parent else {}
        self.stored: dict[Any, str] = parent.stored if parent else {}
        self.names: set[str] = parent.names if parent else set()
        self.dimensions: dict[str, str] = parent.dimensions if parent else {}

    def unique(self, wanted: str) -> str:
        """A name that nothing else has."""
        name, count = wanted, 0
        while name in self.names:
            count += 1
            name = f"{wanted}_{count}"
        self.names.add(name)
        return name

    def constant(self, value: Any, name: str = "constant") -> str:
        """The name of an array; equal arrays are stored once."""
        value = np.asarray(value)
        key = value.dtype.str, value.shape, value.tobytes()
        if key not in self.stored:
            self.stored[key] = self.unique(name)
            self.constants[self.stored[key]] = value
        return self.stored[key]

    def add(
        self,
        operator: str,
        *inputs: str,
        outputs: int = 1,
        name: str = "",
        captured: Iterable[str] = (),
        **attributes: Any,
    ) -> Any:
        """Adds a node; returns the name of its output, a list of names if it has several."""
        made = tuple(self.unique(name or operator.lower()) for _ in range(outputs))
        self.entries.append(Entry(operator, inputs, made, attributes, name, tuple(captured)))
        return made[0] if outputs == 1 else list(made)

    def call(self, value: str, name: str) -> str:
        """Gives a value a name, for an output."""
        self.names.add(name)
        self.entries.append(Entry("Identity", (value,), (name,), {}, "", ()))
        return name

    def integers(self, *values: int) -> str:
        """A vector of integers."""
        return self.constant(np.array(values, np.int64))

    def dimension(self, size: Any) -> str:
        """The size of an axis, an integer or a JAX symbolic expression, as a vector [1]."""
        return self._expression(ast.parse(str(size), mode="eval").body)

    def _expression(self, node: ast.expr) -> str:
        operators = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Pow: "Pow"}
        if isinstance(node, ast.Constant):
            return self.integers(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name) and node.id in self.dimensions:
            return self.dimensions[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self.add("Neg", self._expression(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            sides = self._expression(node.left), self._expression(node.right)
            return self.add(operators[type(node.op)], *sides)
        raise ValueError(
            f"an axis has the size {ast.unparse(node)}, which to_onnx does not compute; give "
            "batch_size and steps"
        )

    def shape(self, sizes: Iterable[Any]) -> str:
        """A shape as a vector."""
        sizes = list(sizes)
        if all(isinstance(size, int | np.integer) for size in sizes):
            return self.integers(*sizes)
        return self.add("Concat", *map(self.dimension, sizes), axis=0)

    def live(self, outputs: Iterable[str]) -> tuple[list[Entry], set[str]]:
        """The nodes that the outputs depend on, and every name that these use."""
        needed, kept = set(outputs), []
        for entry in reversed(self.entries):
            if needed.intersection(entry.outputs):
                kept.append(entry)
                needed.update(entry.inputs, entry.captured)
        return kept[::-1], needed

    def proto(self, name: str, inputs: list, outputs: list, constants: bool) -> tuple[Any, set]:
        """An `onnx.GraphProto`, and every name that its nodes use.

        Args:
          name: of the graph.
          inputs, outputs: `onnx.ValueInfoProto`s.
          constants: store those that are used; a graph inside another takes them from there.
        """
        from onnx import helper, numpy_helper

        entries, needed = self.live([o.name for o in outputs])
        nodes = [
            helper.make_node(e.operator, e.inputs, e.outputs, e.name or None, **e.attributes)
            for e in entries
        ]
        stored = self.constants.items() if constants else ()
        initializers = [numpy_helper.from_array(v, k) for k, v in stored if k in needed]
        return helper.make_graph(nodes, name, inputs, outputs, initializers), needed


def value_info(name: str, dtype: Any, shape: Iterable[Any]) -> Any:
    """An `onnx.ValueInfoProto`; symbols in the shape stand for axes that are not fixed."""
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    sizes = [int(s) if isinstance(s, int | np.integer) else str(s) for s in shape]
    return helper.make_tensor_value_info(name, kind, sizes)
