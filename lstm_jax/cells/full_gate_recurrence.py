"""The LSTM with full gate recurrence: every gate sees every gate of the step before."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.cells.build import LSTMOptions, resolve
from lstm_jax.cells.functions import peepholes, sigmoid, split, tanh
from lstm_jax.cells.initializers import Gating, blockwise
from lstm_jax.cells.memory import memory, memory_cell
from lstm_jax.types import Affine, Cell, Gates, zeros


class FullGateRecurrenceParams(NamedTuple):
    """kernel [D, 4H], recurrent_kernel [H, 4H], gate_recurrent_kernel [3H, 3H], bias [4H],
    peephole [3, H] or [3, H, H]."""

    kernel: Array
    recurrent_kernel: Array
    gate_recurrent_kernel: Array
    bias: Array | None = None
    peephole: Array | None = None


class FullGateRecurrenceState(NamedTuple):
    """h, c [B, H], and the gates i f o of the last step, side by side [B, 3H]."""

    h: Array
    c: Array
    gates: Array


def equations(
    params: FullGateRecurrenceParams,
    state: FullGateRecurrenceState,
    x: Array,
    affine: Affine,
    clip,
) -> tuple[FullGateRecurrenceState, Gates]:
    look = peepholes(params, affine)
    i, f, g, o = split(affine(x, state.h, params.recurrent_kernel), 4)
    ifo = jnp.concatenate([i, f, o], axis=-1)
    i, f, o = split(affine(ifo, state.gates, params.gate_recurrent_kernel), 3)
    i = sigmoid(look(0, i, state.c))
    f = sigmoid(look(1, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + i * g)
    o = sigmoid(look(2, o, c))
    h = o * tanh(c)
    gates = jnp.concatenate([i, f, o], axis=-1)
    return FullGateRecurrenceState(h, c, gates), {"i": i, "f": f, "g": g, "o": o}


def full_gate_recurrence_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM with full gate recurrence (FGR): recurrent connections between all the gates.

        z = xW + hU + b,  z_{i,f,o} += [i f o]_{t−1} R
        c' = σ(z_f)⊙c + σ(z_i)⊙tanh(z_g)
        h' = σ(z_o)⊙tanh(c')

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; peephole rows i f o.

    Returns:
      A cell with state `FullGateRecurrenceState` (h, c [B, H], gates [B, 3H]) and parameters
      `FullGateRecurrenceParams`, blocks i f g o; R is `gate_recurrent_kernel`.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.full_gate_recurrence_lstm(128)

    Source: Greff et al. 2017, arXiv:1503.04069, section III-A (FGR).
    """
    resolved = resolve("full_gate_recurrence_lstm", hidden_size, LSTMOptions, options)

    def gate_kernel(key: PRNGKey, dtype: jnp.dtype) -> dict[str, Array]:
        rows = (3 * hidden_size,)
        kernel = blockwise(resolved["recurrent_init"], key, rows, hidden_size, 3, dtype)
        return {"gate_recurrent_kernel": kernel}

    def fresh(batch: int, dtype: jnp.dtype) -> FullGateRecurrenceState:
        return FullGateRecurrenceState(
            h=zeros(batch, hidden_size, dtype),
            c=memory((batch, hidden_size), dtype),
            gates=zeros(batch, 3 * hidden_size, dtype),
        )

    return memory_cell(
        "full_gate_recurrence_lstm",
        Gating("ifgo", target="f", keep="f", write="i"),
        equations,
        hidden_size,
        resolved,
        params_type=FullGateRecurrenceParams,
        initial_state=fresh,
        more=gate_kernel,
    )
