"""Choosing the next symbol: temperature, top-k and nucleus sampling."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def draw(
    key: jax.Array,
    logits: jax.Array,
    temperature: jax.Array | float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> jax.Array:
    """Draws a symbol from softmax(logits / temperature), restricted to the likeliest ones.

    Args:
        key: the random key.
        logits: [..., V].
        temperature: [...] or a number; 0 takes the likeliest symbol.
        top_k: keep only so many symbols.
        top_p: keep only the smallest set of symbols with at least this total mass.

    Returns:
        Symbols [...], integers below V.

    Raises:
        ValueError: if top_k is not in 1..V or top_p not in (0, 1].
    """
    temperature = jnp.broadcast_to(jnp.asarray(temperature, logits.dtype), logits.shape[:-1])
    scaled = logits / jnp.where(temperature > 0, temperature, 1.0)[..., None]
    drawn = jax.random.categorical(key, restrict(scaled, top_k, top_p))
    return jnp.where(temperature > 0, drawn, jnp.argmax(logits, axis=-1))


def restrict(logits: jax.Array, top_k: int | None = None, top_p: float | None = None) -> jax.Array:
    """Sets the logits of all but the likeliest symbols to minus infinity.

    With both options the nucleus is taken among the top k, renormalized.

    Args:
        logits: [..., V].
        top_k: keep exactly so many symbols; among equals, the first.
        top_p: keep the smallest set of likeliest symbols with at least this total mass (the
            nucleus: Holtzman et al. 2020, arXiv:1904.09751).

    Returns:
        Logits [..., V].

    Raises:
        ValueError: if top_k is not in 1..V or top_p not in (0, 1].

    Example:
        >>> restrict(jnp.log(jnp.array([0.5, 0.3, 0.2])), top_k=1).tolist()
        [-0.6931471824645996, -inf, -inf]
    """
    size = logits.shape[-1]
    if top_k is not None and not 1 <= top_k <= size:
        raise ValueError(
            f"top_k is {top_k}, it must be between 1 and {size}, the symbols there are"
        )
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, it must be above 0 and at most 1")
    order = jnp.argsort(logits, axis=-1, descending=True)
    rank = jnp.argsort(order, axis=-1)
    if top_k is not None:
        logits = jnp.where(rank < top_k, logits, -jnp.inf)
    if top_p is not None:
        mass = jax.nn.softmax(jnp.take_along_axis(logits, order, axis=-1))
        before = jnp.cumsum(mass, axis=-1) - mass
        logits = jnp.where(jnp.take_along_axis(before < top_p, rank, axis=-1), logits, -jnp.inf)
    return logits
