"""Gate blocks, one by one: how loops over time read and write what is G·H wide.

XLA on the CPU compiles a loop's elementwise part to vector instructions only if each array that it
reads at step t is used whole. Where [B, G·H] is cut out of a sequence and the gates out of that, it
falls back to one number at a time, which takes up to five times as long. So sequences enter a loop
as blocks [T, B, H], and are put side by side inside, where XLA sees through it.
"""

from __future__ import annotations

import jax.numpy as jnp
from chex import Array

from lstm_jax.types import Cell


def apart(cell: Cell, v: Array) -> list[Array]:
    """The blocks [..., H] of v [..., G·H]; v itself where it is no multiple of H wide."""
    size = cell.hidden_size
    if v.ndim < 2 or v.shape[-1] % size or v.shape[-1] == size:
        return [v]
    return [v[..., k : k + size] for k in range(0, v.shape[-1], size)]


def together(blocks: list[Array]) -> Array:
    """The blocks side by side."""
    return blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=-1)
