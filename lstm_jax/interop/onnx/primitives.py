"""JAX's primitives as ONNX nodes: their rules, and the table of them."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_jax.interop.onnx.graph import BEYOND

if TYPE_CHECKING:
    from lstm_jax.interop.onnx.translation import Translator

Value = Any
"""A NumPy array that is known when the graph is written, or the name of a value in the graph."""

Rule = Callable[..., Any]


def elementwise(operator: str) -> Rule:
    def rule(t: Translator, equation: Any, *given: Value) -> str:
        return t.builder.add(operator, *t.unbroadcast(equation, given))

    return rule


def logical(operator: str, bitwise: str) -> Rule:
    """On booleans, and on integers."""

    def rule(t: Translator, equation: Any, *given: Value) -> str:
        boolean = equation.invars[0].aval.dtype == bool
        return elementwise(operator if boolean else bitwise)(t, equation, *given)

    return rule


def chain(*operators: str) -> Rule:
    """One operator after the other."""

    def rule(t: Translator, equation: Any, *given: Value) -> str:
        result = elementwise(operators[0])(t, equation, *given)
        for operator in operators[1:]:
            result = t.add(operator, result)
        return result

    return rule


def integer_pow(t: Translator, equation: Any, x: Value) -> str:
    exponent = equation.params["y"]
    if exponent == 2:
        return t.add("Mul", x, x)
    return t.add("Pow", x, t.scalar(exponent, equation.invars[0]))


def exp2(t: Translator, equation: Any, x: Value) -> str:
    return t.add("Pow", t.scalar(2, equation.invars[0]), x)


def log1p(t: Translator, equation: Any, x: Value) -> str:
    """x·log(u) / (u − 1) with u = 1 + x as it was rounded, which cancels the error; x for u = 1."""
    one = t.scalar(1, equation.invars[0])
    u = t.add("Add", x, one)
    unchanged = t.add("Equal", u, one)
    divisor = t.add("Where", unchanged, one, t.add("Sub", u, one))
    large = t.add("Where", t.add("IsInf", u), t.add("Log", u),
                  t.add("Mul", x, t.add("Div", t.add("Log", u), divisor)))  # fmt: skip
    return t.add("Where", unchanged, x, large)


def expm1(t: Translator, equation: Any, x: Value) -> str:
    """tanh(x/2)·(eˣ + 1)."""
    half, one = t.scalar(0.5, equation.invars[0]), t.scalar(1, equation.invars[0])
    return t.add("Mul", t.add("Tanh", t.add("Mul", x, half)), t.add("Add", t.add("Exp", x), one))


def is_finite(t: Translator, equation: Any, x: Value) -> str:
    return t.add("Not", t.add("Or", t.add("IsInf", x), t.add("IsNaN", x)))


def select(t: Translator, equation: Any, which: Value, *cases: Value) -> str:
    if equation.invars[0].aval.dtype != bool:
        raise ValueError(f"{t.user}: select_n among more than two cases; use jnp.where")
    otherwise, chosen = cases
    return t.add("Where", which, chosen, otherwise)


def clamp(t: Translator, equation: Any, low: Value, x: Value, high: Value) -> str:
    return t.add("Min", t.add("Max", x, low), high)


def cast(t: Translator, equation: Any, x: Value) -> Value:
    dtype = np.dtype(equation.params["new_dtype"])
    return x if equation.invars[0].aval.dtype == dtype else to_dtype(t, x, dtype)


def to_dtype(t: Translator, x: Value, dtype: np.dtype) -> str:
    from onnx import helper

    return t.add("Cast", x, to=int(helper.np_dtype_to_tensor_dtype(dtype)))


def broadcast(t: Translator, equation: Any, x: Value) -> str:
    shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
    given = equation.invars[0].aval.shape
    sizes = [1] * len(shape)
    for place, size in zip(places, given, strict=True):
        sizes[place] = size
    before = t.name(to_shape(t, x, sizes, given))
    if tuple(sizes) == tuple(shape):
        return before
    expanded = t.add("Expand", before, t.builder.shape(shape))
    t.sources[expanded] = before
    return expanded


def reshape(t: Translator, equation: Any, x: Value) -> Value:
    return to_shape(t, x, equation.outvars[0].aval.shape, equation.invars[0].aval.shape)


def to_shape(t: Translator, x: Value, sizes: Any, given: Any) -> Value:
    """The value with another shape; one symbolic axis can stay open."""
    if tuple(sizes) == tuple(given):
        return x
    if isinstance(x, np.ndarray):
        return x.reshape(tuple(sizes))
    symbolic = [k for k, size in enumerate(sizes) if not isinstance(size, int | np.integer)]
    if len(symbolic) == 1:
        sizes = [-1 if k in symbolic else size for k, size in enumerate(sizes)]
    return t.add("Reshape", x, t.builder.shape(sizes))


def squeeze(t: Translator, equation: Any, x: Value) -> str:
    return t.add("Squeeze", x, t.builder.integers(*equation.params["dimensions"]))


def transpose(t: Translator, equation: Any, x: Value) -> str:
    return t.add("Transpose", x, perm=list(equation.params["permutation"]))


def cut(t: Translator, equation: Any, x: Value) -> Value:
    params, shape = equation.params, equation.invars[0].aval.shape
    starts, ends = params["start_indices"], params["limit_indices"]
    return sliced(t, x, shape, starts, ends, params["strides"] or (1,) * len(shape))


def sliced(t: Translator, x: Value, shape: Any, starts: Any, ends: Any, steps: Any) -> Value:
    """Along the axes that lose something."""
    whole = zip(starts, ends, steps, shape, strict=True)
    axes = [k for k, (start, end, step, size) in enumerate(whole)
            if (start, step) != (0, 1) or end != size]  # fmt: skip
    if not axes:
        return x
    to_end = [BEYOND if ends[k] == shape[k] else ends[k] for k in axes]
    vector = t.builder.integers
    return t.add("Slice", x, t.builder.shape([starts[k] for k in axes]), t.builder.shape(to_end),
                 vector(*axes), vector(*(steps[k] for k in axes)))  # fmt: skip


def gather(t: Translator, equation: Any, x: Value, indices: Value) -> Value:
    """Indexing with fixed numbers, which JAX traces as a gather where the batch is symbolic."""
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    if not isinstance(indices, np.ndarray) or indices.ndim != 1:
        raise ValueError(f"{t.user}: its equations index by computed numbers; to_onnx cannot")
    shape = equation.invars[0].aval.shape
    starts = [0] * len(shape)
    for axis, index in zip(numbers.start_index_map, indices, strict=True):
        starts[axis] = int(index)
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    part = sliced(t, x, shape, starts, ends, (1,) * len(shape))
    gone = numbers.collapsed_slice_dims
    return t.add("Squeeze", part, t.builder.integers(*gone)) if gone else part


def split(t: Translator, equation: Any, x: Value) -> list[str]:
    sizes = t.builder.integers(*equation.params["sizes"])
    parts = t.builder.add("Split", t.name(x), sizes, outputs=len(equation.outvars),
                          axis=equation.params["axis"])  # fmt: skip
    return parts if isinstance(parts, list) else [parts]


def concatenate(t: Translator, equation: Any, *parts: Value) -> str:
    return t.add("Concat", *parts, axis=equation.params["dimension"])


def reverse(t: Translator, equation: Any, x: Value) -> str:
    axes = equation.params["dimensions"]
    vector, count = t.builder.integers, len(axes)
    return t.add("Slice", x, vector(*[BEYOND] * count), vector(*[-BEYOND] * count),
                 vector(*axes), vector(*[-1] * count))  # fmt: skip


def reduction(operator: str) -> Rule:
    def rule(t: Translator, equation: Any, x: Value) -> str:
        return t.add(operator, x, t.builder.integers(*equation.params["axes"]), keepdims=0)

    return rule


def cumulative_sum(t: Translator, equation: Any, x: Value) -> str:
    axis = t.builder.constant(np.int64(equation.params["axis"]))
    return t.add("CumSum", x, axis, reverse=int(equation.params["reverse"]))


def dot(t: Translator, equation: Any, a: Value, b: Value) -> str:
    """A MatMul where rows meet columns, else an Einsum."""
    (over_a, over_b), (batch_a, batch_b) = equation.params["dimension_numbers"]
    ranks = [v.aval.ndim for v in equation.invars]
    if (tuple(over_a), tuple(over_b), ranks[1]) == ((ranks[0] - 1,), (0,), 2) and not batch_a:
        result = t.add("MatMul", a, b)
    else:
        letters = iter(string.ascii_lowercase)
        left = [next(letters) for _ in range(ranks[0])]
        right = [next(letters) for _ in range(ranks[1])]
        for i, j in zip((*over_a, *batch_a), (*over_b, *batch_b), strict=True):
            right[j] = left[i]
        rest = [v for k, v in enumerate(left) if k not in over_a and k not in batch_a]
        rest += [v for k, v in enumerate(right) if k not in over_b and k not in batch_b]
        out = [left[i] for i in batch_a] + rest
        formula = f"{''.join(left)},{''.join(right)}->{''.join(out)}"
        result = t.add("Einsum", a, b, equation=formula)
    wanted = equation.outvars[0].aval.dtype
    return result if wanted == equation.invars[0].aval.dtype else to_dtype(t, result, wanted)


def convolution(t: Translator, equation: Any, x: Value, kernel: Value) -> str:
    """Conv, between transpositions to its order of axes and back."""
    params = equation.params
    if set(params["lhs_dilation"]) != {1} or params["batch_group_count"] != 1:
        raise ValueError(f"{t.user}: transposed and grouped-batch convolutions cannot be written")
    x_axes, kernel_axes, out_axes = params["dimension_numbers"]
    result = t.add(
        "Conv",
        t.add("Transpose", x, perm=list(x_axes)),
        t.add("Transpose", kernel, perm=list(kernel_axes)),
        strides=list(params["window_strides"]),
        dilations=list(params["rhs_dilation"]),
        pads=[int(p[side]) for side in (0, 1) for p in params["padding"]],
        group=params["feature_group_count"],
    )
    return t.add("Transpose", result, perm=[int(k) for k in np.argsort(out_axes)])


def dimension(t: Translator, equation: Any) -> str:
    """The size of a symbolic axis, as a number."""
    size = t.builder.dimension(equation.params["dim"])
    number = t.add("Squeeze", size, t.builder.integers(0))
    return to_dtype(t, number, equation.outvars[0].aval.dtype)


def identity(t: Translator, equation: Any, *given: Value) -> list[Value]:
    return list(given)


PRIMITIVES: dict[str, Rule] = {
    **{name: elementwise(operator) for name, operator in {
        "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "max": "Max",
        "min": "Min", "pow": "Pow", "abs": "Abs", "sign": "Sign", "exp": "Exp", "log": "Log",
        "sqrt": "Sqrt", "tanh": "Tanh", "logistic": "Sigmoid", "erf": "Erf", "sin": "Sin",
        "cos": "Cos", "floor": "Floor", "ceil": "Ceil", "eq": "Equal", "lt": "Less",
        "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual",
    }.items()},
    **{name: reduction(operator) for name, operator in {
        "reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin",
        "reduce_prod": "ReduceProd",
    }.items()},
    "ne": chain("Equal", "Not"),
    "rsqrt": chain("Sqrt", "Reciprocal"),
    "and": logical("And", "BitwiseAnd"),
    "or": logical("Or", "BitwiseOr"),
    "not": logical("Not", "BitwiseNot"),
    "square": lambda t, equation, x: t.add("Mul", x, x),
    "integer_pow": integer_pow,
    "exp2": exp2,
    "log1p": log1p,
    "expm1": expm1,
    "is_finite": is_finite,
    "select_n": select,
    "clamp": clamp,
    "convert_element_type": cast,
    "broadcast_in_dim": broadcast,
    "reshape": reshape,
    "squeeze": squeeze,
    "transpose": transpose,
    "slice": cut,
    "gather": gather,
    "split": split,
    "concatenate": concatenate,
    "rev": reverse,
    "cumsum": cumulative_sum,
    "dot_general": dot,
    "conv_general_dilated": convolution,
    "dim_as_value": dimension,
    "copy": identity,
    "copy_p": identity,
    "name": identity,
    "optimization_barrier": identity,
    "stop_gradient": identity,
}  # fmt: skip
