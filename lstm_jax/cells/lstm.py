"""Long short-term memory: with a forget gate, and with peepholes."""

from __future__ import annotations

from typing import Unpack

from chex import Array

from lstm_jax.cells.build import LSTMOptions, resolve
from lstm_jax.cells.functions import peepholes, sigmoid, split, tanh
from lstm_jax.cells.initializers import Gating
from lstm_jax.cells.memory import LSTMParams, memory_cell
from lstm_jax.types import Affine, Cell, Gates, LSTMState

GATING = Gating("ifgo", target="f", keep="f", write="i")


def equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    i, f, g, o = split(affine(x, state.h, params.recurrent_kernel), 4)
    i = sigmoid(look(0, i, state.c))
    f = sigmoid(look(1, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + i * g)
    o = sigmoid(look(2, o, c))
    h = o * tanh(c)
    return LSTMState(h, c), {"i": i, "f": f, "g": g, "o": o}


def lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """Long short-term memory with a forget gate.

        z = xW + hU + b
        c' = σ(z_f)⊙c + σ(z_i)⊙tanh(z_g)
        h' = σ(z_o)⊙tanh(c')

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks i f g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.lstm(128, forget_bias=lj.chrono(784))

    Source: Hochreiter & Schmidhuber 1997, Neural Computation 9(8); the forget gate from
    Gers et al. 2000, Neural Computation 12(10), equations 2.4-2.8.
    """
    return memory_cell(
        "lstm", GATING, equations, hidden_size, resolve("lstm", hidden_size, LSTMOptions, options)
    )


def peephole_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM whose gates look at the cell state; the *vanilla* LSTM of Greff et al. 2017.

        i = σ(xW_i + hU_i + p_i⊙c + b_i)
        f = σ(xW_f + hU_f + p_f⊙c + b_f)
        c' = f⊙c + i⊙tanh(xW_g + hU_g + b_g)
        o = σ(xW_o + hU_o + p_o⊙c' + b_o)
        h' = o⊙tanh(c')

    The output gate looks at the new cell state. With `peepholes="full"`, p_k⊙c becomes c P_k.

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; `peepholes` is "diagonal" by default.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks i f g o,
      peephole rows i f o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.peephole_lstm(128)

    Source: Gers & Schmidhuber 2000, "Recurrent nets that time and count", IJCNN.
    """
    resolved = resolve(
        "peephole_lstm", hidden_size, LSTMOptions, {"peepholes": "diagonal"} | options
    )
    return memory_cell("peephole_lstm", GATING, equations, hidden_size, resolved)
