"""Gated recurrent networks in JAX, as pure functions.

    import jax, jax.numpy as jnp
    import lstm_jax as lj

    cell = lj.lstm(128)
    params = cell.init(jax.random.key(0), 32)
    state, ys = lj.unroll(cell, params, jnp.ones((50, 8, 32)))

Equations are in `lstm_jax.cells`, the recurrence in `lstm_jax.recurrence`, Flax modules in
`lstm_jax.nnx` and `lstm_jax.linen`, weights of other libraries in `lstm_jax.interop`.
"""

from importlib import metadata

from lstm_jax.cells import (
    CELLS,
    conv_lstm,
    coupled_lstm,
    full_gate_recurrence_lstm,
    gru,
    gru_reset_after,
    layer_norm_lstm,
    lstm,
    lstmp,
    min_gru,
    min_lstm,
    no_forget_lstm,
    no_input_activation_lstm,
    no_input_gate_lstm,
    no_output_activation_lstm,
    no_output_gate_lstm,
    peephole_lstm,
    rnn,
)
from lstm_jax.cells.initializers import chrono
from lstm_jax.cells.noise import drop_connect, variational_dropout, zoneout
from lstm_jax.recurrence.bidirectional import bidirectional
from lstm_jax.recurrence.stack import stack
from lstm_jax.recurrence.stream import stream
from lstm_jax.recurrence.unroll import gates, unroll
from lstm_jax.types import Cell, LSTMState, RNNState

try:
    __version__ = metadata.version("lstm_jax")
except metadata.PackageNotFoundError:  # run from a clone that is not installed
    __version__ = "0.0.0"

__all__ = [
    "CELLS",
    "Cell",
    "LSTMState",
    "RNNState",
    "bidirectional",
    "chrono",
    "conv_lstm",
    "coupled_lstm",
    "drop_connect",
    "full_gate_recurrence_lstm",
    "gates",
    "gru",
    "gru_reset_after",
    "layer_norm_lstm",
    "lstm",
    "lstmp",
    "min_gru",
    "min_lstm",
    "no_forget_lstm",
    "no_input_activation_lstm",
    "no_input_gate_lstm",
    "no_output_activation_lstm",
    "no_output_gate_lstm",
    "peephole_lstm",
    "rnn",
    "stack",
    "stream",
    "unroll",
    "variational_dropout",
    "zoneout",
]
