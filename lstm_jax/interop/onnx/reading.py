"""`from_onnx`: a model whose recurrence is in ONNX's own operators, as a function of its inputs."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from lstm_jax.interop.onnx import operators, parsing
from lstm_jax.interop.onnx.arithmetic import ARITHMETIC, fetch
from lstm_jax.interop.onnx.glue import GLUE
from lstm_jax.interop.onnx.parsing import Graph, Node

RECURRENT: dict[str, Callable] = dict.fromkeys(operators.BLOCKS, operators.run_node)
PLAIN: dict[str, Callable] = {**RECURRENT, **GLUE, **ARITHMETIC}
Values = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Imported:
    """A model that `from_onnx` has read: call it with its inputs.

    `model(*arrays, **arrays_by_name)` takes the inputs in the order of `inputs`, or by name, and
    returns a tuple, the outputs in the order of `outputs`. A constant of the model can be given by
    name, too, in place of the stored one: so is the model differentiated by its weights, as in
    `jax.grad(lambda weights: model(x, **weights)[0].sum())(model.weights)`. It composes with
    `jax.jit`, `jax.grad` and `jax.vmap`.

    Attributes:
      inputs: the names of the inputs that must be given.
      outputs: the names of the outputs.
      weights: {name: array}: the floating-point constants of the graph.
      networks: {node name: (network, params)}: each recurrent node with constant weights that is a
        cell of `lj.CELLS` (a `lj.bidirectional` pair of them), to be run by `lj.unroll`, trained
        and saved like any other; with `reverse=True` where the node's direction is "reverse".
      graph: what is evaluated.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: dict[str, Array]
    networks: dict[str, tuple[Any, Any]]
    graph: Graph

    def __call__(self, *arrays: Any, **by_name: Any) -> tuple[Array, ...]:
        values = self.graph.constants | self._given(arrays, by_name)
        values = evaluate(self.graph, values)
        return tuple(jnp.asarray(values[name]) for name in self.outputs)

    def __repr__(self) -> str:
        return f"Imported({', '.join(self.inputs)} -> {', '.join(self.outputs)})"

    def _given(self, arrays: tuple, by_name: dict[str, Any]) -> Values:
        """The arguments of a call by name, checked."""
        if len(arrays) > len(self.inputs):
            raise TypeError(f"{len(arrays)} inputs are given; the model has {self.inputs}")
        given = dict(zip(self.inputs, arrays, strict=False))
        for name in by_name:
            if name in given:
                raise TypeError(f"input {name!r} is given twice, by position and by name")
            if name not in self.inputs and name not in self.graph.constants:
                near = difflib.get_close_matches(name, [*self.inputs, *self.graph.constants], 1)
                hint = f"did you mean {near[0]!r}?" if near else f"the model has {self.inputs}"
                raise TypeError(f"there is no input {name!r}; {hint}")
        given |= by_name
        missing = [name for name in self.inputs if name not in given]
        if missing:
            raise TypeError(f"input {missing[0]!r} is missing; the model takes {self.inputs}")
        given = {name: jnp.asarray(value) for name, value in given.items()}
        for name, shape in self.graph.shapes.items():
            check_shape(name, given[name].shape, shape)
        return given


def check_shape(name: str, given: tuple[int, ...], declared: tuple[int | None, ...]) -> None:
    """Raises unless an input has the axes that the graph declares."""
    same = len(given) == len(declared)
    if not same or any(d not in (None, g) for g, d in zip(given, declared, strict=True)):
        wanted = ", ".join("any" if d is None else str(d) for d in declared)
        raise ValueError(f"input {name!r} has shape {given}; the model takes ({wanted})")


def evaluate(graph: Graph, values: Values) -> Values:
    """Adds the outputs of every node to the values by name."""
    values = dict(values)
    for node in graph.nodes:
        results = apply(node, values)
        values |= zip(node.outputs, results, strict=False)
    return values


def apply(node: Node, values: Values) -> tuple | list:
    """The outputs of one node, in order."""
    given = [values[name] if name else None for name in node.inputs]
    if node.operator in NESTED:
        return NESTED[node.operator](node, values, *given)
    results = PLAIN[node.operator](node, *given)
    return results if isinstance(results, tuple | list) else (results,)


def choose(node: Node, values: Values, condition: Any) -> list[Any]:
    """If, of a condition that is known."""
    holds = bool(fetch(node, "condition", condition).reshape(()))
    branch = node.attributes["then_branch" if holds else "else_branch"]
    inside = evaluate(branch, values | branch.constants)
    return [inside[name] for name in branch.outputs]


def scan(node: Node, values: Values, *given: Any) -> list[Any]:
    """Scan: the body over slices of its last inputs, carrying the first."""
    get, body = node.attributes.get, node.attributes["body"]
    count = node.attributes["num_scan_inputs"]
    carried = len(given) - count
    state = tuple(jnp.asarray(v) for v in given[:carried])
    outer = values | body.constants
    ways = zip(get("scan_input_axes", [0] * count), get("scan_input_directions", [0] * count),
               strict=True)  # fmt: skip
    steps = tuple(
        turn(jnp.moveaxis(jnp.asarray(v), axis, 0), backwards)
        for v, (axis, backwards) in zip(given[carried:], ways, strict=True)
    )

    def step(state: tuple, step: tuple) -> tuple[tuple, tuple]:
        inside = evaluate(body, outer | dict(zip(body.inputs, state + step, strict=True)))
        results = tuple(jnp.asarray(inside[name]) for name in body.outputs)
        return results[:carried], results[carried:]

    becomes = jax.eval_shape(step, state, jax.tree.map(lambda v: v[0], steps))[0]
    state = tuple(s.astype(b.dtype) for s, b in zip(state, becomes, strict=True))
    state, outputs = jax.lax.scan(step, state, steps)
    ways = zip(get("scan_output_axes", [0] * len(outputs)),
               get("scan_output_directions", [0] * len(outputs)), strict=True)  # fmt: skip
    return [*state, *(jnp.moveaxis(turn(v, backwards), 0, axis)
                      for v, (axis, backwards) in zip(outputs, ways, strict=True))]  # fmt: skip


def turn(v: Array, backwards: int) -> Array:
    """The first axis from its end, where asked for."""
    return v[::-1] if backwards else v


NESTED: dict[str, Callable] = {"If": choose, "Scan": scan}


def from_onnx(model: Any) -> Imported:
    """Reads an ONNX model whose recurrence is in the operators RNN, LSTM and GRU (or Scan).

    All attributes of the specification are read: `direction`, `layout`, `activations` with alpha
    and beta, `clip`, `input_forget` (f = 1 − i, as ONNX Runtime has it), `linear_before_reset`;
    sequence lengths, initial states and peepholes where they are given. Recurrent nodes are run by
    `lj.unroll`. Around them may stand what exporters write: shapes, slices, products, activations.

    Args:
      model: an `onnx.ModelProto`, its bytes, or a path.

    Returns:
      An `Imported`: a function from the graph's inputs, in order or by name, to a tuple of its
      outputs. A node's are Y [T, directions, B, H], Y_h and Y_c [directions, B, H], with
      `layout` 1 [B, T, directions, H] and [B, directions, H].

    Raises:
      TypeError: what is given is no model.
      ValueError: a node that is not known, named with its operator, or one whose attributes or
        weights do not fit one another.

    Example:
      model = from_onnx(to_onnx(cell, params))
      ys, final_h, final_c = model(xs)
      network, its_params = model.networks["lstm"]

    Source: ONNX operator specification, RNN, LSTM and GRU, opsets 7 to 22.
    """
    graph = parsing.parse_model(parsing.load(model))
    check_operators(graph)
    weights = {
        name: jnp.asarray(value)
        for name, value in graph.constants.items()
        if jnp.issubdtype(value.dtype, jnp.floating)
    }
    return Imported(graph.inputs, graph.outputs, weights, find_networks(graph), graph)


def check_operators(graph: Graph) -> None:
    """Raises where a node's operator is not known."""
    for node in graph.nodes:
        if node.operator not in PLAIN and node.operator not in NESTED:
            raise ValueError(
                f"{node}: from_onnx does not know this operator; it knows "
                f"{', '.join(sorted([*PLAIN, *NESTED]))}"
            )
        for value in node.attributes.values():
            if isinstance(value, Graph):
                check_operators(value)


def find_networks(graph: Graph) -> dict[str, tuple[Any, Any]]:
    """The recurrent nodes whose weights are constant, as networks of this library."""
    values: Values = dict(graph.constants)
    networks: dict[str, tuple[Any, Any]] = {}
    for node in graph.nodes:
        given = [values.get(name) if name else None for name in node.inputs]
        if node.operator in RECURRENT:
            found = constant_network(node, given, values)
            networks |= {} if found is None else {node.name: found}
        elif node.operator in GLUE and all(n in values for n in node.inputs if n):
            values |= zip(node.outputs, apply(node, values), strict=False)
    return networks


def constant_network(node: Node, given: list[Any], values: Values) -> tuple[Any, Any] | None:
    """The network that a node is, if its weights are known and the registry has its cells."""
    given = given + [None] * (8 - len(given))
    places = (1, 2, 3, 7)  # of W, R, B and P
    named = [node.inputs[k] for k in places if k < len(node.inputs) and node.inputs[k]]
    if not all(isinstance(values.get(name), np.ndarray) for name in named):
        return None
    return operators.as_network(node, *(given[k] for k in places))
