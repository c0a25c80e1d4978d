"""Cross-entropy over a large vocabulary, a few rows of logits at a time."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

HELD = 2**22  # logits that a loss holds at a time, if nothing else is said


class LogLinear(NamedTuple):
    """Logits of V symbols that are linear in features, not computed yet.

    Attributes:
        features: [..., F].
        kernel: [F, V].
        bias: [V].
    """

    features: jax.Array
    kernel: jax.Array
    bias: jax.Array

    def logits(self) -> jax.Array:
        """features · kernel + bias [..., V]."""
        return self.features @ self.kernel + self.bias

    def nats(self, targets: jax.Array, held: int = HELD) -> jax.Array:
        """The cross-entropy of targets [...], with about `held` logits at a time."""
        chunk = max(held // len(self.bias), 1)
        return cross_entropy(*self, targets, chunk)


def cross_entropy(
    features: jax.Array, kernel: jax.Array, bias: jax.Array, targets: jax.Array, chunk: int
) -> jax.Array:
    """Nats of each target under softmax(features · kernel + bias).

    The backward pass computes the logits of each chunk once more, so that neither pass holds more
    than `chunk` rows of them.

    Args:
        features: [..., F].
        kernel: [F, V].
        bias: [V].
        targets: symbols [...], integers below V.
        chunk: the largest number of rows at a time.

    Returns:
        Nats [...], float32.

    Example:
        >>> nats = cross_entropy(features, kernel, bias, targets, chunk=256)
    """

    def rows(part: tuple[jax.Array, jax.Array]) -> jax.Array:
        logits = jnp.matmul(part[0], kernel, preferred_element_type=jnp.float32) + bias
        return optax.softmax_cross_entropy(logits, jax.nn.one_hot(part[1], kernel.shape[1]))

    count = targets.size
    parts = -(-count // chunk)
    if parts <= 1:
        return rows((features, targets))
    size = -(-count // parts)
    padding = parts * size - count
    flat = jnp.pad(features.reshape(count, -1), ((0, padding), (0, 0)))
    padded = jnp.pad(targets.reshape(count), (0, padding))
    pieces = flat.reshape(parts, size, -1), padded.reshape(parts, size)
    nats = jax.lax.map(jax.checkpoint(rows), pieces)
    return nats.reshape(-1)[:count].reshape(targets.shape)
