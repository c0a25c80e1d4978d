"""One gate or activation away from the vanilla LSTM: the ablations of Greff et al. 2017.

Each differs from `lstm` in a line of its equations. Source of all: Greff et al. 2017, "LSTM: A
search space odyssey", arXiv:1503.04069, section III-A; their baseline has peepholes, which every
cell here takes as an option.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, Unpack

from chex import Array

from lstm_jax.cells.build import InputOptions, LSTMOptions, resolve
from lstm_jax.cells.functions import Activation, peepholes, sigmoid, split, tanh
from lstm_jax.cells.initializers import Gating
from lstm_jax.cells.memory import LSTMParams, memory_cell
from lstm_jax.types import Affine, Cell, Gates, LSTMState

VANILLA = Gating("ifgo", target="f", keep="f", write="i")


def no_input_gate_equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    f, g, o = split(affine(x, state.h, params.recurrent_kernel), 3)
    f = sigmoid(look(0, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + g)
    o = sigmoid(look(1, o, c))
    h = o * tanh(c)
    return LSTMState(h, c), {"f": f, "g": g, "o": o}


def no_input_gate_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM without input gate (NIG): i = 1.

        c' = σ(z_f)⊙c + tanh(z_g)
        h' = σ(z_o)⊙tanh(c')

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; peephole rows f o.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks f g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.no_input_gate_lstm(128)
    """
    resolved = resolve("no_input_gate_lstm", hidden_size, LSTMOptions, options)
    return memory_cell(
        "no_input_gate_lstm",
        Gating("fgo", target="f", keep="f"),
        no_input_gate_equations,
        hidden_size,
        resolved,
    )


def no_output_gate_equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    i, f, g = split(affine(x, state.h, params.recurrent_kernel), 3)
    i = sigmoid(look(0, i, state.c))
    f = sigmoid(look(1, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + i * g)
    return LSTMState(tanh(c), c), {"i": i, "f": f, "g": g}


def no_output_gate_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM without output gate (NOG): o = 1.

        c' = σ(z_f)⊙c + σ(z_i)⊙tanh(z_g)
        h' = tanh(c')

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; peephole rows i f.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks i f g.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.no_output_gate_lstm(128)
    """
    resolved = resolve("no_output_gate_lstm", hidden_size, LSTMOptions, options)
    return memory_cell(
        "no_output_gate_lstm",
        Gating("ifg", target="f", keep="f", write="i"),
        no_output_gate_equations,
        hidden_size,
        resolved,
    )


def no_input_activation_equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    i, f, g, o = split(affine(x, state.h, params.recurrent_kernel), 4)
    i = sigmoid(look(0, i, state.c))
    f = sigmoid(look(1, f, state.c))
    c = clip(f * state.c + i * g)
    o = sigmoid(look(2, o, c))
    h = o * tanh(c)
    return LSTMState(h, c), {"i": i, "f": f, "g": g, "o": o}


def no_input_activation_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM without input activation function (NIAF): g = z_g.

        c' = σ(z_f)⊙c + σ(z_i)⊙z_g
        h' = σ(z_o)⊙tanh(c')

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; peephole rows i f o.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks i f g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.no_input_activation_lstm(128)
    """
    resolved = resolve("no_input_activation_lstm", hidden_size, LSTMOptions, options)
    return memory_cell(
        "no_input_activation_lstm",
        VANILLA,
        no_input_activation_equations,
        hidden_size,
        resolved,
    )


def no_output_activation_equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    i, f, g, o = split(affine(x, state.h, params.recurrent_kernel), 4)
    i = sigmoid(look(0, i, state.c))
    f = sigmoid(look(1, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + i * g)
    o = sigmoid(look(2, o, c))
    return LSTMState(o * c, c), {"i": i, "f": f, "g": g, "o": o}


def no_output_activation_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM without output activation function (NOAF).

        c' = σ(z_f)⊙c + σ(z_i)⊙tanh(z_g)
        h' = σ(z_o)⊙c'

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; peephole rows i f o.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks i f g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.no_output_activation_lstm(128)
    """
    resolved = resolve("no_output_activation_lstm", hidden_size, LSTMOptions, options)
    return memory_cell(
        "no_output_activation_lstm",
        VANILLA,
        no_output_activation_equations,
        hidden_size,
        resolved,
    )


def squash_1997(z: Array) -> Array:
    """4σ(z) − 2, which spans [−2, 2]: the input squashing function g of 1997."""
    return 2 * tanh(0.5 * z)


def center_1997(c: Array) -> Array:
    """2σ(c) − 1, which spans [−1, 1]: the output squashing function h of 1997."""
    return tanh(0.5 * c)


ACTIVATIONS: dict[str, tuple[Activation, Activation]] = {
    "tanh": (tanh, tanh),
    "1997": (squash_1997, center_1997),
}


def no_forget_equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, clip, activations: str
) -> tuple[LSTMState, Gates]:
    into, out_of = ACTIVATIONS[activations]
    look = peepholes(params, affine)
    i, g, o = split(affine(x, state.h, params.recurrent_kernel), 3)
    i = sigmoid(look(0, i, state.c))
    g = into(g)
    c = clip(state.c + i * g)
    o = sigmoid(look(1, o, c))
    h = o * out_of(c)
    return LSTMState(h, c), {"i": i, "g": g, "o": o}


def no_forget_lstm(
    hidden_size: int,
    *,
    activations: Literal["tanh", "1997"] = "tanh",
    **options: Unpack[InputOptions],
) -> Cell:
    """LSTM without forget gate (NFG), f = 1: the cell of 1997, whose memory only adds up.

        c' = c + σ(z_i)⊙tanh(z_g)
        h' = σ(z_o)⊙tanh(c')

    Args:
      hidden_size: H.
      activations: "tanh", or "1997" for the original squashing functions: 4σ(z) − 2 into the
        cell state and 2σ(c) − 1 out of it. The gradient is exact, where that of 1997 was
        truncated.
      **options: see `InputOptions`; peephole rows i o.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LSTMParams`, blocks i g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.no_forget_lstm(128, activations="1997", input_bias=-3.0)

    Source: Hochreiter & Schmidhuber 1997, Neural Computation 9(8), appendix A.1.
    """
    if activations not in ACTIVATIONS:
        raise ValueError(f"no_forget_lstm: activations is {activations!r}; give 'tanh' or '1997'")
    resolved = resolve("no_forget_lstm", hidden_size, InputOptions, options)
    return memory_cell(
        "no_forget_lstm",
        Gating("igo", target="i", write="i"),
        partial(no_forget_equations, activations=activations),
        hidden_size,
        resolved | {"activations": activations},
    )
