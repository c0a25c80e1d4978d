"""Weights from Equinox.

    Equinox                            here
    weight_ih [G·H, D], weight_hh      kernel, recurrent_kernel, transposed
    bias                               bias
    bias_n of a GRU                    recurrent_bias
    blocks i f g o; reset, update, new the same
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lstm_jax.interop.layers import assemble, filled
from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Cell, Params

CELLS = {"LSTMCell": "lstm", "GRUCell": "gru_reset_after"}


def from_equinox(source: Any) -> tuple[Network, Params]:
    """A cell of Equinox, or several above one another, as a network with parameters.

    Args:
      source: `eqx.nn.LSTMCell`, `eqx.nn.GRUCell`, or a sequence of them from the input up.

    Returns:
      (network, params) for `lj.unroll`: an `lstm` or a `gru_reset_after`, or a stack. Equinox's
      state (h, c) is `LSTMState(h, c)`; batches come as [T, B, D], without vmap.

    Raises:
      TypeError: something else.

    Example:
      network, params = from_equinox(eqx.nn.GRUCell(32, 64, key=jax.random.key(0)))

    Source: Equinox's documentation of eqx.nn.LSTMCell and eqx.nn.GRUCell.
    """
    cells = source if isinstance(source, Sequence) else [source]
    built = [_cell(cell) for cell in cells]
    return assemble([((cell,), (params,)) for cell, params in built])


def _cell(source: Any) -> tuple[Cell, Params]:
    kind = CELLS.get(type(source).__name__)
    if kind is None or not hasattr(source, "weight_ih"):
        raise TypeError(
            f"source is a {type(source).__name__}; give eqx.nn.LSTMCell, eqx.nn.GRUCell or a list"
            " of them"
        )
    fields = {"kernel": source.weight_ih.T, "recurrent_kernel": source.weight_hh.T}
    if source.use_bias:
        fields["bias"] = source.bias
    if source.use_bias and kind == "gru_reset_after":
        fields["recurrent_bias"] = source.bias_n
    return filled(kind, source.hidden_size, fields)
