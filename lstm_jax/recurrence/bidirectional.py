"""Two cells over the same sequence, one forwards, one backwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.recurrence.layer import Run


@dataclasses.dataclass(frozen=True)
class Bidirectional:
    """A pair of layers; see `bidirectional`."""

    forward: Any
    backward: Any

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"bidirectional {self.forward.name}, {self.backward.name}"

    @property
    def output_size(self) -> int:
        """The width of both outputs side by side."""
        return self.forward.output_size + self.backward.output_size

    def init(self, key: PRNGKey, input_size: int) -> tuple:
        """Parameters, a pair."""
        k_forward, k_backward = jax.random.split(key)
        return self.forward.init(k_forward, input_size), self.backward.init(k_backward, input_size)

    def initial_state(self, batch_size: int) -> tuple:
        """Fresh states, a pair."""
        return self.forward.initial_state(batch_size), self.backward.initial_state(batch_size)

    def step(self, params: tuple, state: tuple, x: Array) -> tuple[tuple, Array]:
        """Refuses: the backward layer starts at the end."""
        raise ValueError(
            f"{self.name}: a bidirectional network needs the whole sequence; use unroll, not step"
        )

    def run(
        self, recurse: Callable, params: tuple, xs: Array, state: tuple, run: Run
    ) -> tuple[tuple, Array, tuple]:
        """Runs both layers, and joins their outputs."""
        if run.reverse:
            raise ValueError(
                "reverse is True, but a bidirectional network runs both ways; give reverse=False"
            )
        keys = (None, None) if run.key is None else jax.random.split(run.key)
        ahead = run._replace(key=keys[0])
        back = run._replace(key=keys[1], reverse=True, resets=next_starts(run.resets, run.mask))
        s_forward, y_forward, r_forward = recurse(self.forward, params[0], xs, state[0], ahead)
        s_backward, y_backward, r_backward = recurse(self.backward, params[1], xs, state[1], back)
        ys = jnp.concatenate([y_forward, y_backward], axis=-1)
        return (s_forward, s_backward), ys, (r_forward, r_backward)


def next_starts(resets: Array | None, mask: Array | None) -> Array | None:
    """Where the next step that happens starts a segment: there the backward layer resets."""
    if resets is None:
        return None
    length = resets.shape[0]
    times = jnp.arange(length)[:, None]
    happens = jnp.ones_like(resets) if mask is None else mask
    following = jax.lax.cummin(jnp.where(happens, times, length), axis=0, reverse=True)
    following = jnp.concatenate([following[1:], jnp.full_like(following[:1], length)])
    padded = jnp.concatenate([resets, jnp.zeros_like(resets[:1])])
    return jnp.take_along_axis(padded, following, axis=0)


def bidirectional(forward: Any, backward: Any) -> Bidirectional:
    """Bidirectional recurrent network.

        y_t = [forward(x_1 … x_t), backward(x_n … x_t)]   for a sequence of n valid steps

    Args:
      forward: the layer that runs from the first step to the last.
      backward: the layer that runs from the last valid step to the first.

    Returns:
      A network that `unroll`, `gates`, `stack` and the Flax layers take as they take a cell.
      Parameters and states are pairs; outputs [T, B, both widths together]. `resets` mark the
      starts of segments in input order, for both directions.

    Example:
      both = lj.bidirectional(lj.lstm(64), lj.lstm(64))

    Source: Schuster & Paliwal 1997, IEEE Transactions on Signal Processing 45(11);
    Graves & Schmidhuber 2005, Neural Networks 18.
    """
    return Bidirectional(forward, backward)
