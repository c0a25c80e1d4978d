"""A traced function becomes a part of an ONNX graph, primitive by primitive."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import ShapeDtypeStruct
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from lstm_jax.cells.functions import sigmoid
from lstm_jax.interop.onnx.graph import Builder
from lstm_jax.interop.onnx.primitives import PRIMITIVES, Value

INLINED = {  # what calls another jaxpr, and the parameter that holds it
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}


class Translator:
    """Writes jaxprs into a graph; arithmetic on known values alone is done at once.

    Attributes:
      builder: the graph.
      user: whose function it is, for messages.
      sources: {value that was broadcast: the value before}, since ONNX's operators broadcast.
    """

    def __init__(self, builder: Builder, user: str) -> None:
        self.builder = builder
        self.user = user
        self.sources: dict[str, str] = {}

    def run(self, closed: ClosedJaxpr, inputs: list[Value]) -> list[Value]:
        """The outputs of a jaxpr."""
        return self.evaluate(closed.jaxpr, [np.asarray(c) for c in closed.consts], inputs)

    def evaluate(self, jaxpr: Jaxpr, consts: list[Value], inputs: list[Value]) -> list[Value]:
        values: dict[Any, Value] = {}
        values.update(zip(jaxpr.constvars, consts, strict=True))
        values.update(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> Value:
            if isinstance(atom, Literal):
                return np.asarray(atom.val, dtype_of(atom))
            return values[atom]

        for equation in jaxpr.eqns:
            results = self.apply(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def apply(self, equation: Any, given: list[Value]) -> list[Value]:
        """The outputs of one equation."""
        name = equation.primitive.name
        if name in INLINED:
            called = equation.params[INLINED[name]]
            closed = called if hasattr(called, "consts") else ClosedJaxpr(called, ())
            return [self.add("Sigmoid", *given)] if is_sigmoid(closed) else self.run(closed, given)
        if all(isinstance(v, np.ndarray) for v in given) and fixed(equation):
            results = equation.primitive.bind(*given, **equation.params)
            several = equation.primitive.multiple_results
            return [np.asarray(v) for v in (results if several else [results])]
        if name not in PRIMITIVES:
            raise ValueError(
                f"{self.user}: its equations use the JAX primitive {name!r}, which to_onnx cannot "
                f"write; it can write {', '.join(sorted(PRIMITIVES))}"
            )
        results = PRIMITIVES[name](self, equation, *given)
        return results if isinstance(results, list) else [results]

    def name(self, value: Value) -> str:
        """The name of a value in the graph."""
        return self.builder.constant(value) if isinstance(value, np.ndarray) else value

    def add(self, operator: str, *given: Value, **attributes: Any) -> Any:
        return self.builder.add(operator, *map(self.name, given), **attributes)

    def scalar(self, number: float, like: Any) -> str:
        """A number in the dtype of a variable."""
        return self.builder.constant(np.asarray(number, like.aval.dtype))

    def unbroadcast(self, equation: Any, given: tuple[Value, ...]) -> list[str]:
        """Operands as they were before a broadcast, if another one has the full shape."""
        full = equation.outvars[0].aval.shape
        names = [self.name(v) for v in given]
        if any(
            atom.aval.shape == full and name not in self.sources
            for atom, name in zip(equation.invars, names, strict=True)
        ):
            return [self.sources.get(name, name) for name in names]
        return names


def fixed(equation: Any) -> bool:
    """Whether the outputs depend on no symbolic axis."""
    sizes = [size for v in equation.outvars for size in v.aval.shape]
    sizes += [equation.params["dim"]] if "dim" in equation.params else []
    return all(isinstance(size, int | np.integer) for size in sizes)


def dtype_of(atom: Any) -> Any:
    """The dtype of a variable or a literal."""
    return atom.aval.dtype


def is_sigmoid(closed: ClosedJaxpr) -> bool:
    """Whether a called function is the library's σ(z) = ½ tanh(z/2) + ½, written out."""
    inputs = [ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals]
    if len(inputs) != 1 or [e.primitive.name for e in closed.eqns] != ["mul", "tanh", "mul", "add"]:
        return False
    return str(closed) == str(jax.make_jaxpr(sigmoid.fun)(*inputs))
