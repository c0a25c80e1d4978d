"""How outputs are compared with targets: losses, errors, and what else is worth reporting."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from experiments.long_lags.sampled import Verdict


def squared(outputs: jax.Array, targets: jax.Array) -> Verdict:
    """Squared and absolute errors of outputs [B, 1] against targets [B, 1]."""
    errors = outputs - targets
    return Verdict(loss=jnp.square(errors).sum(axis=-1), errors=jnp.abs(errors), extras={})


def classes(outputs: jax.Array, targets: jax.Array) -> Verdict:
    """Cross-entropy, errors of the softmax and accuracy of logits [B, K], targets one-hot."""
    correct = jnp.argmax(outputs, axis=-1) == jnp.argmax(targets, axis=-1)
    return Verdict(
        loss=optax.softmax_cross_entropy(outputs, targets),
        errors=jnp.abs(jax.nn.softmax(outputs) - targets),
        extras={"accuracy": correct.astype(outputs.dtype)},
    )


def symbols(outputs: jax.Array, targets: jax.Array) -> Verdict:
    """As `classes`, over logits and targets [T, B, K] of which all T steps are valid.

    The loss is the mean over the steps, in nats a symbol.
    """
    steps = jax.vmap(classes)(outputs, targets)
    return Verdict(
        loss=steps.loss.mean(axis=0),
        errors=jnp.moveaxis(steps.errors, 1, 0),
        extras={name: value.mean(axis=0) for name, value in steps.extras.items()},
    )
