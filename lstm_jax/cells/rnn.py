"""The plain recurrent network that the gated ones improve on."""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple, Unpack

import jax
from chex import Array

from lstm_jax.cells.build import RNNOptions, build, resolve
from lstm_jax.cells.functions import Activation, tanh
from lstm_jax.cells.initializers import Gating
from lstm_jax.types import Affine, Cell, Gates, RNNState, zeros

ACTIVATIONS: dict[str, Activation] = {"tanh": tanh, "relu": jax.nn.relu}


class RNNParams(NamedTuple):
    """kernel [D, H], recurrent_kernel [H, H], bias [H]."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None


def equations(
    params: RNNParams, state: RNNState, x: Array, affine: Affine, activation: str
) -> tuple[RNNState, Gates]:
    h = ACTIVATIONS[activation](affine(x, state.h, params.recurrent_kernel))
    return RNNState(h), {}


def rnn(
    hidden_size: int,
    *,
    activation: Literal["tanh", "relu"] = "tanh",
    **options: Unpack[RNNOptions],
) -> Cell:
    """Simple recurrent network.

        h' = φ(xW + hU + b)

    Args:
      hidden_size: H.
      activation: φ, "tanh" or "relu".
      **options: see `RNNOptions`.

    Returns:
      A cell with state `RNNState` (h [B, H]) and parameters `RNNParams`.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.rnn(64, activation="relu")

    Source: Elman 1990, "Finding structure in time", Cognitive Science 14.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"rnn: activation is {activation!r}; give 'tanh' or 'relu'")
    resolved = resolve("rnn", hidden_size, RNNOptions, options)
    return build(
        "rnn",
        Gating("h"),
        partial(equations, activation=activation),
        RNNParams,
        lambda batch, dtype: RNNState(zeros(batch, hidden_size, dtype)),
        hidden_size,
        resolved | {"activation": activation},
        recurrent_size=hidden_size,
    )
