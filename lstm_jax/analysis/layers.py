"""A network taken apart: each cell with what it read and what it did, as one `Layer`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from lstm_jax.recurrence.bidirectional import Bidirectional
from lstm_jax.recurrence.layer import silence
from lstm_jax.recurrence.scan import rows
from lstm_jax.recurrence.stack import Stack
from lstm_jax.recurrence.unroll import Network, gates
from lstm_jax.trees import children
from lstm_jax.types import Cell, Params, State, is_float


class Layer(NamedTuple):
    """One cell of a network at work, in its own running order.

    Attributes:
      name: "layer 2, backward"; the cell's name where the network is a single cell.
      cell: the cell.
      params: its parameters.
      xs: what it read [T, B, D]; of a backward layer, the last valid step comes first.
      initial_state: the state before the first step.
      mask: [T, B] bool, which steps happened.
      record: every gate and every field of the state over time, [T, B, ...] each, by name, as
        `lstm_jax.gates` has them.
    """

    name: str
    cell: Cell
    params: Params
    xs: Array
    initial_state: State
    mask: Array
    record: dict[str, Array]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the state."""
        return self.initial_state._fields

    @property
    def memory(self) -> str:
        """The field that carries what is remembered: c where there is one, else h."""
        return "c" if "c" in self.fields else "h"

    def states_before(self) -> State:
        """The state that each step started from, leaves [T, B, ...]."""
        after = type(self.initial_state)(*(self.record[name] for name in self.fields))
        return jax.tree.map(
            lambda first, later: jnp.concatenate([first[None], later])[:-1],
            self.initial_state,
            after,
        )


def layers(
    network: Network,
    params: Params,
    xs: Array,
    initial_state: State | None = None,
    lengths: Array | None = None,
) -> tuple[Layer, ...]:
    """Runs a network and takes it apart.

    Args:
      network: a cell, a stack or a bidirectional network.
      params: as `network.init` returns them.
      xs: inputs [T, B, D].
      initial_state: as `network.initial_state` returns it, which is the default.
      lengths: [B] integers, the valid steps of each sequence.

    Returns:
      Its cells from the input up, forward before backward.

    Raises:
      TypeError, ValueError: as `lstm_jax.unroll`.

    Example:
      deep = lj.stack(lj.lstm(16), lj.gru(16))
      params = deep.init(jax.random.key(0), 8)
      for layer in analysis.layers(deep, params, jax.random.normal(jax.random.key(1), (50, 4, 8))):
          print(layer.name, layer.record["h"].shape)
    """
    xs = jnp.asarray(xs)
    state = network.initial_state(xs.shape[1]) if initial_state is None else initial_state
    if lengths is None:
        lengths = jnp.full(xs.shape[1], xs.shape[0])
    return tuple(_walk(network, params, xs, state, jnp.asarray(lengths), ())[0])


def each(network: Network, *trees: Any, path: tuple[str, ...] = ()) -> Iterator[tuple]:
    """Yields (name, cell, *parts) for each cell, in the order of `layers`.

    Args:
      network: a cell, a stack or a bidirectional network.
      *trees: nested as the network's parameters are; a cell gets its part of each.
      path: where in a larger network this one is.
    """
    if isinstance(network, Cell):
        yield _name(network, path), network, *trees
        return
    for k, (step, part) in enumerate(_named(network)):
        yield from each(part, *(tree[k] for tree in trees), path=(*path, step))


def map_cells(network: Network, function: Callable, *trees: Any) -> Any:
    """What `function(cell, *parts)` returns for each cell, in tuples nested as the network is."""
    if isinstance(network, Cell):
        return function(network, *trees)
    return tuple(
        map_cells(part, function, *(tree[k] for tree in trees))
        for k, part in enumerate(children(network).values())
    )


def rebuild(network: Network, function: Callable[[Cell], Cell]) -> Network:
    """The network with other cells in the places of its own."""
    if isinstance(network, Cell):
        return function(network)
    if isinstance(network, Stack):
        own = tuple(rebuild(layer, function) for layer in network.layers)
        return dataclasses.replace(network, layers=own)
    return Bidirectional(rebuild(network.forward, function), rebuild(network.backward, function))


def _named(network: Network) -> list[tuple[str, Network]]:
    """The parts of a network with what each is called: layers by their number, from 1."""
    parts = children(network)
    if isinstance(network, Stack):
        return [(f"layer {k}", layer) for k, layer in enumerate(parts.values(), start=1)]
    return [*parts.items()]


def _name(cell: Cell, path: tuple[str, ...]) -> str:
    return ", ".join(path) or cell.name


def _walk(
    network: Network, params: Params, xs: Array, state: State, lengths: Array, path: tuple
) -> tuple[list[Layer], Array]:
    """The layers of a network, and its outputs."""
    if isinstance(network, Cell):
        mask = jnp.arange(xs.shape[0])[:, None] < lengths[None]
        record = gates(network, params, xs, state, lengths)
        own = Layer(_name(network, path), network, params, xs, state, mask, record)
        return [own], silence(mask, record["h"])
    if isinstance(network, Stack):
        found: list[Layer] = []
        for k, (step, part) in enumerate(_named(network)):
            inside, ys = _walk(part, params[k], xs, state[k], lengths, (*path, step))
            found += inside
            xs = network.skip(xs, ys)
        return found, xs
    forward = _walk(network.forward, params[0], xs, state[0], lengths, (*path, "forward"))
    turned = turn(xs, lengths)
    backward = _walk(network.backward, params[1], turned, state[1], lengths, (*path, "backward"))
    ys = jnp.concatenate([forward[1], turn(backward[1], lengths)], axis=-1)
    return forward[0] + backward[0], ys


def check_valid(name: str, batches: Sequence[Layer]) -> None:
    """Raises `ValueError` where no step of the batches happens."""
    if not any(np.asarray(layer.mask).any() for layer in batches):
        raise ValueError(f"{name}: there is no valid step; give batches with some")


def check_floating(cell: Cell, state: State) -> None:
    """Raises `TypeError` for a state with a field that has no gradient."""
    for name, value in state._asdict().items():
        if not is_float(value):
            raise TypeError(
                f"the state of {cell.name} has a field {name!r} of {value.dtype}; gradients through"
                " time need floating-point states"
            )


def turn(xs: Array, lengths: Array | None = None) -> Array:
    """Reverses the valid part of each sequence [T, B, ...]; padding stays behind it."""
    if lengths is None:
        return xs[::-1]
    times, lengths = jnp.arange(xs.shape[0])[:, None], jnp.asarray(lengths)[None]
    order = jnp.where(times < lengths, lengths - 1 - times, times)
    return jnp.take_along_axis(xs, rows(order, xs), axis=0)
