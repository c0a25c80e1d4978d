"""Where the state goes: its path in the plane in which it moves most."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from chex import Array

from lstm_jax.analysis import style
from lstm_jax.analysis.layers import Layer
from lstm_jax.recurrence.layer import silence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Trajectories(NamedTuple):
    """States along their principal components.

    Attributes:
      points: [T, B, K], NaN where a step does not happen.
      components: orthonormal directions [K, H].
      explained: the share of the variance along each [K].
    """

    points: Array
    components: Array
    explained: Array


def trajectories(layer: Layer, field: str = "h", components: int = 2) -> Trajectories:
    """Projects the states of a layer on their principal components.

        p_t = V(s_t − s̄),  V the K leading eigenvectors of the covariance of all valid states

    Args:
      layer: of `layers`.
      field: of the state.
      components: K, at most H.

    Returns:
      The points [T, B, K], V [K, H], and the share of the variance along each of its rows [K].

    Raises:
      ValueError: there is no such field, or K is out of range.

    Example:
      (layer,) = analysis.layers(cell, params, xs)
      points = analysis.trajectories(layer).points         # [T, B, 2]

    Source: Pearson 1901, Philosophical Magazine 2(11).
    """
    if field not in layer.fields:
        raise ValueError(f"trajectories: field is {field!r}; give one of {', '.join(layer.fields)}")
    states = layer.record[field].astype(jnp.float32)
    states = states.reshape(*states.shape[:2], -1)
    if not 1 <= components <= states.shape[-1]:
        raise ValueError(
            f"trajectories: components is {components}; give 1 to {states.shape[-1]}"
        )
    valid = layer.mask[..., None]
    count = jnp.maximum(jnp.sum(valid), 1)
    mean = jnp.sum(silence(layer.mask, states), axis=(0, 1), keepdims=True) / count
    centered = silence(layer.mask, states - mean)
    covariance = jnp.einsum("tbi,tbj->ij", centered, centered)
    values, vectors = jnp.linalg.eigh(covariance)
    directions = vectors[:, ::-1][:, :components].T
    share = values[::-1][:components] / jnp.maximum(jnp.sum(values), 1e-30)
    points = jnp.where(valid, centered @ directions.T, jnp.nan)
    return Trajectories(points, directions, share)


def plot_trajectories(found: Trajectories, title: str = "", sequences: int = 6) -> Figure:
    """Plots the paths of some sequences: a circle where each starts, a square where it ends.

    Long ones are easier to follow if only some steps of `points` are given.

    Example:
      figure = analysis.plot_trajectories(analysis.trajectories(layer))
    """
    drawn, axes = style.figure(6.0, 5.0)
    points = np.asarray(found.points)
    if points.shape[-1] == 1:  # a single component against the step
        steps = np.broadcast_to(np.arange(len(points))[:, None, None], points.shape)
        points = np.concatenate([np.where(np.isnan(points), np.nan, steps), points], axis=-1)
    for index in range(min(sequences, points.shape[1])):
        path = points[~np.isnan(points[:, index, 0]), index, :2]
        look = style.line(index)
        axes.plot(path[:, 0], path[:, 1], alpha=0.7, **(look | {"linewidth": 1.0}))
        axes.plot(*path[:1].T, "o", *path[-1:].T, "s", color=look["color"])
    names = [f"component {k}, {v:.0%} of the variance" for k, v in enumerate(found.explained, 1)]
    first, second = ["step", *names][:2] if len(names) == 1 else names[:2]
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    axes.set_title(title)
    return drawn
