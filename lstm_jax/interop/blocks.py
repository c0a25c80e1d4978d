"""Gate blocks side by side: every library has them in an order, and some signs, of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def split(v: Any, names: str) -> dict[str, np.ndarray]:
    """The blocks of the last axis by name.

    Args:
      v: array [..., G·H].
      names: a letter for each of the G blocks, in their order.

    Returns:
      {letter: array [..., H]}.

    Raises:
      ValueError: the last axis does not divide into so many blocks.

    Example:
      >>> split(np.arange(4), "zn")
      {'z': array([0, 1]), 'n': array([2, 3])}
    """
    v = np.asarray(v)
    if v.shape[-1] % len(names):
        raise ValueError(f"{v.shape[-1]} columns do not divide into the blocks {' '.join(names)}")
    return dict(zip(names, np.split(v, len(names), axis=-1), strict=True))


def join(blocks: dict[str, np.ndarray], names: str) -> np.ndarray:
    """The inverse of `split`: the named blocks side by side, [..., G·H]."""
    return np.concatenate([blocks[name] for name in names], axis=-1)


def reorder(v: Any, names: str, wanted: str, negate: Iterable[str] = ()) -> np.ndarray:
    """Brings the blocks of the last axis into another order, some with the other sign.

    A gate whose complement another library computes, 1 − σ(z) = σ(−z), is negated: its columns of
    kernels and bias, and its peephole.

    Args:
      v: array [..., G·H].
      names: a letter for each block, in the order that v has.
      wanted: the same letters in the order that is wanted.
      negate: the letters of the blocks that change their sign.

    Returns:
      Array [..., G·H].

    Example:
      >>> reorder(np.arange(1, 4), "zrn", "rzn", negate="z")
      array([ 2, -1,  3])
    """
    blocks = split(v, names)
    return join(blocks | {name: -blocks[name] for name in negate}, wanted)
