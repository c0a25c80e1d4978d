"""What initial weights and biases do to the gradient, before any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.analysis.gradient_flow import gradient_flow, plot_gradient_flow
from lstm_jax.types import Cell, Params, is_float

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def initialization_flow(
    make: Callable[[float], Cell],
    xs: Array,
    scales: Sequence[float] = (0.1, 1.0, 2.0),
    biases: Sequence[float] = (0.0, 1.0, 3.0),
    key: PRNGKey | None = None,
) -> Array:
    """The gradient's norm over time for small and large weights and several gate biases.

    The matrices and peepholes of a fresh cell are multiplied by each scale; biases stay as `make`
    sets them.

    Args:
      make: a cell with a bias, `lambda bias: lj.lstm(64, forget_bias=bias)`.
      xs: inputs [T, B, D].
      scales: of matrices and peepholes; below 1 it is small-weight initialization.
      biases: what `make` gets, one after the other.
      key: of the initial parameters, the same for all; `jax.random.key(0)` by default.

    Returns:
      Norms of ∂L/∂s_t [scales, biases, T, B], of L as in `state_gradients`.

    Example:
      flow = analysis.initialization_flow(lambda bias: lj.lstm(64, forget_bias=bias), xs)

    Source: Gers et al. 2000, Neural Computation 12(10); Jozefowicz et al. 2015 (the forget
    bias); Le et al. 2015, arXiv:1504.00941 (the scale of recurrent weights).
    """
    key = jax.random.key(0) if key is None else key

    def flow(bias: float) -> Array:
        cell = make(bias)
        params = cell.init(key, xs.shape[-1])

        def at(scale: Array) -> Array:
            (fields,) = gradient_flow(cell, scaled(params, scale), xs).values()
            return fields["state"]

        return jax.vmap(at)(jnp.asarray(scales, xs.dtype))

    return jnp.stack([flow(bias) for bias in biases], axis=1)


def scaled(params: Params, scale: Array) -> Params:
    """The parameters of a cell, all that have more than one axis times `scale`."""
    return jax.tree.map(lambda v: scale * v if is_float(v) and v.ndim > 1 else v, params)


def plot_initialization(
    flow: Array, scales: Sequence[float], biases: Sequence[float], title: str = ""
) -> Figure:
    """Plots what `initialization_flow` returned: a line for each scale and bias.

    Example:
      figure = analysis.plot_initialization(flow, (0.1, 1.0, 2.0), (0.0, 1.0, 3.0))
    """
    flows = {
        f"weights × {scale:g}" + (f", bias {bias:g}" if len(biases) > 1 else ""): flow[i, j]
        for j, bias in enumerate(biases)
        for i, scale in enumerate(scales)
    }
    return plot_gradient_flow(flows, title)
