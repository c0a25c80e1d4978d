"""Quantiles of what is to come: how they are made not to cross, and how they are judged."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def around(point: jax.Array, raw: jax.Array) -> jax.Array:
    """Quantiles that cannot cross, about a point forecast.

        q_m = point + raw_m
        q_k = q_{k−1} + softplus(raw_k) above the middle one m
        q_k = q_{k+1} − softplus(raw_k) below it

    Args:
        point: [...].
        raw: any numbers [..., Q].

    Returns:
        Quantiles [..., Q], each at least as large as the one before.
    """
    middle = raw.shape[-1] // 2
    gaps = jax.nn.softplus(raw)
    below = -jnp.cumsum(gaps[..., :middle][..., ::-1], axis=-1)[..., ::-1]
    above = jnp.cumsum(gaps[..., middle + 1 :], axis=-1)
    offsets = jnp.concatenate([below, jnp.zeros_like(point)[..., None], above], axis=-1)
    return (point + raw[..., middle])[..., None] + offsets


def pinball(truth: jax.Array, quantiles: jax.Array, levels: Sequence[float]) -> jax.Array:
    """The pinball loss, averaged over the levels.

        L_τ(y, q) = max(τ(y − q), (τ − 1)(y − q))

    Args:
        truth: y [...].
        quantiles: q [..., Q].
        levels: τ [Q].

    Returns:
        [...]. At τ = ½ alone it is half the absolute error.

    Source: Koenker & Bassett 1978, "Regression quantiles", Econometrica 46.
    """
    tau = jnp.asarray(levels, quantiles.dtype)
    errors = truth[..., None] - quantiles
    return jnp.maximum(tau * errors, (tau - 1) * errors).mean(axis=-1)


def interval(
    truth: jax.Array, quantiles: jax.Array, levels: Sequence[float]
) -> dict[str, jax.Array]:
    """Whether the interval between the outermost quantiles holds the truth, and its width.

    Args:
        truth: [...].
        quantiles: [..., Q].
        levels: in their order [Q]; of a single one there is no interval.

    Returns:
        "coverage", 0 or 1, and "width", each [...].
    """
    if len(levels) < 2:
        return {}
    low, high = quantiles[..., 0], quantiles[..., -1]
    return {"coverage": ((low <= truth) & (truth <= high)) * 1.0, "width": high - low}
