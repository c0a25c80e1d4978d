"""Which cells ONNX's own operators are, and their weights in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.interop.blocks import join, reorder, split
from lstm_jax.interop.layers import inner, without_heads
from lstm_jax.interop.onnx.graph import Builder
from lstm_jax.types import Cell, Params


class Native(NamedTuple):
    """An operator with one direction of its weights."""

    operator: str
    hidden_size: int
    attributes: dict[str, Any]
    w: np.ndarray  # [G·H, D]
    r: np.ndarray  # [G·H, H]
    b: np.ndarray | None  # [2·G·H], of the inputs and of the recurrence
    p: np.ndarray | None  # [3·H]

    def pairs_with(self, other: Native) -> bool:
        """Whether the two can be the directions of one node."""
        same = self[:3] == other[:3]
        return same and all((x is None) == (y is None) for x, y in zip(self, other, strict=True))


def native(cell: Cell, params: Params) -> Native | None:
    """The operator that a cell is, or None where ONNX has none."""
    recipe = inner(cell).recipe
    if recipe is None or recipe.constructor not in WRITERS:
        return None
    options = recipe.options
    if options.get("cell_clip") is not None or options.get("peepholes") == "full":
        return None
    dense = without_heads(cell, params)
    fields = {k: None if v is None else np.asarray(v) for k, v in dense._asdict().items()}
    return WRITERS[recipe.constructor](fields, options)


def as_rnn(fields: dict, options: Mapping) -> Native:
    activations = [options["activation"].capitalize()]
    return pack("RNN", fields, "h", "h", {"activations": activations})


def as_lstm(fields: dict, options: Mapping) -> Native:
    del options
    return pack("LSTM", fields, "ifgo", "iofg", {}, rows=(0, 2, 1))


def as_coupled_lstm(fields: dict, options: Mapping) -> Native:
    """i = 1 − σ(z_f) = σ(−z_f). The operator's f is 1 − i; its own block says the same."""
    del options
    doubled = {name: with_input_gate(v) for name, v in fields.items() if name != "peephole"}
    peephole = fields["peephole"]
    if peephole is not None:
        peephole = np.stack([-peephole[0], peephole[0], peephole[1]])
    fields = doubled | {"peephole": peephole}
    return pack("LSTM", fields, "ifgo", "iofg", {"input_forget": 1}, rows=(0, 2, 1))


def with_input_gate(v: np.ndarray | None) -> np.ndarray | None:
    """The blocks i f g o of f g o, z_i = −z_f."""
    if v is None:
        return None
    blocks = split(v, "fgo")
    return join(blocks | {"i": -blocks["f"]}, "ifgo")


def as_gru(fields: dict, options: Mapping) -> Native:
    """Where z lets the new state in, ONNX's keeps the old one."""
    del options
    return pack("GRU", fields, "rzn", "zrn", {"linear_before_reset": 0}, negate="z")


def as_gru_reset_after(fields: dict, options: Mapping) -> Native:
    del options
    return pack("GRU", fields, "rzn", "zrn", {"linear_before_reset": 1})


def pack(
    operator: str,
    fields: dict,
    names: str,
    wanted: str,
    attributes: dict,
    negate: str = "",
    rows: tuple[int, ...] = (),
) -> Native:
    """Brings weights into ONNX's order; `rows` are those of the peepholes i o f."""
    hidden_size = fields["recurrent_kernel"].shape[0]
    w, r = (reorder(fields[k], names, wanted, negate).T for k in ("kernel", "recurrent_kernel"))
    b = p = None
    if fields["bias"] is not None:
        recurrent = np.zeros_like(fields["bias"])
        if fields.get("recurrent_bias") is not None:
            recurrent[-hidden_size:] = fields["recurrent_bias"]
        b = np.concatenate([reorder(fields["bias"], names, wanted, negate), recurrent])
    if fields.get("peephole") is not None:
        p = fields["peephole"][list(rows)].reshape(-1)
    return Native(operator, hidden_size, attributes, w, r, b, p)


WRITERS: dict[str, Callable[[dict, Mapping], Native]] = {
    "rnn": as_rnn,
    "lstm": as_lstm,
    "peephole_lstm": as_lstm,
    "coupled_lstm": as_coupled_lstm,
    "gru": as_gru,
    "gru_reset_after": as_gru_reset_after,
}


def add_node(
    builder: Builder,
    directions: list[Native],
    name: str,
    direction: str,
    xs: str,
    lengths: str | None,
    states: list[dict[str, str]] | None,
) -> tuple[str, list[dict[str, str]]]:
    """Adds an operator of one direction or two.

    Args:
      builder: the graph.
      directions: the weights of each.
      name: of the node.
      direction: "forward", "reverse" or "bidirectional".
      xs: inputs [T, B, D].
      lengths: [B], or None.
      states: of each direction {"h": name, "c": name}, [B, H]; None for zeros.

    Returns:
      ys [T, B, directions·H], and the final states, as `states`.
    """
    first, count = directions[0], len(directions)
    parts = {"W": "w", "R": "r", "B": "b", "P": "p"}
    given = {
        part: builder.constant(stacked(directions, field), f"{name}_{part}")
        for part, field in parts.items()
        if getattr(first, field) is not None
    }
    fields = ["h", "c"] if first.operator == "LSTM" else ["h"]
    starts = {k: together(builder, [s[k] for s in states]) for k in fields} if states else {}
    inputs = [xs, given["W"], given["R"], given.get("B", ""), lengths or "", starts.get("h", "")]
    if first.operator == "LSTM":
        inputs += [starts.get("c", ""), given.get("P", "")]
    while not inputs[-1]:
        inputs.pop()
    attributes = dict(first.attributes, hidden_size=first.hidden_size, direction=direction)
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * count
    y, *ends = builder.add(
        first.operator, *inputs, name=name, outputs=1 + len(fields), **attributes
    )
    if lengths and states:
        ends = [
            keep_empty(builder, lengths, starts[k], v) for k, v in zip(fields, ends, strict=True)
        ]
    finals = [apart(builder, v, count) for v in ends]
    final_states = [dict(zip(fields, v, strict=True)) for v in zip(*finals, strict=True)]
    return side_by_side(builder, y, first.hidden_size, count), final_states


def stacked(directions: list[Native], field: str) -> np.ndarray:
    """One weight of all directions in float32, [directions, ...]."""
    return np.stack([getattr(d, field) for d in directions]).astype(np.float32)


def together(builder: Builder, names: list[str]) -> str:
    """[B, H] of each direction as [directions, B, H]."""
    axis = builder.integers(0)
    rows = [builder.add("Unsqueeze", name, axis) for name in names]
    return rows[0] if len(rows) == 1 else builder.add("Concat", *rows, axis=0)


def apart(builder: Builder, value: str, count: int) -> list[str]:
    """The inverse of `together`."""
    if count == 1:
        return [builder.add("Squeeze", value, builder.integers(0))]
    return [builder.add("Gather", value, builder.constant(np.int64(k)), axis=0) for k in (0, 1)]


def keep_empty(builder: Builder, lengths: str, start: str, end: str) -> str:
    """The initial state where a sequence is empty: there ONNX Runtime returns zeros."""
    empty = builder.add("Equal", lengths, builder.constant(np.int32(0)))
    return builder.add("Where", builder.add("Unsqueeze", empty, builder.integers(1)), start, end)


def side_by_side(builder: Builder, y: str, hidden_size: int, count: int) -> str:
    """Y [T, directions, B, H] as ys [T, B, directions·H]."""
    if count == 1:
        return builder.add("Squeeze", y, builder.integers(1))
    rows = builder.add("Transpose", y, perm=[0, 2, 1, 3])
    return builder.add("Reshape", rows, builder.integers(0, 0, count * hidden_size))
