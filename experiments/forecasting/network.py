"""What forecasts from a window: a reader, recurrent or feed-forward, between two normalisations."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.forecasting.quantiles import around
from lstm_jax.linen import Recurrent

EPSILON = 1e-2  # added to a window's variance, in which the training rows have 1
NORMALISATIONS = ("none", "last", "last_deviation")


class Forecast(NamedTuple):
    """The expected values point [L, B, C] and their quantiles [L, B, C, Q]."""

    point: Any
    quantiles: Any


def moments(window: jax.Array, kind: str) -> tuple[jax.Array, jax.Array]:
    """What is subtracted from a window and what it is then divided by.

    Args:
        window: [T, B, C].
        kind: of NORMALISATIONS.

    Returns:
        The level [B, C] and the deviation [B, C].
    """
    level, deviation = jnp.zeros_like(window[0]), jnp.ones_like(window[0])
    if kind != "none":
        level = window[-1]
    if kind.endswith("deviation"):
        deviation = jnp.sqrt(window.var(axis=0) + EPSILON)
    return level, deviation


class RecurrentReader(nn.Module):
    """The last output [N, H] of a network that reads `segment` values of [T, N, D] in a step."""

    network: Any
    segment: int

    @nn.compact
    def __call__(self, values: jax.Array, deterministic: bool = True) -> jax.Array:
        steps, count, width = values.shape
        cut = values.reshape(steps // self.segment, self.segment, count, width)
        cut = cut.swapaxes(1, 2).reshape(steps // self.segment, count, self.segment * width)
        _, ys = Recurrent(self.network, time_major=True)(cut, deterministic=deterministic)
        return ys[-1]


class WindowReader(nn.Module):
    """All values of a window [T, N, D] at once: [N, T·D], or H units that are fed by them.

    Without units, the model about it is linear in the window: NLinear.
    """

    hidden_size: int | None = None

    @nn.compact
    def __call__(self, values: jax.Array, deterministic: bool = True) -> jax.Array:
        flat = values.swapaxes(0, 1).reshape(values.shape[1], -1)
        return flat if self.hidden_size is None else nn.relu(nn.Dense(self.hidden_size)(flat))


class Forecaster(nn.Module):
    """Forecasts all steps of the horizon at once from a window, about its own level.

        z = (x − level) / deviation,  ŷ = level + deviation·(W·reader(z) + b)

    W starts at 0, and so the first forecast is the level itself.

    Attributes:
        reader: from [T, N, D] to what W reads, [N, H].
        horizon: L.
        quantiles: Q.
        independent: whether each channel is forecast from itself, by the same weights.
        normalisation: of `NORMALISATIONS`.
        dropout: of what W reads, in training.

    Source: Kim et al. 2022, "Reversible instance normalization" (without its affine part); the
    last value in place of the mean is that of NLinear, and one model for all channels that of
    Zeng et al. 2023, arXiv:2205.13504.
    """

    reader: nn.Module
    horizon: int
    quantiles: int = 0
    independent: bool = True
    normalisation: str = "last"
    dropout: float = 0.0

    @nn.compact
    def __call__(self, window: jax.Array, deterministic: bool = True) -> Forecast:
        """Forecasts the L steps after windows [T, B, C]."""
        steps, batch, channels = window.shape
        level, deviation = moments(window, self.normalisation)
        values = (window - level) / deviation
        own = channels if self.independent else 1  # sequences of a window
        values = values.reshape(steps, batch * own, channels // own)
        read = self.reader(values, deterministic=deterministic)
        read = nn.Dropout(self.dropout)(read, deterministic=deterministic)
        width = self.horizon * (channels // own) * (1 + self.quantiles)
        out = nn.Dense(width, kernel_init=nn.initializers.zeros)(read)
        out = out.reshape(batch, own, self.horizon, channels // own, 1 + self.quantiles)
        out = out.transpose(2, 0, 1, 3, 4).reshape(self.horizon, batch, channels, -1)
        point, raw = out[..., 0], out[..., 1:]
        quantiles = around(point, raw) if self.quantiles else raw
        return Forecast(
            level + deviation * point, level[..., None] + deviation[..., None] * quantiles
        )
