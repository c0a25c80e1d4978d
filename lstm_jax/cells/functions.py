"""The functions that gate equations are written with."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.types import Affine, Params

Activation = Callable[[Array], Array]


@jax.custom_jvp
def tanh(z: Array) -> Array:
    """tanh(z), with its derivative 1 − tanh²(z) as one factor."""
    return jnp.tanh(z)


@tanh.defjvp
def _tanh_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    y = tanh(*primals)
    return y, tangents[0] * (1 - y * y)


@jax.custom_jvp
def sigmoid(z: Array) -> Array:
    """σ(z) = ½ tanh(z/2) + ½: never overflows, and vectorizes as well as tanh does.

    Its derivative, σ(z)(1 − σ(z)), is one factor.
    """
    return 0.5 * jnp.tanh(0.5 * z) + 0.5


@sigmoid.defjvp
def _sigmoid_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    y = sigmoid(*primals)
    return y, tangents[0] * (y * (1 - y))


def split(z: Array, blocks: int) -> list[Array]:
    """The gate blocks [B, H] of z [B, G·H]."""
    return jnp.split(z, blocks, axis=-1)


def row(vector: Array, like: Array) -> Array:
    """A parameter [H] as [1, ..., H], to stand beside an array of the same last axis."""
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)


def clipper(bound: float | None) -> Callable[[Array], Array]:
    """Clips to [−bound, bound]; the identity for None."""
    if bound is None:
        return lambda c: c
    limit = float(bound)  # JAX takes no integer beyond 32 bits
    return lambda c: jnp.clip(c, -limit, limit)


def peepholes(params: Params, affine: Affine) -> Callable[[int, Array, Array], Array]:
    """Lets gates look at the cell state.

    Returns:
      `look(k, z, c)`: z + p_k ⊙ c with diagonal peepholes [gates, H], z + c P_k with full ones
      [gates, H, H], z without.
    """
    p = params.peephole

    def look(k: int, z: Array, c: Array) -> Array:
        if p is None:
            return z
        if p.ndim == 2:
            return z + row(p[k], c) * c
        return affine(z, c, p[k])

    return look


def layer_norm(v: Array, scale: Array, offset: Array) -> Array:
    """LN(v) over the last axis, ε = 1e-5, then scale and offset (Ba et al. 2016, equation 4).

    In float32 at least: a small variance magnifies what half precision rounds off.
    """
    dtype = v.dtype
    v = v.astype(jnp.promote_types(dtype, jnp.float32))
    centered = v - v.mean(axis=-1, keepdims=True)
    variance = (centered * centered).mean(axis=-1, keepdims=True)
    normed = row(scale, v) * (centered * jax.lax.rsqrt(variance + 1e-5)) + row(offset, v)
    return normed.astype(dtype)
