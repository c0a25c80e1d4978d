"""ONNX's elementwise operators, products and reductions, on NumPy and JAX arrays.

Like those of `glue`, they take the node and its inputs. What is known when the model is read
(shapes, and what is computed from them) is a NumPy array and stays one, also under `jax.jit`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.interop.onnx.parsing import Node

Operator = Callable[..., Any]


def known(*values: Any) -> bool:
    """Whether all values (None for inputs that are left out) are known when the model is read."""
    return all(v is None or isinstance(v, np.ndarray) for v in values)


def library(*values: Any) -> Any:
    """The array library to compute with: NumPy for what is known."""
    return np if known(*values) else jnp


def fetch(node: Node, what: str, value: Any) -> np.ndarray:
    """The numbers of an input that decides on shapes; refuses those of a traced array."""
    if isinstance(value, jax.core.Tracer):
        raise ValueError(
            f"{node}: {what} is computed from the values of inputs, and decides on shapes; call "
            "the model without jit, or export it with that fixed"
        )
    return np.asarray(value)


def align(*values: Any) -> list[Any]:
    """Arrays of the same rank: ones before the shape of those that have fewer axes."""
    rank = max(v.ndim for v in values)
    return [v.reshape((1,) * (rank - v.ndim) + v.shape) for v in values]


def elementwise(name: str) -> Operator:
    """A NumPy function of one or more arrays that broadcast."""

    def run(node: Node, *values: Any) -> Any:
        del node
        return np.asarray(call(values)) if known(*values) else call(values)

    def call(values: tuple) -> Any:
        return getattr(library(*values), name)(*align(*values))

    return run


def many(name: str) -> Operator:
    """A NumPy function of two arrays, applied to as many as there are."""
    pair = elementwise(name)
    return lambda node, *values: reduce(partial(pair, node), values)


def divide(node: Node, a: Any, b: Any) -> Any:
    """a / b, rounded towards zero for integers."""
    if not np.issubdtype(a.dtype, np.integer):
        return elementwise("divide")(node, a, b)
    xp = library(a, b)
    a, b = align(a, b)
    return xp.asarray(xp.sign(a) * xp.sign(b) * (abs(a) // abs(b))).astype(a.dtype)


def modulo(node: Node, a: Any, b: Any) -> Any:
    """a mod b with the sign of b, or that of a with `fmod`."""
    return elementwise("fmod" if node.attributes.get("fmod") else "mod")(node, a, b)


def power(node: Node, a: Any, b: Any) -> Any:
    """aᵇ in the dtype of a."""
    return elementwise("power")(node, a, b).astype(a.dtype)


def function(call: Callable, *defaults: tuple[str, float]) -> Operator:
    """A JAX function of one array and attributes."""

    def run(node: Node, x: Any) -> Any:
        numbers = (node.attributes.get(name, default) for name, default in defaults)
        return call(jnp.asarray(x), *numbers)

    return run


def softmax(call: Callable) -> Operator:
    """Over an axis; before opset 13 over all axes from that one on together."""

    def run(node: Node, x: Any) -> Any:
        x = jnp.asarray(x)
        if node.version >= 13:
            return call(x, axis=node.attributes.get("axis", -1))
        axis = node.attributes.get("axis", 1) % x.ndim
        return call(x.reshape(*x.shape[:axis], -1), axis=-1).reshape(x.shape)

    return run


def clip(node: Node, x: Any, low: Any = None, high: Any = None) -> Any:
    """Between bounds that are inputs or, before opset 11, attributes."""
    low = node.attributes.get("min") if low is None else low
    high = node.attributes.get("max") if high is None else high
    for bound, name in ((low, "maximum"), (high, "minimum")):
        if bound is not None:
            x = elementwise(name)(
                node, x, bound if isinstance(bound, jax.Array) else np.asarray(bound, x.dtype)
            )
    return x


def where(node: Node, condition: Any, a: Any, b: Any) -> Any:
    return elementwise("where")(node, condition, a, b)


def gemm(node: Node, a: Any, b: Any, c: Any = None) -> Any:
    """α·a·b + β·c, with a and b transposed where asked for."""
    get = node.attributes.get
    a, b = (a.T if get("transA") else a), (b.T if get("transB") else b)
    product = get("alpha", 1.0) * jnp.matmul(a, b)
    return product if c is None else product + get("beta", 1.0) * jnp.broadcast_to(c, product.shape)


def reduction(name: str) -> Operator:
    """Over the axes of an input or, in older opsets, an attribute; over all without any."""

    def run(node: Node, x: Any, axes: Any = None) -> Any:
        axes = node.attributes.get("axes") if axes is None else fetch(node, "axes", axes)
        if axes is None or not len(axes):
            if node.attributes.get("noop_with_empty_axes"):
                return x
            axes = range(x.ndim)
        keep = bool(node.attributes.get("keepdims", 1))
        call = getattr(library(x), name)
        return library(x).asarray(call(x, axis=tuple(map(int, axes)), keepdims=keep))

    return run


def cumulative_sum(node: Node, x: Any, axis: Any) -> Any:
    """Sums along an axis up to each place, from its end with `reverse`."""
    axis = int(fetch(node, "axis", axis))
    turn = partial(jnp.flip, axis=axis) if node.attributes.get("reverse") else jnp.asarray
    sums = turn(jnp.cumsum(turn(x), axis=axis))
    return sums - x if node.attributes.get("exclusive") else sums


def layer_normalization(node: Node, x: Any, scale: Any, offset: Any = None) -> Any:
    """To mean 0 and variance 1 over the last axes, then scale and offset."""
    axis = node.attributes.get("axis", -1) % x.ndim
    axes = tuple(range(axis, x.ndim))
    centered = x - jnp.mean(x, axes, keepdims=True)
    variance = jnp.mean(centered * centered, axes, keepdims=True)
    normed = centered * jax.lax.rsqrt(variance + node.attributes.get("epsilon", 1e-5))
    normed = normed * align(normed, scale)[1]
    return normed if offset is None else normed + align(normed, offset)[1]


def convolution(node: Node, x: Any, kernel: Any, bias: Any = None) -> Any:
    """Of x [B, C, ...] with a kernel [F, C / group, ...]."""
    get, rank = node.attributes.get, x.ndim - 2
    auto = get("auto_pad", "NOTSET")
    if auto == "SAME_LOWER":
        raise ValueError(f"{node}: auto_pad is SAME_LOWER; export it with explicit pads")
    pads = get("pads", [0] * 2 * rank)
    padding: Any = list(zip(pads[:rank], pads[rank:], strict=True))
    if auto != "NOTSET":
        padding = auto.removesuffix("_UPPER")
    result = jax.lax.conv_general_dilated(
        jnp.asarray(x),
        jnp.asarray(kernel, x.dtype),
        get("strides", [1] * rank),
        padding,
        rhs_dilation=get("dilations", [1] * rank),
        feature_group_count=get("group", 1),
    )
    return result if bias is None else result + jnp.reshape(bias, (1, -1) + (1,) * rank)


ARITHMETIC: dict[str, Operator] = {
    **{op: many(name) for op, name in {
        "Add": "add", "Mul": "multiply", "Max": "maximum", "Min": "minimum", "Sum": "add",
    }.items()},
    **{op: elementwise(name) for op, name in {
        "Sub": "subtract", "Equal": "equal", "Less": "less", "LessOrEqual": "less_equal",
        "Greater": "greater", "GreaterOrEqual": "greater_equal", "And": "logical_and",
        "Or": "logical_or", "Xor": "logical_xor", "Not": "logical_not", "Neg": "negative",
        "Abs": "abs", "Sqrt": "sqrt", "Exp": "exp", "Log": "log", "Reciprocal": "reciprocal",
        "Floor": "floor", "Ceil": "ceil", "Round": "round", "Sign": "sign", "Sin": "sin",
        "Cos": "cos", "Tanh": "tanh", "IsNaN": "isnan", "IsInf": "isinf",
    }.items()},
    **{op: reduction(name) for op, name in {
        "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min",
        "ReduceProd": "prod",
    }.items()},
    "Div": divide,
    "Mod": modulo,
    "Pow": power,
    "Relu": function(jax.nn.relu),
    "Sigmoid": function(jax.nn.sigmoid),
    "Softplus": function(jax.nn.softplus),
    "Softsign": function(jax.nn.soft_sign),
    "Erf": function(jax.lax.erf),
    "LeakyRelu": function(jax.nn.leaky_relu, ("alpha", 0.01)),
    "Elu": function(jax.nn.elu, ("alpha", 1.0)),
    "HardSigmoid": function(
        lambda x, alpha, beta: jnp.clip(alpha * x + beta, 0, 1), ("alpha", 0.2), ("beta", 0.5)
    ),
    "Softmax": softmax(jax.nn.softmax),
    "LogSoftmax": softmax(jax.nn.log_softmax),
    "Clip": clip,
    "Where": where,
    "MatMul": lambda node, a, b: library(a, b).matmul(a, b),
    "Gemm": gemm,
    "Einsum": lambda node, *values: jnp.einsum(node.attributes["equation"], *values),
    "CumSum": cumulative_sum,
    "LayerNormalization": layer_normalization,
    "Conv": convolution,
}  # fmt: skip
