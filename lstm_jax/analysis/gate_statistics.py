"""What gates do over a data set: open, shut, or in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from chex import Array

from lstm_jax.analysis import style
from lstm_jax.analysis.layers import Layer, check_valid
from lstm_jax.recurrence.layer import silence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHUT, OPEN = 0.1, 0.9
CANDIDATES = ("g", "n")  # what gates let through: tanh, not σ


class GateStatistics(NamedTuple):
    """Of one gate over a data set.

    Attributes:
      mean: of each unit [H].
      left: the share of steps at which each unit is left-saturated, below 0.1 [H].
      right: the share of steps at which each unit is right-saturated, above 0.9 [H].
      over_time: the mean of all units at each step [T]; NaN where no sequence has that step.
    """

    mean: Array
    left: Array
    right: Array
    over_time: Array


def gate_statistics(*batches: Layer) -> dict[str, GateStatistics]:
    """Means and saturation of each gate, by unit and over time.

        mean = ⟨a_t⟩,  left = ⟨a_t < 0.1⟩,  right = ⟨a_t > 0.9⟩,  ⟨·⟩ over all valid steps

    Args:
      *batches: one layer of a network, for each batch of the data set.

    Returns:
      By the letter of the equations; for a cell without gates nothing.

    Raises:
      ValueError: no batches, or none with a valid step.

    Example:
      (layer,) = analysis.layers(cell, params, xs)
      shut = analysis.gate_statistics(layer)["f"].left

    Source: Karpathy et al. 2015, arXiv:1506.02078, section 4.2, figure 3.
    """
    check_valid("gate_statistics", batches)
    return {name: _statistics(batches, name) for name in gate_names(batches[0])}


def gate_names(layer: Layer) -> tuple[str, ...]:
    """The gates of a layer: not its state, not the candidates g and n, nothing below 0.

    Example:
      analysis.gate_names(layer)                           # of lj.lstm ("f", "i", "o")
    """
    others = {*layer.fields, *CANDIDATES}
    return tuple(n for n, v in layer.record.items() if n not in others and jnp.all(v >= 0))


def _statistics(batches: tuple[Layer, ...], name: str) -> GateStatistics:
    gates = [layer.record[name].reshape(*layer.mask.shape, -1) for layer in batches]
    rows = jnp.concatenate([g[b.mask] for g, b in zip(gates, batches, strict=True)])
    steps = max(len(gate) for gate in gates)
    total, count = jnp.zeros(steps), jnp.zeros(steps)
    for gate, layer in zip(gates, batches, strict=True):
        means = silence(layer.mask, gate.mean(axis=-1))
        total = total.at[: len(gate)].add(means.sum(axis=1))
        count = count.at[: len(gate)].add(layer.mask.sum(axis=1))
    return GateStatistics(
        mean=rows.mean(axis=0),
        left=(rows < SHUT).mean(axis=0),
        right=(rows > OPEN).mean(axis=0),
        over_time=jnp.where(count > 0, total / jnp.maximum(count, 1), jnp.nan),
    )


def plot_saturation(statistics: Mapping[str, GateStatistics], title: str = "") -> Figure:
    """Plots, for each gate, how often each unit is saturated: right against left.

    A unit at the lower right is nearly always open, one at the upper left nearly always shut, one
    near the origin is a matter of degree.

    Example:
      figure = analysis.plot_saturation(analysis.gate_statistics(layer))
    """
    count = max(len(statistics), 1)
    drawn, axes = style.panels(count, 3.0 * count + 0.5, 3.4)
    for index, (own, (name, found)) in enumerate(zip(axes, statistics.items(), strict=False)):
        own.plot([0, 1], [1, 0], color="black", linewidth=1)
        own.scatter(
            found.right, found.left, s=16, alpha=0.6, linewidths=0, color=style.color(index)
        )
        own.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", xlabel="open (above 0.9)")
        own.set_title(f"{name}: mean {np.mean(found.mean):.2f}")
    axes[0].set_ylabel("shut (below 0.1)")
    drawn.suptitle(title)
    return drawn


def plot_gates_over_time(statistics: Mapping[str, GateStatistics], title: str = "") -> Figure:
    """Plots each gate's mean over units and sequences against the step.

    Example:
      figure = analysis.plot_gates_over_time(analysis.gate_statistics(layer))
    """
    drawn, axes = style.figure()
    for index, (name, found) in enumerate(statistics.items()):
        axes.plot(np.asarray(found.over_time), label=name, **style.line(index))
    axes.set(xlabel="step", ylabel="mean of the gate", ylim=(0, 1), title=title)
    style.legend(drawn, axes)
    return drawn
