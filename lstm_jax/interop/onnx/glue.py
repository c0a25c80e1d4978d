"""ONNX's operators on shapes and places: what exporters write around recurrent nodes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.interop.onnx.arithmetic import Operator, fetch, known, library
from lstm_jax.interop.onnx.parsing import Node


def integers(node: Node, what: str, value: Any) -> list[int]:
    """The integers of an input, or of an attribute where there is no such input; [] without."""
    value = node.attributes.get(what, []) if value is None else fetch(node, what, value)
    return [int(v) for v in value]


def constant(node: Node) -> np.ndarray:
    """Whichever attribute holds the value."""
    dtypes = {"value_int": np.int64, "value_ints": np.int64,
              "value_float": np.float32, "value_floats": np.float32}  # fmt: skip
    name, value = next(iter(node.attributes.items()))
    if name != "value" and name not in dtypes:
        raise ValueError(f"{node} holds a {name}; only dense numbers are read")
    return np.asarray(value, dtypes.get(name))


def constant_of_shape(node: Node, shape: Any) -> np.ndarray:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return np.full(integers(node, "shape", shape), value.reshape(()), value.dtype)


def shape_of(node: Node, x: Any) -> np.ndarray:
    get = node.attributes.get
    return np.array(x.shape, np.int64)[get("start", 0) : get("end", None)]


def reshape(node: Node, x: Any, shape: Any = None) -> Any:
    """0 stands for the axis as it is (unless `allowzero`), −1 for what is left."""
    wanted = integers(node, "shape", shape)
    if not node.attributes.get("allowzero"):
        wanted = [size or x.shape[axis] for axis, size in enumerate(wanted)]
    return x.reshape(wanted)


def squeeze(node: Node, x: Any, axes: Any = None) -> Any:
    chosen = tuple(integers(node, "axes", axes))
    return library(x).squeeze(x, chosen or None)


def unsqueeze(node: Node, x: Any, axes: Any = None) -> Any:
    return library(x).expand_dims(x, tuple(integers(node, "axes", axes)))


def flatten(node: Node, x: Any) -> Any:
    axis = node.attributes.get("axis", 1)
    before = int(np.prod(x.shape[:axis])) if axis else 1
    return x.reshape(before, -1 if x.size else int(np.prod(x.shape[axis:])))


def transpose(node: Node, x: Any) -> Any:
    return x.transpose(node.attributes.get("perm", range(x.ndim)[::-1]))


def expand(node: Node, x: Any, shape: Any) -> Any:
    """To the shape that x and the given one broadcast to."""
    wanted = np.broadcast_shapes(x.shape, tuple(integers(node, "shape", shape)))
    x = x.reshape((1,) * (len(wanted) - x.ndim) + x.shape)
    return library(x).broadcast_to(x, wanted)


def tile(node: Node, x: Any, repeats: Any) -> Any:
    return library(x).tile(x, integers(node, "repeats", repeats))


def concat(node: Node, *values: Any) -> Any:
    return library(*values).concatenate(values, axis=node.attributes["axis"])


def cut(
    node: Node, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Any:
    """A slice; starts and ends count from the end where negative, and stop at the array's ends."""
    first, last = integers(node, "starts", starts), integers(node, "ends", ends)
    where = integers(node, "axes", axes) or range(len(first))
    strides = integers(node, "steps", steps) or [1] * len(first)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(where, first, last, strides, strict=True):
        size = x.shape[axis]
        beyond = step < 0 and end < -size  # Python would count from the end
        index[axis] = slice(start, None if beyond else end, step)
    return x[tuple(index)]


def split(node: Node, x: Any, sizes: Any = None) -> list[Any]:
    axis = node.attributes.get("axis", 0)
    parts = integers(node, "split", sizes)
    if not parts:
        count = node.attributes.get("num_outputs", len(node.outputs))
        size = -(-x.shape[axis] // count)
        parts = [min(size, x.shape[axis] - k * size) for k in range(count)]
    return library(x).split(x, np.cumsum(parts)[:-1], axis=axis)


def gather(node: Node, x: Any, indices: Any) -> Any:
    axis = node.attributes.get("axis", 0)
    if known(x, indices):
        return np.asarray(np.take(x, indices, axis=axis))
    indices = jnp.where(indices < 0, indices + x.shape[axis], indices)
    return jnp.take(jnp.asarray(x), indices, axis=axis)


def cast(node: Node, x: Any) -> Any:
    from onnx import helper

    dtype = helper.tensor_dtype_to_np_dtype(node.attributes["to"])
    return x.astype(dtype if known(x) else jax.dtypes.canonicalize_dtype(dtype))


def consecutive(node: Node, start: Any, limit: Any, delta: Any) -> Any:
    """Range."""
    numbers: Any = [fetch(node, "a bound or step", v).item() for v in (start, limit, delta)]
    return np.arange(*numbers).astype(start.dtype)


def pad(node: Node, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    """With a constant."""
    if node.attributes.get("mode", "constant") != "constant":
        raise ValueError(f"{node}: mode is {node.attributes['mode']!r}; only 'constant' is read")
    amounts = integers(node, "pads", pads)
    where = integers(node, "axes", axes) or range(x.ndim)
    widths = [(0, 0)] * x.ndim
    for axis, before, after in zip(
        where, amounts[: len(where)], amounts[len(where) :], strict=True
    ):
        widths[axis] = (before, after)
    value = node.attributes.get("value", 0) if value is None else value.reshape(())
    return library(x).pad(x, widths, constant_values=value)


def one_hot(node: Node, indices: Any, depth: Any, values: Any) -> Any:
    count = int(fetch(node, "depth", depth).reshape(()))
    off, on = values
    axis = node.attributes.get("axis", -1)
    hit = jax.nn.one_hot(jnp.where(indices < 0, indices + count, indices), count, axis=axis)
    return jnp.where(hit > 0, on, off)


def arg_max(node: Node, x: Any) -> Any:
    get = node.attributes.get
    return jnp.argmax(x, get("axis", 0), keepdims=bool(get("keepdims", 1)))


def dropout(node: Node, x: Any, *ratio_and_training: Any) -> tuple[Any, np.ndarray]:
    """As at inference: the identity, and a mask that keeps everything."""
    training = ratio_and_training[1] if len(ratio_and_training) > 1 else None
    if training is not None and fetch(node, "training_mode", training):
        raise ValueError(f"{node}: training_mode is on; export the model for inference")
    return x, np.ones(x.shape, bool)


def split_to_sequence(node: Node, x: Any, sizes: Any = None) -> tuple[list[Any]]:
    """A Python list of parts: of one place each without sizes."""
    axis = node.attributes.get("axis", 0)
    size: Any = 1 if sizes is None else fetch(node, "split", sizes)
    ends = np.arange(0, x.shape[axis], size)[1:] if np.ndim(size) == 0 else np.cumsum(size)[:-1]
    parts = library(x).split(x, ends, axis=axis)
    if sizes is None and not node.attributes.get("keepdims", 1):
        parts = [part.squeeze(axis) for part in parts]
    return (list(parts),)


def concat_from_sequence(node: Node, parts: list[Any]) -> Any:
    xp, axis = library(*parts), node.attributes["axis"]
    join = xp.stack if node.attributes.get("new_axis") else xp.concatenate
    return join(parts, axis=axis)


GLUE: dict[str, Operator] = {
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Shape": shape_of,
    "Size": lambda node, x: np.array(x.size, np.int64),
    "Identity": lambda node, x: x,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Flatten": flatten,
    "Transpose": transpose,
    "Expand": expand,
    "Tile": tile,
    "Concat": concat,
    "Slice": cut,
    "Split": split,
    "Gather": gather,
    "Cast": cast,
    "CastLike": lambda node, x, like: x.astype(like.dtype),
    "Range": consecutive,
    "Pad": pad,
    "OneHot": one_hot,
    "ArgMax": arg_max,
    "Dropout": dropout,
    "SplitToSequence": split_to_sequence,
    "SequenceAt": lambda node, parts, index: parts[int(fetch(node, "position", index))],
    "SequenceConstruct": lambda node, *parts: (list(parts),),
    "ConcatFromSequence": concat_from_sequence,
}
