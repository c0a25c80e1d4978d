"""Initial values of parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

Initializer = Callable[..., Array]
"""`(key, shape, dtype) -> array`, as `jax.nn.initializers` has them."""

INITIALIZERS: dict[str, Initializer] = {
    "glorot": jax.nn.initializers.glorot_uniform(),
    "orthogonal": jax.nn.initializers.orthogonal(),
    "small_normal": jax.nn.initializers.normal(0.1),
}


@dataclasses.dataclass(frozen=True)
class chrono:
    """Chrono initialization: time constants spread up to T_max.

    log u with u ~ U(1, T_max − 1) for the bias of what is kept, its negative for what is written:
    an LSTM gets b_f = log u, b_i = −log u; a GRU with h' = (1 − z)⊙h + z⊙n gets b_z = −log u.

    Example:
      cell = lj.lstm(128, forget_bias=lj.chrono(784))

    Args:
      T_max: the longest time lag that the task asks for, at least 3.

    Source: Tallec & Ollivier 2018, "Can recurrent neural networks warp time?",
    arXiv:1804.11188, equations 15 and 16.
    """

    T_max: float

    def __post_init__(self) -> None:
        if not self.T_max >= 3:
            raise ValueError(f"chrono: T_max is {self.T_max}; give a time lag of 3 or more")

    def sample(self, key: PRNGKey, size: int, dtype: jnp.dtype) -> Array:
        """log u [size]."""
        return jnp.log(jax.random.uniform(key, (size,), dtype, 1.0, self.T_max - 1.0))


Bias = float | chrono


class Gating(NamedTuple):
    """The gate blocks of a cell, and which of them its bias option is about.

    blocks: a letter a block, in order.
    target: the block whose bias a number sets, "" if none.
    keep: the block that, when open, keeps the old state (chrono sets its bias to log u).
    write: the block that, when open, writes the new (chrono sets its bias to −log u).
    """

    blocks: str
    target: str = ""
    keep: str = ""
    write: str = ""


def gate_biases(key: PRNGKey, gating: Gating, size: int, bias: Bias, dtype: jnp.dtype) -> Array:
    """The initial bias [G·H]: zero, but for what `bias` (a number or chrono) sets."""
    values = {block: jnp.zeros((size,), dtype) for block in gating.blocks}
    if isinstance(bias, chrono):
        log_u = bias.sample(key, size, dtype)
        values |= dict.fromkeys(gating.keep, log_u)
        values |= dict.fromkeys(gating.write, -log_u)
    else:
        values |= {block: jnp.full((size,), bias, dtype) for block in gating.target}
    return jnp.concatenate([values[block] for block in gating.blocks])


def blockwise(
    initializer: str | Initializer,
    key: PRNGKey,
    rows: tuple[int, ...],
    size: int,
    blocks: int,
    dtype: jnp.dtype,
) -> Array:
    """A kernel [*rows, blocks·size], each [*rows, size] block initialized on its own."""
    make = INITIALIZERS[initializer] if isinstance(initializer, str) else initializer
    keys = jax.random.split(key, blocks)
    exact = jnp.promote_types(dtype, jnp.float32)
    kernels = [make(k, (*rows, size), exact) for k in keys]
    return jnp.concatenate(kernels, axis=-1).astype(dtype)


def headwise(
    initializer: str | Initializer,
    key: PRNGKey,
    heads: int,
    rows: tuple[int, ...],
    size: int,
    blocks: int,
    dtype: jnp.dtype,
) -> Array:
    """A kernel [heads, rows/heads, blocks·size/heads], `blockwise` in each head; of a single head
    without the first axis."""
    if heads == 1:
        return blockwise(initializer, key, rows, size, blocks, dtype)
    own = tuple(n // heads for n in rows), size // heads, blocks, dtype
    keys = jax.random.split(key, heads)
    return jnp.stack([blockwise(initializer, k, *own) for k in keys])
