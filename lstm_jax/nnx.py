"""Flax NNX modules over the functional core, with the same parameter fields."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from chex import Array
from flax import nnx

from lstm_jax.recurrence.unroll import Network, unroll
from lstm_jax.trees import children, from_dict, to_dict
from lstm_jax.types import Cell, Params, State


class Parameters(nnx.Module):
    """The parameters of a network: an `nnx.Param` a field, a module a layer."""

    def __init__(self, network: Network, params: Params):
        tree = to_dict(network, params)
        layers = children(network)
        for k, (name, value) in enumerate(tree.items()):
            part = Parameters(layers[name], params[k]) if layers else nnx.Param(value)
            setattr(self, name, part)

    def to_core(self, network: Network) -> Params:
        """The parameters in the form of the core."""
        return from_dict(network, plain(self, network))


def plain(parameters: Any, network: Network) -> dict[str, Any]:
    """Nested dicts of arrays."""
    layers = children(network)
    if layers:
        return {name: plain(getattr(parameters, name), layer) for name, layer in layers.items()}
    fields = nnx.state(parameters, nnx.Param)
    return {name: getattr(parameters, name)[...] for name in fields}


class Recurrent(nnx.Module):
    """A cell, a stack or a bidirectional network over sequences.

    Args:
      cell: what to run.
      input_size: D.
      rngs: its "params" stream draws the initial parameters.
      time_major: inputs and outputs are [T, B, D] rather than [B, T, D].
      method: as in `lstm_jax.unroll`.
      remat: as in `lstm_jax.unroll`.

    Example:
      layer = Recurrent(lj.stack(lj.lstm(128), lj.lstm(128), dropout=0.2), 32, rngs=nnx.Rngs(0))
      state, ys = layer(xs, lengths=lengths)                              # xs [B, T, 32]
      state, ys = layer(xs, rngs=nnx.Rngs(dropout=1))                     # with dropout
    """

    def __init__(
        self,
        cell: Network,
        input_size: int,
        *,
        rngs: nnx.Rngs,
        time_major: bool = False,
        method: str = "auto",
        remat: int | None = None,
    ):
        self.cell = cell
        self.time_major = time_major
        self.method = method
        self.remat = remat
        self.network = Parameters(cell, cell.init(rngs.params(), input_size))

    def __call__(
        self,
        xs: Array,
        initial_state: State | None = None,
        lengths: Array | None = None,
        mask: Array | None = None,
        resets: Array | None = None,
        reverse: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> tuple[State, Array]:
        """Runs the network.

        Args: as those of `lstm_jax.unroll`, but batch-major, mask and resets [B, T] as well,
          unless `time_major`. The "dropout" stream of `rngs` turns dropout and zoneout on.

        Returns:
          The final state and the outputs [B, T, output_size].
        """
        turn = (lambda v: v) if self.time_major else swap
        state, ys = unroll(
            self.cell,
            self.network.to_core(self.cell),
            turn(xs),
            initial_state,
            lengths,
            turn(mask),
            turn(resets),
            reverse,
            None if rngs is None else rngs.dropout(),
            self.remat,
            self.method,
        )
        return state, turn(ys)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        """One step, for decoding: x [B, D] -> (state, y [B, output_size])."""
        return self.cell.step(self.network.to_core(self.cell), state, x)


class RNNCell(nnx.RNNCellBase):
    """A cell of the core as a cell of Flax's own `nnx.RNN` and `nnx.Bidirectional`.

    Args:
      cell: a cell of the core.
      input_size: D.
      rngs: its "params" stream draws the initial parameters.

    Example:
      layer = nnx.RNN(RNNCell(lj.peephole_lstm(128), 32, rngs=nnx.Rngs(0)))
    """

    def __init__(self, cell: Cell, input_size: int, *, rngs: nnx.Rngs):
        self.cell = cell
        self.network = Parameters(cell, cell.init(rngs.params(), input_size))

    def __call__(self, carry: State, inputs: Array) -> tuple[State, Array]:
        """One step: carry (a core state), inputs [B, D] -> (carry, output [B, output_size])."""
        return self.cell.step(self.network.to_core(self.cell), carry, inputs)

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> State:
        """The fresh state for inputs of shape [B, D]."""
        del rngs, carry_init
        return self.cell.initial_state(*input_shape[: -self.num_feature_axes])

    @property
    def num_feature_axes(self) -> int:
        """All axes of an input but the first, the batch."""
        return jax.eval_shape(lambda: self.cell.initial_state(1)).h.ndim - 1


def swap(v: Array | None) -> Array | None:
    """Exchanges the batch and the time axis."""
    return None if v is None else jnp.swapaxes(v, 0, 1)
