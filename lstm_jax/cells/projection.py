"""The LSTM with a recurrent projection layer."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.cells.build import LSTMOptions, check_heads, positive_integer, resolve
from lstm_jax.cells.functions import peepholes, sigmoid, split, tanh
from lstm_jax.cells.initializers import INITIALIZERS, Gating
from lstm_jax.cells.memory import memory_cell
from lstm_jax.types import Affine, Cell, Gates, LSTMState


class LSTMPParams(NamedTuple):
    """kernel [D, 4H], recurrent_kernel [P, 4H], projection [H, P], bias [4H],
    peephole [3, H] or [3, H, H]."""

    kernel: Array
    recurrent_kernel: Array
    projection: Array
    bias: Array | None = None
    peephole: Array | None = None


def equations(
    params: LSTMPParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    i, f, g, o = split(affine(x, state.h, params.recurrent_kernel), 4)
    i = sigmoid(look(0, i, state.c))
    f = sigmoid(look(1, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + i * g)
    o = sigmoid(look(2, o, c))
    r = affine(0, o * tanh(c), params.projection)
    return LSTMState(r, c), {"i": i, "f": f, "g": g, "o": o}


def lstmp(
    hidden_size: int, *, projection_size: int | None = None, **options: Unpack[LSTMOptions]
) -> Cell:
    """LSTM with a recurrent projection: what recurs and goes out is P wide.

        z = xW + rU + b
        c' = σ(z_f)⊙c + σ(z_i)⊙tanh(z_g)
        r' = (σ(z_o)⊙tanh(c')) · projection

    Args:
      hidden_size: H.
      projection_size: P, H // 2 by default.
      **options: see `LSTMOptions`; Sak et al. have peepholes, "diagonal".

    Returns:
      A cell with state `LSTMState` (h = r [B, P], c [B, H]) and parameters `LSTMPParams`, blocks
      i f g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.lstmp(1024, projection_size=512, peepholes="diagonal")

    Source: Sak et al. 2014, "Long short-term memory based recurrent neural network architectures
    for large vocabulary speech recognition", arXiv:1402.1128, equations 7-13.
    """
    resolved = resolve("lstmp", hidden_size, LSTMOptions, options)
    size = max(hidden_size // 2, 1) if projection_size is None else projection_size
    positive_integer("lstmp", "projection_size", size)
    check_heads("lstmp", resolved["heads"], "projection_size", size)

    def projection(key: PRNGKey, dtype: jnp.dtype) -> dict[str, Array]:
        return {"projection": INITIALIZERS["glorot"](key, (hidden_size, size), dtype)}

    return memory_cell(
        "lstmp",
        Gating("ifgo", target="f", keep="f", write="i"),
        equations,
        hidden_size,
        resolved | {"projection_size": size},
        params_type=LSTMPParams,
        output_size=size,
        more=projection,
    )
