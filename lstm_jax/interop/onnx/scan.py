"""Cells that ONNX has no operator for, as a Scan over their traced equations."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import ShapeDtypeStruct as Spec

from lstm_jax.interop.onnx.graph import Builder, value_info
from lstm_jax.interop.onnx.translation import Translator
from lstm_jax.types import Cell, Params, State, advance, cast, plain_affine


class Sequence(NamedTuple):
    """The inputs of a layer.

    Attributes:
      xs: their name, [T, B, ...].
      sizes: T, B and the others; JAX symbols for axes that are not fixed.
      lengths: the name of [B], or None.
      mask: the name of [T, B], true at the steps that happen, or None.
    """

    xs: str
    sizes: tuple[Any, ...]
    lengths: str | None
    mask: str | None


def fresh_state(cell: Cell) -> State:
    """The state of one fresh row, floating-point numbers in float32."""
    return jax.tree.map(np.asarray, cast(cell.initial_state(1), jnp.dtype(np.float32)))


def add_scan(
    builder: Builder,
    cell: Cell,
    params: Params,
    name: str,
    sequence: Sequence,
    state: dict[str, str] | None,
    reverse: bool,
) -> tuple[str, dict[str, str]]:
    """Adds a Scan whose body is one step of a cell.

    The input part of all steps is computed before it, as one product.

    Returns:
      ys [T, B, output_size], and the final state, {field: name}.
    """
    fresh = fresh_state(cell)
    params = cast(params, jnp.dtype(np.float32))
    for field, value in params._asdict().items():
        if value is not None:
            builder.constant(value, f"{name}_{field}")
    params = cell.prepare(params, None, fresh)
    traced = trace(cell, params, fresh, sequence.sizes)
    xs = silence(builder, sequence, sequence.xs, len(sequence.sizes))
    outer = Translator(builder, f"cell {cell.name!r}")
    parts = [outer.name(v) for v in outer.run(traced.inputs, [xs])]
    if state is None:
        batch = sequence.sizes[1]
        starts = [spread(builder, row, batch) for row in fresh]
    else:
        starts = [state[field] for field in fresh._fields]
    inner = Builder(builder)
    body, captured = write_body(inner, cell, fresh._fields, traced, sequence.mask is not None)
    scanned = [sequence.mask, *parts] if sequence.mask else parts
    way = [int(reverse)]
    outputs = builder.add(
        "Scan",
        *starts,
        *scanned,
        outputs=len(starts) + 1,
        name=name,
        captured=captured,
        body=body,
        num_scan_inputs=len(scanned),
        scan_input_directions=way * len(scanned),
        scan_output_directions=way,
    )
    return outputs[-1], dict(zip(fresh._fields, outputs, strict=False))


class Traced(NamedTuple):
    """The jaxprs of a cell, and the shapes of what a step is given."""

    inputs: Any
    step: Any
    state: list[Spec]
    parts: list[Spec]


def trace(cell: Cell, params: Params, fresh: State, sizes: tuple[Any, ...]) -> Traced:
    """Traces the input part of a sequence, and one step."""
    state = jax.tree.map(lambda s: Spec((sizes[1], *s.shape[1:]), s.dtype), fresh)
    xs = Spec(sizes, np.dtype(np.float32))

    def inputs(xs: Any) -> Any:
        return cell.inputs(params, xs, None)  # type: ignore[misc]

    def step(state: State, x: Any) -> State:
        return advance(cell, params, state, x, plain_affine(cell.product))[0]

    first, parts = jax.make_jaxpr(inputs, return_shape=True)(xs)
    x = jax.tree.map(lambda v: Spec(v.shape[1:], v.dtype), parts)
    return Traced(first, jax.make_jaxpr(step)(state, x), list(state), jax.tree.leaves(x))


def write_body(
    builder: Builder, cell: Cell, fields: tuple[str, ...], traced: Traced, masked: bool
) -> tuple[Any, set[str]]:
    """The body as an `onnx.GraphProto`, and every name that it uses."""
    specs = [*traced.state, *traced.parts]
    names = [builder.unique(f) for f in (*fields, *(f"x_{k}" for k in range(len(traced.parts))))]
    inputs = [value_info(n, s.dtype, s.shape) for n, s in zip(names, specs, strict=True)]
    old, x = names[: len(fields)], names[len(fields) :]
    translator = Translator(builder, f"cell {cell.name!r}")
    new = [translator.name(v) for v in translator.run(traced.step, [*old, *x])]
    y = new[fields.index("h")]
    if masked:
        keep = builder.unique("happens")
        inputs.insert(len(fields), value_info(keep, bool, traced.state[0].shape[:1]))
        new, y = hold(builder, keep, new, old, fields.index("h"), traced.state)
    ends = [builder.call(v, builder.unique(f"next_{f}")) for f, v in zip(fields, new, strict=True)]
    ends.append(builder.call(y, builder.unique("y")))
    shapes = [*traced.state, traced.state[fields.index("h")]]
    outputs = [value_info(n, s.dtype, s.shape) for n, s in zip(ends, shapes, strict=True)]
    return builder.proto(f"step of {cell.name}", inputs, outputs, constants=False)


def hold(
    builder: Builder, keep: str, new: list[str], old: list[str], h: int, specs: list[Spec]
) -> tuple[list[str], str]:
    """The old state, and an output of zeros, in rows where the step does not happen."""
    columns = [rows(builder, keep, 1, len(spec.shape)) for spec in specs]
    new = [builder.add("Where", *v) for v in zip(columns, new, old, strict=True)]
    zero = builder.constant(np.zeros((), specs[h].dtype))
    return new, builder.add("Where", columns[h], new[h], zero)


def rows(builder: Builder, mask: str, rank: int, wanted: int) -> str:
    """A mask with axes appended, to broadcast against an array of the wanted rank."""
    if rank == wanted:
        return mask
    return builder.add("Unsqueeze", mask, builder.integers(*range(rank, wanted)))


def silence(builder: Builder, sequence: Sequence, values: str, rank: int) -> str:
    """Zero where a step does not happen."""
    if sequence.mask is None:
        return values
    zero = builder.constant(np.float32(0))
    return builder.add("Where", rows(builder, sequence.mask, 2, rank), values, zero)


def spread(builder: Builder, row: np.ndarray, batch: Any) -> str:
    """A fresh state [1, ...] for a batch."""
    return builder.add("Expand", builder.constant(row), builder.shape([batch, *row.shape[1:]]))
