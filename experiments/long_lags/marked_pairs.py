"""Sequences of pairs (value, marker), two of them marked: experiments 4 and 5 of 1997."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.long_lags.sampled import Sequences, integers

SHORTEST = 22  # a shorter minimal length has no room for two marked pairs


class MarkedPairs(NamedTuple):
    """Values in [0, 1) [T, B], which of them count [T, B], all markers [T, B] and lengths [B]."""

    values: jax.Array
    marked: jax.Array
    markers: jax.Array
    lengths: jax.Array


def draw(key: jax.Array, size: int, length: int) -> MarkedPairs:
    """Draws uniform values with two marks, of which one may be lost.

    One of the first ten pairs is marked, then one of the first length/2 - 1 pairs still unmarked.
    The first and the last pair carry the marker -1; a marked first pair keeps it, and its value
    does not count.

    Args:
        key: the random key.
        size: the number of sequences B.
        length: the minimal length; lengths are uniform in [length, 1.1 length], T is the longest.
    """
    longest = length + length // 10
    uniform = jax.random.uniform(key, (3 + longest, size))
    lengths = integers(uniform[0], length, longest + 1)
    first = integers(uniform[1], 0, 10)
    second = integers(uniform[2], 0, length // 2 - 1)
    second += second >= first
    step = jnp.arange(longest)[:, None]
    marked = ((step == first) | (step == second)) & (step > 0)
    ends = (step == 0) | (step == lengths - 1)
    markers = marked.astype(uniform.dtype) - ends.astype(uniform.dtype)
    return MarkedPairs(uniform[3:], marked, markers, lengths)


def sequences(pairs: MarkedPairs, values: jax.Array, targets: jax.Array) -> Sequences:
    """Inputs [T, B, 2] of values [T, B] and markers, zero after each end, with targets [B]."""
    step = jnp.arange(values.shape[0])[:, None]
    inputs = jnp.stack([values, pairs.markers], axis=-1) * (step < pairs.lengths)[..., None]
    return Sequences(inputs, pairs.lengths, targets[:, None])
