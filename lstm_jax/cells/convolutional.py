"""The convolutional LSTM: the LSTM's equations on frames, with convolutions for products."""

from __future__ import annotations

from typing import Unpack

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.cells.build import ForgetOptions, positive_integer, resolve
from lstm_jax.cells.lstm import GATING, equations
from lstm_jax.cells.memory import memory, memory_cell
from lstm_jax.types import Cell, LSTMState

AXES = ("NHWC", "HWIO", "NHWC")  # of frames, kernels and results


def convolution(a: Array, kernel: Array) -> Array:
    """The convolution of a [..., height, width, C] with a kernel [k, k, C, G·F], zeros around it.

    A kernel [C, G·F] is multiplied at each place by itself.
    """
    if kernel.ndim == 2:
        return a @ kernel
    frames = a.reshape(-1, *a.shape[-3:])
    result = jax.lax.conv_general_dilated(frames, kernel, (1, 1), "SAME", dimension_numbers=AXES)
    return result.reshape(*a.shape[:-1], kernel.shape[-1])


def conv_lstm(
    filters: int,
    *,
    image_size: tuple[int, int],
    kernel_size: int = 3,
    **options: Unpack[ForgetOptions],
) -> Cell:
    """Convolutional LSTM, with peepholes, for sequences of frames x [B, height, width, C].

        i = σ(W_i ∗ x + U_i ∗ h + p_i⊙c + b_i)
        f = σ(W_f ∗ x + U_f ∗ h + p_f⊙c + b_f)
        c' = f⊙c + i⊙tanh(W_g ∗ x + U_g ∗ h + b_g)
        o = σ(W_o ∗ x + U_o ∗ h + p_o⊙c' + b_o)
        h' = o⊙tanh(c')

    ∗ is the convolution with zeros around the frame ("same" padding). A filter's peepholes are the
    same at every place; in the paper each place has its own.

    Args:
      filters: F, the channels of the state.
      image_size: height and width of the frames.
      kernel_size: k, the side of the windows that gates look through.
      **options: see `ForgetOptions`; `peepholes` is "diagonal" by default.

    Returns:
      A cell with state `LSTMState` (h, c [B, height, width, F]) and parameters `LSTMParams`: kernel
      [k, k, C, 4F], recurrent_kernel [k, k, F, 4F], bias [4F], peephole [3, F] ("full":
      [3, F, F]), blocks i f g o. Its input size is C; `unroll` takes xs [T, B, height, width, C].

    Raises:
      TypeError, ValueError: an option that is unknown or out of range.

    Example:
      cell = lj.conv_lstm(16, image_size=(32, 32), kernel_size=5)
      params = cell.init(jax.random.key(0), 1)
      state, ys = lj.unroll(cell, params, jnp.ones((10, 4, 32, 32, 1)))  # ys [10, 4, 32, 32, 16]

    Source: Shi et al. 2015, "Convolutional LSTM network: a machine learning approach for
    precipitation nowcasting", arXiv:1506.04214, equation 3.
    """
    resolved = resolve("conv_lstm", filters, ForgetOptions, {"peepholes": "diagonal"} | options)
    height, width = _checked_size(image_size)
    positive_integer("conv_lstm", "kernel_size", kernel_size)

    def fresh(batch_size: int, dtype: jnp.dtype) -> LSTMState:
        shape = batch_size, height, width, filters
        return LSTMState(h=jnp.zeros(shape, dtype), c=memory(shape, dtype))

    return memory_cell(
        "conv_lstm",
        GATING,
        equations,
        filters,
        resolved | {"image_size": (height, width), "kernel_size": kernel_size},
        initial_state=fresh,
        window=(kernel_size, kernel_size),
        product=convolution,
    )


def _checked_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Height and width; raises unless they are two positive integers."""
    if not isinstance(image_size, tuple | list) or len(image_size) != 2:
        raise TypeError(f"conv_lstm: image_size is {image_size!r}; give (height, width)")
    for side in image_size:
        positive_integer("conv_lstm", "image_size", side)
    return image_size[0], image_size[1]
