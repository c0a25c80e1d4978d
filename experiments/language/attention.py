"""Attention: what of a memory a decoder reads at each step."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn


class Memory(NamedTuple):
    """What an encoder read.

    Attributes:
        values: [B, S, M].
        mask: which of them are there, [B, S] bool.
        keys: what of the values attention compares queries with, [B, S, A]; None without attention.
        symbols: those that were read, [B, S]; None where the values stand for something else.
    """

    values: jax.Array
    mask: jax.Array
    keys: Any = None
    symbols: Any = None


class Bahdanau(nn.Module):
    """Additive attention.

        e_s = v · tanh(W q + U m_s),  α = softmax(e),  context = Σ_s α_s m_s

    Source: Bahdanau et al. 2015, arXiv:1409.0473, section A.1.2.

    Attributes:
        size: the length of v.
    """

    size: int

    def setup(self) -> None:
        self.key = nn.Dense(self.size)
        self.query = nn.Dense(self.size, use_bias=False)
        self.score = nn.Dense(1, use_bias=False)

    def keys(self, values: jax.Array) -> jax.Array:
        """U m_s [B, S, size], which no query changes."""
        return self.key(values)

    def __call__(self, query: jax.Array, memory: Memory) -> tuple[jax.Array, jax.Array]:
        """Contexts [..., B, M] and weights [..., B, S] of queries [..., B, Q]."""
        energy = jnp.tanh(self.query(query)[..., None, :] + memory.keys)
        return read(self.score(energy)[..., 0], memory)


class Luong(nn.Module):
    """Multiplicative attention with the general score.

        e_s = q · (W m_s),  α = softmax(e),  context = Σ_s α_s m_s

    Source: Luong et al. 2015, arXiv:1508.04025, equations 7 and 8.

    Attributes:
        size: the length Q of a query.
    """

    size: int

    def setup(self) -> None:
        self.key = nn.Dense(self.size, use_bias=False)

    def keys(self, values: jax.Array) -> jax.Array:
        """W m_s [B, S, Q], which no query changes."""
        return self.key(values)

    def __call__(self, query: jax.Array, memory: Memory) -> tuple[jax.Array, jax.Array]:
        """Contexts [..., B, M] and weights [..., B, S] of queries [..., B, Q]."""
        return read(jnp.einsum("...bq,bsq->...bs", query, memory.keys), memory)


def read(energies: jax.Array, memory: Memory) -> tuple[jax.Array, jax.Array]:
    """The contexts and weights of energies [..., B, S]; all zero where a memory is empty."""
    energies = jnp.where(memory.mask, energies.astype(jnp.float32), -1e30)
    weights = jnp.where(memory.mask, jax.nn.softmax(energies), 0.0).astype(memory.values.dtype)
    return jnp.einsum("...bs,bsm->...bm", weights, memory.values), weights


ATTENTION = {"bahdanau": Bahdanau, "luong": Luong}
