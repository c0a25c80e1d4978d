"""The density of the pen's next offset and of the stroke's end (Graves 2013, arXiv:1308.0850)."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

LOG_SCALE = 7.0  # |log σ| at most: without a bound, a point that repeats has an infinite density
ARTANH = 6.0  # |artanh ρ| at most, so |ρ| < 0.99999


class Mixture(NamedTuple):
    """M bivariate Gaussians and a Bernoulli variable.

    Attributes:
        log_weights: log π [..., M], normalized.
        means: μ [..., M, 2].
        log_scales: log σ [..., M, 2], bounded by ±LOG_SCALE.
        artanh_correlations: artanh ρ [..., M], bounded by ±ARTANH; near ±1 it is exact where ρ
            itself is rounded.
        end_logits: log(e / (1 - e)) [...], e the probability that the stroke ends.
    """

    log_weights: jax.Array
    means: jax.Array
    log_scales: jax.Array
    artanh_correlations: jax.Array
    end_logits: jax.Array


def size(components: int) -> int:
    """How many outputs of a network make a mixture: 6M + 1."""
    return 6 * components + 1


def split(outputs: jax.Array) -> Mixture:
    """Reads outputs [..., 6M + 1] as a mixture, in float32 at least.

        π = softmax(π̂),  μ = μ̂,  σ = exp(σ̂),  ρ = tanh(ρ̂),  e = 1 / (1 + exp(-ê))

    Source: Graves 2013, equations 18 to 22, where ê has the other sign and nothing is bounded.
    """
    outputs = jnp.asarray(outputs, jnp.promote_types(outputs.dtype, jnp.float32))
    m = outputs.shape[-1] // 6
    weights, means, scales, correlations, end = jnp.split(outputs, (m, 3 * m, 5 * m, 6 * m), -1)
    pairs = (*outputs.shape[:-1], m, 2)
    return Mixture(
        jax.nn.log_softmax(weights),
        means.reshape(pairs),
        jnp.clip(scales.reshape(pairs), -LOG_SCALE, LOG_SCALE),
        jnp.clip(correlations, -ARTANH, ARTANH),
        end[..., 0],
    )


def negative_log_likelihood(mixture: Mixture, targets: jax.Array) -> jax.Array:
    """What targets cost, in nats.

        L = -log Σ_j π_j N(x | μ_j, σ_j, ρ_j) - log(e if the stroke ends else 1 - e)

    Args:
        mixture: of shape [...].
        targets: the offset and whether the stroke ends, 0 or 1 [..., 3].

    Returns:
        Losses [...].

    Source: Graves 2013, equations 23 to 26.
    """
    densities = _log_densities(mixture, targets[..., None, :2])
    offset = -jax.nn.logsumexp(mixture.log_weights + densities, axis=-1)
    return offset + optax.sigmoid_binary_cross_entropy(mixture.end_logits, targets[..., 2])


def _log_densities(mixture: Mixture, points: jax.Array) -> jax.Array:
    """log N [..., M] of points [..., 1, 2].

    With u and v the standardized coordinates and r = artanh ρ, the exponent of equation 24 is

        (u² + v² - 2ρuv) / (1 - ρ²) = ((u - v)²(1 + exp(2r)) + (u + v)²(1 + exp(-2r))) / 4

    and sqrt(1 - ρ²) = 1 / cosh(r), both without a difference of like numbers.
    """
    r = mixture.artanh_correlations
    standard = (points - mixture.means) * jnp.exp(-mixture.log_scales)
    u, v = standard[..., 0], standard[..., 1]
    exponent = (u - v) ** 2 * (1 + jnp.exp(2 * r)) + (u + v) ** 2 * (1 + jnp.exp(-2 * r))
    return _log_cosh(r) - math.log(2 * math.pi) - mixture.log_scales.sum(axis=-1) - exponent / 8


def _log_cosh(x: jax.Array) -> jax.Array:
    return jnp.logaddexp(x, -x) - math.log(2)


def sample(key: jax.Array, mixture: Mixture, bias: jax.Array | float = 0.0) -> jax.Array:
    """Draws offsets and ends of strokes.

        π = softmax(π̂(1 + b)),  σ = exp(σ̂ - b)

    Args:
        key: the random key.
        mixture: of shape [...].
        bias: b, 0 for the density itself; the larger, the neater and the more alike the strokes.

    Returns:
        Offsets and ends [..., 3], an end 0 or 1.

    Source: Graves 2013, section 5.4, equations 61 and 62.
    """
    choice, noise, end = jax.random.split(key, 3)
    chosen = jax.random.categorical(choice, mixture.log_weights * (1 + bias))[..., None]
    own = jnp.take_along_axis
    r = own(mixture.artanh_correlations, chosen, -1)[..., 0]
    means, log_scales = (
        own(values, chosen[..., None], -2)[..., 0, :]
        for values in (mixture.means, mixture.log_scales)
    )
    first, second = jnp.moveaxis(jax.random.normal(noise, means.shape, means.dtype), -1, 0)
    standard = jnp.stack([first, jnp.tanh(r) * first + second / jnp.cosh(r)], axis=-1)
    ends = jax.random.bernoulli(end, jax.nn.sigmoid(mixture.end_logits))
    offsets = means + jnp.exp(log_scales - bias) * standard
    return jnp.concatenate([offsets, ends[..., None].astype(offsets.dtype)], axis=-1)
