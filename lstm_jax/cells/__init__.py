"""The gate equations, one small file a family, and their registry."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from lstm_jax.cells.ablations import (
    no_forget_lstm,
    no_input_activation_lstm,
    no_input_gate_lstm,
    no_output_activation_lstm,
    no_output_gate_lstm,
)
from lstm_jax.cells.convolutional import conv_lstm
from lstm_jax.cells.coupled import coupled_lstm
from lstm_jax.cells.full_gate_recurrence import full_gate_recurrence_lstm
from lstm_jax.cells.gru import gru, gru_reset_after
from lstm_jax.cells.layer_norm import layer_norm_lstm
from lstm_jax.cells.lstm import lstm, peephole_lstm
from lstm_jax.cells.minimal import min_gru, min_lstm
from lstm_jax.cells.projection import lstmp
from lstm_jax.cells.rnn import rnn
from lstm_jax.types import Cell


class Registry(dict[str, Callable[..., Cell]]):
    """Cell constructors by name; an unknown name is answered with the nearest, capitals aside."""

    def __missing__(self, name: str) -> Callable[..., Cell]:
        near = difflib.get_close_matches(str(name).lower(), self, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self)}"
        raise KeyError(f"no cell is called {name!r}; {hint}")


CELLS = Registry(
    rnn=rnn,
    lstm=lstm,
    peephole_lstm=peephole_lstm,
    coupled_lstm=coupled_lstm,
    gru=gru,
    gru_reset_after=gru_reset_after,
    lstmp=lstmp,
    no_forget_lstm=no_forget_lstm,
    no_input_gate_lstm=no_input_gate_lstm,
    no_output_gate_lstm=no_output_gate_lstm,
    no_input_activation_lstm=no_input_activation_lstm,
    no_output_activation_lstm=no_output_activation_lstm,
    full_gate_recurrence_lstm=full_gate_recurrence_lstm,
    layer_norm_lstm=layer_norm_lstm,
    min_lstm=min_lstm,
    min_gru=min_gru,
    conv_lstm=conv_lstm,
)
