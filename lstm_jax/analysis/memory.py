"""How long units remember: time constants from what they keep of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from lstm_jax.analysis import style
from lstm_jax.analysis.layers import Layer, check_valid
from lstm_jax.recurrence.layer import silence
from lstm_jax.types import Cell, Params, State, align, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def retention(layer: Layer) -> Array:
    """What each unit keeps of itself from one step to the next.

        k_t = ∂m_t/∂m_{t−1},  m the memory (c, or h where there is no c), products held fixed

    It is read off the equations, which outside their products are to be elementwise, as those of
    the library are (else it is the sum over the units that m_t depends on): f of an LSTM (with what
    diagonal peepholes add), 1 − z of a GRU, z of one with the reset after the product, 1 − i with
    coupled gates, 1 without forget gate, 0 of a plain RNN, in which all memory goes through the
    products.

    Args:
      layer: of `layers`.

    Returns:
      k [T, B, H].

    Example:
      (layer,) = analysis.layers(cell, params, xs)
      kept = analysis.retention(layer)                     # for lj.lstm equal to layer.record["f"]
    """
    return _retention(
        layer.cell, layer.memory, layer.params, layer.initial_state, layer.states_before(), layer.xs
    )


@partial(jax.jit, static_argnums=(0, 1))
def _retention(
    cell: Cell, field: str, params: Params, initial_state: State, before: State, xs: Array
) -> Array:
    params = cell.prepare(cast(params, cell.compute_dtype), None, initial_state)
    inputs = cell.inputs(params, xs.astype(cell.compute_dtype), None)  # type: ignore[misc]

    def affine(x: Any, a: Array, kernel: Array) -> Array:
        z = jax.lax.stop_gradient(cell.product(a.astype(kernel.dtype), kernel))
        return z + align(x, z)

    def step(state: State, x: Any) -> Array:
        def memory(value: Array) -> Array:
            new, _ = cell.equations(params, state._replace(**{field: value}), x, affine)
            return getattr(new, field)

        own = getattr(state, field)
        return jax.jvp(memory, (own,), (jnp.ones_like(own),))[1]

    return jax.vmap(step)(before, inputs)


def time_constants(*batches: Layer) -> Array:
    """How many steps each unit's memory lasts, over a data set.

        τ = −1 / mean_t ln k_t

    A memory that nothing is added to shrinks to 1/e of itself in τ steps. Infinite where it never
    shrinks, 0 where any step keeps nothing, as one at which `cell_clip` is at work.

    Args:
      *batches: one layer of a network, for each batch of the data set.

    Returns:
      τ [H].

    Raises:
      ValueError: no batches, or none with a valid step.

    Example:
      longest = analysis.time_constants(layer).max()

    Source: after Tallec & Ollivier 2018, arXiv:1804.11188, section 2; Mahto et al. 2021,
    arXiv:2009.12727.
    """
    check_valid("time_constants", batches)
    total: Any = 0.0
    count = sum(jnp.sum(layer.mask) for layer in batches)
    for layer in batches:
        logs = jnp.log(jnp.abs(retention(layer)))
        total += jnp.sum(silence(layer.mask, logs), axis=(0, 1))
    rate = jnp.ravel(-total / count)
    return jnp.where(rate <= 0, jnp.inf, 1.0 / rate)


def plot_time_constants(constants: Mapping[str, Array], title: str = "") -> Figure:
    """Plots time constants in order of their size, on a log scale.

    Args:
      constants: what `time_constants` returned, by what the legend calls it.
      title: of the plot.

    Example:
      figure = analysis.plot_time_constants({"lstm": analysis.time_constants(layer)})
    """
    from matplotlib.ticker import LogLocator

    drawn, axes = style.figure()
    for index, (name, values) in enumerate(constants.items()):
        ordered = np.sort(np.asarray(values, np.float64))
        shown = np.flatnonzero(np.isfinite(ordered) & (ordered > 0))
        label = name if len(shown) else f"{name}: keeps nothing by itself"
        share = shown / max(len(ordered) - 1, 1)
        axes.plot(share, ordered[shown], label=label, **style.line(index))
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set(xlabel="share of the units", ylabel="time constant, steps", title=title)
    style.legend(drawn, axes)
    return drawn
