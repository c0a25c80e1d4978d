"""`to_onnx`: a network as an ONNX model, in ONNX's own recurrent operators where it has them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.export import symbolic_shape

from lstm_jax.interop.layers import inner
from lstm_jax.interop.onnx.graph import Builder, value_info
from lstm_jax.interop.onnx.native import add_node, native
from lstm_jax.interop.onnx.scan import Sequence, add_scan, fresh_state, silence
from lstm_jax.recurrence.bidirectional import Bidirectional
from lstm_jax.recurrence.checks import lowest
from lstm_jax.recurrence.stack import Stack
from lstm_jax.types import Cell, Params

OPSET = 18  # the oldest whose operators are those written here


class Leaf(NamedTuple):
    """A cell somewhere in a network: the words that lead there, and its fresh state's arrays."""

    path: tuple[str, ...]
    state: dict[str, np.ndarray]

    def names(self, prefix: str) -> dict[str, str]:
        """How each field is called in the graph."""
        return {field: "_".join((prefix, *self.path, field)) for field in self.state}


class Writer:
    """Walks over a network, adding to a graph."""

    def __init__(self, builder: Builder, states: dict[tuple[str, ...], dict[str, str]]) -> None:
        self.builder = builder
        self.starts = states
        self.ends: dict[tuple[str, ...], dict[str, str]] = {}

    def layer(
        self, network: Any, params: Params, sequence: Sequence, path: tuple[str, ...], reverse: bool
    ) -> str:
        """The outputs of any network over a sequence."""
        if isinstance(network, Stack):
            return self.stack(network, params, sequence, path, reverse)
        if isinstance(network, Bidirectional):
            return self.pair(network, params, sequence, path, reverse)
        found = native(network, params)
        name = "_".join((*path, inner(network).name))
        if found is None:
            state = self.starts.get(path)
            cell = inner(network)
            ys, end = add_scan(self.builder, cell, params, name, sequence, state, reverse)
            self.ends[path] = end
            return ys
        direction = "reverse" if reverse else "forward"
        return self.node([found], name, direction, sequence, [path])

    def node(
        self, directions: list, name: str, direction: str, sequence: Sequence, paths: list
    ) -> str:
        """One of ONNX's recurrent operators."""
        states = [self.starts[path] for path in paths] if self.starts else None
        ys, ends = add_node(
            self.builder, directions, name, direction, sequence.xs, sequence.lengths, states
        )
        self.ends.update(zip(paths, ends, strict=True))
        return ys

    def stack(
        self, network: Stack, params: tuple, sequence: Sequence, path: tuple, reverse: bool
    ) -> str:
        """Layer above layer."""
        if network.residual:
            xs = silence(self.builder, sequence, sequence.xs, len(sequence.sizes))
            sequence = sequence._replace(xs=xs)
        for k, (layer, p) in enumerate(zip(network.layers, params, strict=True)):
            ys = self.layer(layer, p, sequence, (*path, str(k)), reverse)
            sizes = (*sequence.sizes[:-1], layer.output_size)
            if network.residual and sizes == sequence.sizes:
                ys = self.builder.add("Add", sequence.xs, ys)
            sequence = sequence._replace(xs=ys, sizes=sizes)
        return sequence.xs

    def pair(
        self, network: Bidirectional, params: tuple, sequence: Sequence, path: tuple, reverse: bool
    ) -> str:
        """Two directions: one node where an operator has both."""
        if reverse:
            raise ValueError(
                f"network has {network.name} inside the backward half of a bidirectional pair; a "
                "pair runs both ways already"
            )
        halves = [network.forward, network.backward]
        paths = [(*path, "forward"), (*path, "backward")]
        cells = all(isinstance(half, Cell) for half in halves)
        ahead, back = map(native, halves, params) if cells else (None, None)
        if ahead is not None and back is not None and ahead.pairs_with(back):
            name = "_".join((*path, "bidirectional", inner(halves[0]).name))
            return self.node([ahead, back], name, "bidirectional", sequence, paths)
        ys = [
            self.layer(half, p, sequence, where, backwards)
            for half, p, where, backwards in zip(halves, params, paths, (False, True), strict=True)
        ]
        return self.builder.add("Concat", *ys, axis=-1)


def leaves(network: Any, path: tuple[str, ...] = ()) -> list[Leaf]:
    """The cells of a network, in the order of its states."""
    if isinstance(network, Stack):
        return [x for k, part in enumerate(network.layers) for x in leaves(part, (*path, str(k)))]
    if isinstance(network, Bidirectional):
        return [*leaves(network.forward, (*path, "forward")),
                *leaves(network.backward, (*path, "backward"))]  # fmt: skip
    return [Leaf(path, fresh_state(network)._asdict())]


def to_onnx(
    network: Any,
    params: Params,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    lengths: bool = False,
    initial_state: bool = False,
    time_major: bool = True,
    opset: int = OPSET,
) -> Any:
    """Writes a cell, a stack or a bidirectional network as an ONNX model, in float32.

    `rnn`, `lstm` and `peephole_lstm` (diagonal), `coupled_lstm`, `gru` and `gru_reset_after`
    become ONNX's operators RNN, LSTM and GRU; every other cell, one of your own too, a Scan over
    its equations. An operator gets a cell's heads as one matrix with zeros between them. Dropout is
    off, as in `unroll` without a key; zoneout mixes states.

    Args:
      network: what to write.
      params: as `network.init` returns them.
      batch_size: B where it is fixed; by default it is open.
      steps: T where it is fixed; by default it is open.
      lengths: add an input `lengths` [B] of int32: the valid steps of each sequence. Past them the
        outputs are zero, and the final state is that of the last valid step.
      initial_state: add inputs for the initial state; zeros by default.
      time_major: `xs` are [T, B, D] and `ys` [T, B, output_size]; [B, T, ...] if not.
      opset: the version of ONNX's operators, 18 or later.

    Returns:
      A checked `onnx.ModelProto`: the inputs `xs`, then `lengths` and `initial_h`, `initial_c`, …
      where asked for; the outputs `ys`, `final_h`, `final_c`, …, in the order of the state's
      arrays. In networks the names say where: `final_0_h` is of a stack's lowest layer,
      `final_1_backward_c` of a bidirectional pair above it.

    Raises:
      TypeError, ValueError: an argument that is no network, parameters of another network, sizes
        out of range, or a cell whose equations ONNX cannot say (the message names the primitive).

    Example:
      model = to_onnx(lj.bidirectional(lj.lstm(64), lj.lstm(64)), both_params, lengths=True)
      onnx.save(model, "model.onnx")

    Source: ONNX operator specification, RNN, LSTM, GRU (opset 14; 22 added bfloat16) and Scan.
    """
    check_options(network, opset, batch_size=batch_size, steps=steps)
    features = check_params(network, params)
    cells = leaves(network)
    space = lowest(network.initial_state(1)).h.shape[1:-1]
    sizes = (*open_sizes(steps, batch_size), *space, features)
    builder = Builder()
    inputs = declare_inputs(builder, sizes, cells, lengths, initial_state, time_major)
    sequence = begin(builder, sizes, lengths, time_major, cells)
    states = {leaf.path: leaf.names("initial") for leaf in cells} if initial_state else {}
    writer = Writer(builder, states)
    ys = writer.layer(network, params, sequence, (), False)
    outputs = declare_outputs(builder, writer, cells, sizes, network.output_size, ys, time_major)
    graph, _ = builder.proto(network.name, inputs, outputs, constants=True)
    return finish(graph, opset)


def check_options(network: Any, opset: int, **sizes: int | None) -> None:
    """Raises unless the arguments of `to_onnx` are of the right kind and in range."""
    from onnx import defs

    if not isinstance(network, Cell | Stack | Bidirectional):
        raise TypeError(
            f"network is a {type(network).__name__}; give a cell, an lj.stack or an "
            "lj.bidirectional"
        )
    for name, size in sizes.items():
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(
                f"{name} is {size!r}; give a positive integer, or None to leave it open"
            )
    if not OPSET <= opset <= defs.onnx_opset_version():
        raise ValueError(f"opset is {opset}; give {OPSET} to {defs.onnx_opset_version()}")


def check_params(network: Any, params: Params) -> int:
    """The input size that parameters are for; raises where they are of another network."""
    kernel = getattr(lowest(params), "kernel", None)
    if kernel is None:
        raise ValueError(
            f"params of {network.name} have no field `kernel`, which says how wide the input is; "
            "name the input kernel so"
        )
    features = kernel.shape[-2]
    wanted = jax.eval_shape(lambda: network.init(jax.random.key(0), features))
    given_tree: Any = jax.tree.structure(params)
    wanted_tree: Any = jax.tree.structure(wanted)
    if given_tree != wanted_tree:
        raise ValueError(f"params have structure {given_tree}; {network.name} takes {wanted_tree}")
    for (path, leaf), given in zip(
        jax.tree_util.tree_leaves_with_path(wanted), jax.tree.leaves(params), strict=True
    ):
        if np.shape(given) != leaf.shape:
            raise ValueError(
                f"params{jax.tree_util.keystr(path)} has shape {np.shape(given)}; {network.name} "
                f"takes {leaf.shape}"
            )
    return features


def open_sizes(steps: int | None, batch_size: int | None) -> tuple[Any, Any]:
    """T and B: integers, or JAX symbols."""
    time, batch = symbolic_shape("time, batch")
    return time if steps is None else steps, batch if batch_size is None else batch_size


def swapped(sizes: tuple[Any, ...], time_major: bool) -> tuple[Any, ...]:
    """A shape [T, B, ...] as the graph's inputs and outputs have it."""
    return sizes if time_major else (sizes[1], sizes[0], *sizes[2:])


def swap(builder: Builder, value: str, rank: int, time_major: bool) -> str:
    """Time and batch change places, unless time is first outside, too."""
    perm = [1, 0, *range(2, rank)]
    return value if time_major else builder.add("Transpose", value, perm=perm)


def declare_inputs(
    builder: Builder, sizes: tuple, cells: list[Leaf], lengths: bool, states: bool, time_major: bool
) -> list:
    """The inputs of the graph."""
    batch = sizes[1]
    made = [value_info("xs", np.float32, swapped(sizes, time_major))]
    if lengths:
        made.append(value_info("lengths", np.int32, [batch]))
    for leaf in cells if states else ():
        for field, name in leaf.names("initial").items():
            array = leaf.state[field]
            made.append(value_info(name, array.dtype, [batch, *array.shape[1:]]))
    builder.names.update(value.name for value in made)
    return made


def begin(
    builder: Builder, sizes: tuple, lengths: bool, time_major: bool, cells: list[Leaf]
) -> Sequence:
    """What the lowest layer is given; the names of outputs are set aside."""
    builder.names.update(["ys", *(n for x in cells for n in x.names("final").values())])
    for axis, symbol in enumerate(("time", "batch")):
        place = axis if time_major else 1 - axis
        builder.dimensions[symbol] = builder.add("Shape", "xs", start=place, end=place + 1)
    xs = swap(builder, "xs", len(sizes), time_major)
    if not lengths:
        return Sequence(xs, sizes, None, None)
    return Sequence(xs, sizes, "lengths", step_mask(builder, sizes[0]))


def step_mask(builder: Builder, steps: Any) -> str:
    """[T, B], true at the steps before a sequence's length."""
    from onnx import TensorProto

    count = builder.add("Squeeze", builder.dimension(steps), builder.integers(0))
    count = builder.add("Cast", count, to=TensorProto.INT32)
    zero, one = builder.constant(np.int32(0)), builder.constant(np.int32(1))
    times = builder.add("Unsqueeze", builder.add("Range", zero, count, one), builder.integers(1))
    return builder.add("Less", times, builder.add("Unsqueeze", "lengths", builder.integers(0)))


def declare_outputs(
    builder: Builder,
    writer: Writer,
    cells: list[Leaf],
    sizes: tuple,
    width: int,
    ys: str,
    time_major: bool,
) -> list:
    """The outputs of the graph."""
    sizes = (*sizes[:-1], width)
    builder.call(swap(builder, ys, len(sizes), time_major), "ys")
    made = [value_info("ys", np.float32, swapped(sizes, time_major))]
    for leaf in cells:
        for field, name in leaf.names("final").items():
            builder.call(writer.ends[leaf.path][field], name)
            array = leaf.state[field]
            made.append(value_info(name, array.dtype, [sizes[1], *array.shape[1:]]))
    return made


def finish(graph: Any, opset: int) -> Any:
    """A checked model with the graph."""
    import onnx
    from onnx import helper

    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        graph,
        producer_name="lstm_jax",
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
    )
    onnx.checker.check_model(model, full_check=True)
    return model
