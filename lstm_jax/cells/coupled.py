"""The LSTM with coupled input and forget gates."""

from __future__ import annotations

from typing import Unpack

from chex import Array

from lstm_jax.cells.build import LSTMOptions, resolve
from lstm_jax.cells.functions import peepholes, sigmoid, split, tanh
from lstm_jax.cells.initializers import Gating
from lstm_jax.cells.memory import LSTMParams, memory_cell
from lstm_jax.types import Affine, Cell, Gates, LSTMState


def equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    f, g, o = split(affine(x, state.h, params.recurrent_kernel), 3)
    f = sigmoid(look(0, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + (1 - f) * g)
    o = sigmoid(look(1, o, c))
    h = o * tanh(c)
    return LSTMState(h, c), {"f": f, "g": g, "o": o}


def coupled_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM whose input gate is what the forget gate leaves, i = 1 − f.

        f = σ(xW_f + hU_f + b_f)
        c' = f⊙c + (1 − f)⊙tanh(xW_g + hU_g + b_g)
        h' = σ(xW_o + hU_o + b_o)⊙tanh(c')

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; peephole rows f o.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks f g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.coupled_lstm(128)

    Source: Greff et al. 2017, arXiv:1503.04069, section III-A (CIFG, there with f = 1 − i).
    """
    resolved = resolve("coupled_lstm", hidden_size, LSTMOptions, options)
    gating = Gating("fgo", target="f", keep="f")
    return memory_cell("coupled_lstm", gating, equations, hidden_size, resolved)
