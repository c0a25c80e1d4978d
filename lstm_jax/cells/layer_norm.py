"""The LSTM with layer normalization."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.cells.build import LSTMOptions, resolve
from lstm_jax.cells.functions import layer_norm, peepholes, row, sigmoid, split, tanh
from lstm_jax.cells.initializers import Gating
from lstm_jax.cells.memory import memory_cell
from lstm_jax.types import Affine, Cell, Gates, LSTMState


class LayerNormLSTMParams(NamedTuple):
    """kernel [D, 4H], recurrent_kernel [H, 4H]; scales and offsets of LN(xW) and LN(hU) [4H] and
    of LN(c') [H]; bias [4H], peephole [3, H] or [3, H, H]."""

    kernel: Array
    recurrent_kernel: Array
    input_scale: Array
    input_offset: Array
    recurrent_scale: Array
    recurrent_offset: Array
    cell_scale: Array
    cell_offset: Array
    bias: Array | None = None
    peephole: Array | None = None


def inputs(params: LayerNormLSTMParams, xs: Array, keys: PRNGKey | None) -> Array:
    """LN(xW) + b for all steps at once, [T, B, 4H]."""
    del keys
    z = layer_norm(xs @ params.kernel, params.input_scale, params.input_offset)
    return z if params.bias is None else z + row(params.bias, z)


def equations(
    params: LayerNormLSTMParams, state: LSTMState, x: Array, affine: Affine, clip
) -> tuple[LSTMState, Gates]:
    look = peepholes(params, affine)
    u = affine(0, state.h, params.recurrent_kernel)
    z = x + layer_norm(u, params.recurrent_scale, params.recurrent_offset)
    i, f, g, o = split(z, 4)
    i = sigmoid(look(0, i, state.c))
    f = sigmoid(look(1, f, state.c))
    g = tanh(g)
    c = clip(f * state.c + i * g)
    o = sigmoid(look(2, o, c))
    h = o * tanh(layer_norm(c, params.cell_scale, params.cell_offset))
    return LSTMState(h, c), {"i": i, "f": f, "g": g, "o": o}


def layer_norm_lstm(hidden_size: int, **options: Unpack[LSTMOptions]) -> Cell:
    """LSTM with layer normalization.

        z = LN(xW) + LN(hU) + b
        c' = σ(z_f)⊙c + σ(z_i)⊙tanh(z_g)
        h' = σ(z_o)⊙tanh(LN(c'))

    Each LN has a scale and an offset of its own and runs over all 4H (or H) together, ε = 1e-5.
    The c' that is carried on is not normalized.

    Args:
      hidden_size: H.
      **options: see `LSTMOptions`; peephole rows i f o.

    Returns:
      A cell with state `LSTMState` (h, c [B, H]) and parameters `LayerNormLSTMParams`, blocks
      i f g o.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.layer_norm_lstm(128)

    Source: Ba et al. 2016, "Layer normalization", arXiv:1607.06450, equations 20-22.
    """
    resolved = resolve("layer_norm_lstm", hidden_size, LSTMOptions, options)

    def scales(key: PRNGKey, dtype: jnp.dtype) -> dict[str, Array]:
        del key
        sizes = {"input": 4 * hidden_size, "recurrent": 4 * hidden_size, "cell": hidden_size}
        ones = {f"{name}_scale": jnp.ones((size,), dtype) for name, size in sizes.items()}
        return ones | {f"{name}_offset": jnp.zeros((size,), dtype) for name, size in sizes.items()}

    return memory_cell(
        "layer_norm_lstm",
        Gating("ifgo", target="f", keep="f", write="i"),
        equations,
        hidden_size,
        resolved,
        params_type=LayerNormLSTMParams,
        more=scales,
        inputs=inputs,
    )
