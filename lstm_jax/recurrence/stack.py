"""Deep networks: each layer reads the outputs of the one below."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from chex import Array, PRNGKey

from lstm_jax.cells.noise import drop
from lstm_jax.recurrence.layer import Run, silence


@dataclasses.dataclass(frozen=True)
class Stack:
    """Layers above one another; see `stack`."""

    layers: tuple
    dropout: float = 0.0
    residual: bool = False

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"stack of {', '.join(layer.name for layer in self.layers)}"

    @property
    def output_size(self) -> int:
        """The width of the topmost layer's output."""
        return self.layers[-1].output_size

    def init(self, key: PRNGKey, input_size: int) -> tuple:
        """Parameters, a tuple with one entry a layer."""
        keys = jax.random.split(key, len(self.layers))
        sizes = [input_size, *(layer.output_size for layer in self.layers[:-1])]
        return tuple(
            layer.init(k, size) for layer, k, size in zip(self.layers, keys, sizes, strict=True)
        )

    def initial_state(self, batch_size: int) -> tuple:
        """Fresh states, a tuple with one entry a layer."""
        return tuple(layer.initial_state(batch_size) for layer in self.layers)

    def step(self, params: tuple, state: tuple, x: Array) -> tuple[tuple, Array]:
        """One step of every layer: x [B, D] -> (state, y [B, output_size])."""
        states = []
        for layer, p, s in zip(self.layers, params, state, strict=True):
            s, y = layer.step(p, s, x)
            x = self.skip(x, y)
            states.append(s)
        return tuple(states), x

    def skip(self, x: Array, y: Array) -> Array:
        """Adds a layer's input to its output, where `residual` is on and they are equally wide."""
        return x.astype(y.dtype) + y if self.residual and x.shape == y.shape else y

    def run(
        self, recurse: Callable, params: tuple, xs: Array, state: tuple, run: Run
    ) -> tuple[tuple, Array, tuple]:
        """Runs layer after layer, each over the whole sequence."""
        count = len(self.layers)
        keys = [None] * 2 * count if run.key is None else jax.random.split(run.key, 2 * count)
        states, records = [], []
        xs = silence(run.mask, xs) if self.residual else xs
        for k, (layer, p, s) in enumerate(zip(self.layers, params, state, strict=True)):
            x = drop(keys[2 * k], xs, self.dropout) if k else xs
            s, y, record = recurse(layer, p, x, s, run._replace(key=keys[2 * k + 1]))
            xs = self.skip(x, y)
            states.append(s)
            records.append(record)
        return tuple(states), xs, tuple(records)


def stack(*layers: Any, dropout: float = 0.0, residual: bool = False) -> Stack:
    """Deep recurrent network (DLSTM; with `lstmp` layers DLSTMP).

        y⁰ = x,  yˡ = layerˡ(dropout(yˡ⁻¹))  [+ yˡ⁻¹ with `residual`]

    Args:
      *layers: cells, bidirectional pairs or stacks, from the input up.
      dropout: rate of dropout between layers (Zaremba et al. 2014, arXiv:1409.2329); it is on
        when `unroll` is given a key.
      residual: add a layer's input to its output wherever the two are equally wide.

    Returns:
      A network that `unroll`, `gates` and the Flax layers take as they take a cell. Parameters and
      states are tuples with one entry a layer.

    Raises:
      ValueError: no layers, or a dropout outside [0, 1).

    Example:
      deep = lj.stack(lj.lstm(128), lj.lstm(128), dropout=0.2)
    """
    if not layers:
        raise ValueError("stack: there are no layers; give at least one cell")
    if not 0 <= dropout < 1:
        raise ValueError(f"stack: dropout is {dropout}; give a rate in [0, 1)")
    return Stack(layers, dropout, residual)
