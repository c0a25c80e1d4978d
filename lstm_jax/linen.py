"""Flax Linen modules over the functional core, with the same parameter fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey
from flax import linen as nn
from flax.traverse_util import flatten_dict

from lstm_jax.recurrence.unroll import Network, unroll
from lstm_jax.trees import from_dict, to_dict
from lstm_jax.types import Cell, State


class Recurrent(nn.Module):
    """A cell, a stack or a bidirectional network over sequences.

    Its parameters are those of the core, as nested dicts under "network" (see
    `lstm_jax.trees.to_dict`).

    Attributes:
      cell: what to run.
      time_major: inputs and outputs are [T, B, D] rather than [B, T, D].
      method: as in `lstm_jax.unroll`.
      remat: as in `lstm_jax.unroll`.

    Example:
      layer = Recurrent(lj.stack(lj.lstm(128), lj.lstm(128), dropout=0.2))
      variables = layer.init(jax.random.key(0), xs)                       # xs [B, T, D]
      state, ys = layer.apply(variables, xs, lengths=lengths)             # ys [B, T, 128]
      state, ys = layer.apply(variables, xs, deterministic=False, rngs={"dropout": key})
    """

    cell: Network
    time_major: bool = False
    method: str = "auto"
    remat: int | None = None

    @nn.compact
    def __call__(
        self,
        xs: Array,
        initial_state: State | None = None,
        lengths: Array | None = None,
        mask: Array | None = None,
        resets: Array | None = None,
        reverse: bool = False,
        deterministic: bool = True,
    ) -> tuple[State, Array]:
        """Runs the network.

        Args: as those of `lstm_jax.unroll`, but batch-major, mask and resets [B, T] as well,
          unless `time_major`. With `deterministic=False`, the rng collection "dropout" turns
          dropout and zoneout on.

        Returns:
          The final state and the outputs [B, T, output_size].
        """
        params = declare(self, self.cell, xs.shape[-1])
        turn = (lambda v: v) if self.time_major else swap
        state, ys = unroll(
            self.cell,
            params,
            turn(xs),
            initial_state,
            lengths,
            turn(mask),
            turn(resets),
            reverse,
            None if deterministic else self.make_rng("dropout"),
            self.remat,
            self.method,
        )
        return state, turn(ys)

    @nn.compact
    def step(self, state: State, x: Array) -> tuple[State, Array]:
        """One step, for decoding: x [B, D] -> (state, y [B, output_size])."""
        return self.cell.step(declare(self, self.cell, x.shape[-1]), state, x)


class RNNCell(nn.RNNCellBase):
    """A cell of the core as a cell of Flax's own `nn.RNN` and `nn.Bidirectional`.

    Attributes:
      cell: a cell of the core.

    Example:
      layer = nn.RNN(RNNCell(lj.peephole_lstm(128)))
    """

    cell: Cell

    @nn.compact
    def __call__(self, carry: State, inputs: Array) -> tuple[State, Array]:
        """One step: carry (a core state), inputs [..., D] -> (carry, output [..., output_size])."""
        return self.cell.step(declare(self, self.cell, inputs.shape[-1]), carry, inputs)

    @nn.nowrap
    def initialize_carry(self, rng: PRNGKey, input_shape: tuple[int, ...]) -> State:
        """The fresh state for inputs of shape [B, D]."""
        del rng
        return self.cell.initial_state(*input_shape[: -self.num_feature_axes])

    @property
    def num_feature_axes(self) -> int:
        """All axes of an input but the first, the batch."""
        return jax.eval_shape(lambda: self.cell.initial_state(1)).h.ndim - 1


def declare(module: nn.Module, network: Network, input_size: int) -> Any:
    """Declares the network's parameters on the module, and returns them in the core's form.

    Those that are there already may be of other types than arrays, such as quantized kernels.
    """
    if not module.has_variable("params", "network"):
        tree = module.param("network", lambda key: to_dict(network, network.init(key, input_size)))
        return from_dict(network, tree)
    tree = module.get_variable("params", "network")
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), input_size))
    check_shapes(tree, to_dict(network, shapes))
    return from_dict(network, tree)


def check_shapes(tree: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises `ValueError` naming each array of a nested dict whose shape is not the wanted one."""
    given, shapes = flatten_dict(dict(tree), sep="."), flatten_dict(dict(wanted), sep=".")
    faults = [
        f"{name} has shape {list(v.shape)}, {list(shapes[name].shape)} is wanted"
        for name, v in given.items()
        if name in shapes and v.shape != shapes[name].shape
    ]
    if faults:
        raise ValueError(f"the parameters do not fit the network; {'; '.join(faults)}")


def swap(v: Array | None) -> Array | None:
    """Exchanges the batch and the time axis."""
    return None if v is None else jnp.swapaxes(v, 0, 1)
