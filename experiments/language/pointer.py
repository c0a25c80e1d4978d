"""A pointer: a decoder that can copy what it reads."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

TINY = 1e-30  # the inverse of a smaller weight, in its gradient, is no number


class Pointer(nn.Module):
    """Mixes the words that a decoder writes with those that its attention points at.

        p(w) = g softmax(logits)_w + (1 - g) Σ_{s: x_s = w} α_s,  g = σ(W f + b)

    x are the symbols that were read and α the attention to them. A memory that is empty gives
    nothing to point at: its p sums to g, and in a softmax of log p the logits alone are left.

    Source: See et al. 2017, "Get to the point: summarization with pointer-generator networks",
    arXiv:1704.04368, equations 8 and 9.
    """

    @nn.compact
    def __call__(
        self, logits: jax.Array, weights: jax.Array, features: jax.Array, symbols: jax.Array
    ) -> jax.Array:
        """Mixes.

        Args:
            logits: of what the decoder writes [T, B, V].
            weights: of attention [T, B, S].
            features: f, what decides between writing and copying [T, B, F].
            symbols: x [B, S], numbered as what is written is.

        Returns:
            log p [T, B, V], float32.
        """
        gate = nn.Dense(1, name="gate")(features).astype(jnp.float32)
        written = jax.nn.log_sigmoid(gate) + jax.nn.log_softmax(logits.astype(jnp.float32))
        copied = jax.nn.log_sigmoid(-gate) + log_mass(weights, symbols, logits.shape[-1])
        return jnp.logaddexp(written, copied)


def log_mass(weights: jax.Array, symbols: jax.Array, size: int) -> jax.Array:
    """log Σ_{s: x_s = w} α_s of every symbol w [T, B, size]; -inf where there is none."""
    rows = jnp.arange(symbols.shape[0])[:, None]
    empty = jnp.zeros((*weights.shape[:2], size), jnp.float32)
    mass = empty.at[:, rows, symbols].add(weights.astype(jnp.float32))
    some = mass > TINY
    return jnp.where(some, jnp.log(jnp.where(some, mass, 1.0)), -jnp.inf)
