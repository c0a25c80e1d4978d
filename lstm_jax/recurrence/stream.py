"""One step at a time: a trained network as it serves, text, sound or measurements coming in."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Params, State


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """A network with its parameters, one step at a time; see `stream`."""

    network: Network
    params: Params

    def initial_state(self, batch_size: int = 1) -> Array:
        """The packed fresh state [B, S]."""
        return self.pack(self.network.initial_state(batch_size))

    @cached_property
    def step(self) -> Any:
        """`(state [B, S], x [B, D]) -> (state [B, S], y [B, output_size])`, compiled."""

        def step(state: Array, x: Array) -> tuple[Array, Array]:
            new, y = self.network.step(self.params, self.unpack(state), x)
            return self.pack(new), y

        return jax.jit(step)

    def pack(self, state: State) -> Array:
        """All fields of a state side by side: [B, S]."""
        fields = jax.tree.leaves(state)
        dtype = jnp.result_type(*fields)
        rows = [field.reshape(field.shape[0], -1).astype(dtype) for field in fields]
        return jnp.concatenate(rows, axis=-1)

    def unpack(self, packed: Array) -> State:
        """The inverse of `pack`: the state with its fields by name, each of its own dtype."""
        like = jax.eval_shape(lambda: self.network.initial_state(1))
        fields, treedef = jax.tree.flatten(like)
        fresh, start = [], 0
        for field in fields:
            width = math.prod(field.shape[1:])
            own = packed[:, start : start + width].astype(field.dtype)
            fresh.append(own.reshape(packed.shape[0], *field.shape[1:]))
            start += width
        return jax.tree.unflatten(treedef, fresh)


def stream(network: Network, params: Params) -> Stream:
    """A network that is fed step by step, with as little as may be between two steps.

        state, y = step(state, x)

    The state travels as one array, and the parameters are part of the compiled step: handing over
    many small arrays costs as much as a small network's arithmetic.

    Args:
      network: a cell or a stack of cells.
      params: as `network.init` returns them.

    Returns:
      A `Stream`: `initial_state(batch_size)` is the packed fresh state [B, S]; `step(state, x)`
      takes it and x [B, D] to the next one and the output [B, output_size]; `unpack(state)` has
      the fields by name, `pack` makes one of a state that `unroll` returned.

    Raises:
      ValueError: when a step of a bidirectional network is taken, which needs whole sequences.

    Example:
      serving = lj.stream(cell, params)
      state = serving.initial_state()
      state, y = serving.step(state, jnp.ones((1, 32)))
    """
    return Stream(network, params)
