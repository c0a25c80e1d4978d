"""Minimal cells, whose gates see the input alone, so that time can be run in parallel."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, Unpack

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.cells.build import UpdateOptions, build, resolve
from lstm_jax.cells.functions import sigmoid, split
from lstm_jax.cells.initializers import Gating
from lstm_jax.types import Affine, Cell, Gates, RNNState, zeros


class MinimalParams(NamedTuple):
    """kernel [D, G·H], bias [G·H]."""

    kernel: Array
    bias: Array | None = None


def positive(z: Array) -> Array:
    """z + ½ for z ≥ 0 and σ(z) below: the candidate of the log-space form, always positive."""
    return jnp.where(z >= 0, z + 0.5, sigmoid(z))


def min_lstm_equations(
    params: MinimalParams, state: RNNState, x: Array, affine: Affine, log_space: bool
) -> tuple[RNNState, Gates]:
    f, i, g = split(x, 3)
    ratio = jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i)  # log f̃/ĩ: f̃ + ĩ may underflow
    f, i = sigmoid(ratio), sigmoid(-ratio)
    g = positive(g) if log_space else g
    return RNNState(f * state.h + i * g), {"f": f, "i": i, "g": g}


def min_gru_equations(
    params: MinimalParams, state: RNNState, x: Array, affine: Affine, log_space: bool
) -> tuple[RNNState, Gates]:
    z, n = split(x, 2)
    z = sigmoid(z)
    n = positive(n) if log_space else n
    return RNNState((1 - z) * state.h + z * n), {"z": z, "n": n}


def min_lstm(
    hidden_size: int, *, log_space: bool = False, **options: Unpack[UpdateOptions]
) -> Cell:
    """Minimal LSTM.

        z = xW + b;  f̃ = σ(z_f), ĩ = σ(z_i)
        f = f̃/(f̃ + ĩ), i = ĩ/(f̃ + ĩ)
        h' = f⊙h + i⊙g,  g = z_g

    With `log_space`, g = z_g + ½ for z_g ≥ 0 and σ(z_g) below.

    Args:
      hidden_size: H.
      log_space: the paper's positive candidate.
      **options: see `UpdateOptions`; `update_bias` is the initial b_i, chrono sets b_f = log u
        and b_i = −log u. There is no recurrent kernel to initialize.

    Returns:
      A cell with state `RNNState` (h [B, H]) and parameters `MinimalParams`, blocks f i g.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.min_lstm(128)

    Source: Feng et al. 2024, "Were RNNs all we needed?", arXiv:2410.01201, section 3.2.
    """
    resolved = resolve("min_lstm", hidden_size, UpdateOptions, options)
    return build(
        "min_lstm",
        Gating("fig", target="i", keep="f", write="i"),
        partial(min_lstm_equations, log_space=log_space),
        MinimalParams,
        lambda batch, dtype: RNNState(zeros(batch, hidden_size, dtype)),
        hidden_size,
        resolved | {"log_space": log_space},
        recurrent_size=None,
    )


def min_gru(hidden_size: int, *, log_space: bool = False, **options: Unpack[UpdateOptions]) -> Cell:
    """Minimal GRU.

        z = σ(xW_z + b_z),  n = xW_n + b_n
        h' = (1 − z)⊙h + z⊙n

    With `log_space`, n = z_n + ½ for z_n = xW_n + b_n ≥ 0 and σ(z_n) below.

    Args:
      hidden_size: H.
      log_space: the paper's positive candidate.
      **options: see `UpdateOptions`; `update_bias` is the initial b_z, chrono makes it −log u.

    Returns:
      A cell with state `RNNState` (h [B, H]) and parameters `MinimalParams`, blocks z n.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.min_gru(128, log_space=True)

    Source: Feng et al. 2024, arXiv:2410.01201, section 3.1.
    """
    resolved = resolve("min_gru", hidden_size, UpdateOptions, options)
    return build(
        "min_gru",
        Gating("zn", target="z", write="z"),
        partial(min_gru_equations, log_space=log_space),
        MinimalParams,
        lambda batch, dtype: RNNState(zeros(batch, hidden_size, dtype)),
        hidden_size,
        resolved | {"log_space": log_space},
        recurrent_size=None,
    )
