"""Gated recurrent units: reset before the recurrent product, and after it."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.cells.build import GRUOptions, build, resolve
from lstm_jax.cells.functions import row, sigmoid, split, tanh
from lstm_jax.cells.initializers import Gating
from lstm_jax.types import Affine, Cell, Gates, RNNState, zeros


class GRUParams(NamedTuple):
    """kernel [D, 3H], recurrent_kernel [H, 3H], bias [3H]."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None


class GRUResetAfterParams(NamedTuple):
    """kernel [D, 3H], recurrent_kernel [H, 3H], bias [3H], recurrent_bias [H]."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    recurrent_bias: Array | None = None


def columns(v: Array) -> tuple[Array, Array]:
    """The blocks r z, and the block n, of v [..., 3H]."""
    width = 2 * v.shape[-1] // 3
    return v[..., :width], v[..., width:]


def equations(
    params: GRUParams, state: RNNState, x: Array, affine: Affine
) -> tuple[RNNState, Gates]:
    h = state.h
    x_rz, x_n = columns(x)
    u_rz, u_n = columns(params.recurrent_kernel)
    r, z = split(affine(x_rz, h, u_rz), 2)
    r, z = sigmoid(r), sigmoid(z)
    n = tanh(affine(x_n, r * h, u_n))
    return RNNState((1 - z) * h + z * n), {"r": r, "z": z, "n": n}


def reset_after_equations(
    params: GRUResetAfterParams, state: RNNState, x: Array, affine: Affine
) -> tuple[RNNState, Gates]:
    h = state.h
    x_r, x_z, x_n = split(x, 3)
    u_r, u_z, u_n = split(affine(0, h, params.recurrent_kernel), 3)
    if params.recurrent_bias is not None:
        u_n = u_n + row(params.recurrent_bias, u_n)
    r, z = sigmoid(x_r + u_r), sigmoid(x_z + u_z)
    n = tanh(x_n + r * u_n)
    return RNNState(z * h + (1 - z) * n), {"r": r, "z": z, "n": n}


def gru(hidden_size: int, **options: Unpack[GRUOptions]) -> Cell:
    """Gated recurrent unit, with the reset before the recurrent product.

        r = σ(xW_r + hU_r + b_r)
        z = σ(xW_z + hU_z + b_z)
        n = tanh(xW_n + (r⊙h)U_n + b_n)
        h' = (1 − z)⊙h + z⊙n

    Args:
      hidden_size: H.
      **options: see `GRUOptions`; `update_bias` is the initial b_z, chrono makes it −log u.

    Returns:
      A cell with state `RNNState` (h [B, H]) and parameters `GRUParams`, blocks r z n.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.gru(128, update_bias=lj.chrono(400))

    Source: Cho et al. 2014, arXiv:1406.1078, equations 5-8; the interpolation as in
    Chung et al. 2014, arXiv:1412.3555, equation 5.
    """
    return build(
        "gru",
        Gating("rzn", target="z", write="z"),
        equations,
        GRUParams,
        lambda batch, dtype: RNNState(zeros(batch, hidden_size, dtype)),
        hidden_size,
        resolve("gru", hidden_size, GRUOptions, options),
        recurrent_size=hidden_size,
    )


def gru_reset_after(hidden_size: int, **options: Unpack[GRUOptions]) -> Cell:
    """Gated recurrent unit, with the reset after the recurrent product.

        r = σ(xW_r + hU_r + b_r)
        z = σ(xW_z + hU_z + b_z)
        n = tanh(xW_n + b_n + r⊙(hU_n + b_hn))
        h' = z⊙h + (1 − z)⊙n

    Note that z keeps the state here, where in `gru` it lets the new one in.

    Args:
      hidden_size: H.
      **options: see `GRUOptions`; `update_bias` is the initial b_z, chrono makes it log u.

    Returns:
      A cell with state `RNNState` (h [B, H]) and parameters `GRUResetAfterParams`, blocks r z n.

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.gru_reset_after(128)

    Source: the form of cuDNN (API reference, cudnnRNNMode_t, CUDNN_GRU), PyTorch and Flax.
    """
    resolved = resolve("gru_reset_after", hidden_size, GRUOptions, options)

    def recurrent_bias(key: PRNGKey, dtype: jnp.dtype) -> dict[str, Array]:
        del key
        return {"recurrent_bias": jnp.zeros((hidden_size,), dtype)} if resolved["use_bias"] else {}

    return build(
        "gru_reset_after",
        Gating("rzn", target="z", keep="z"),
        reset_after_equations,
        GRUResetAfterParams,
        lambda batch, dtype: RNNState(zeros(batch, hidden_size, dtype)),
        hidden_size,
        resolved,
        recurrent_size=hidden_size,
        more=recurrent_bias,
    )
