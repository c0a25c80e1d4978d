"""Steps that would do harm are skipped: a loss or gradient that is not finite, a loss spike.

The skipping is optax's (`optax.apply_if_finite`): a step is skipped by handing it gradients of NaN.
The parameters, the optimizer's state and the carry then stay as they were. After
`config.train.bad_steps` skipped steps in a row a member stands still, so that the host, which looks
only now and then, finds it as it was before the first of them.

A spike, where `config.train.spike` is set, is a loss that lies more than so many standard
deviations above the mean of the latest 128 losses that were not skipped; the first 128 are none.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

HISTORY = 128
NEVER = np.iinfo(np.int32).max  # optax would apply bad updates after so many


def guarded(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer, which skips updates that are not finite and counts them."""
    return optax.apply_if_finite(optimizer, NEVER)


def no_losses(config: ConfigDict) -> Any:
    """The latest losses of a run that has none yet: NaN [HISTORY], () if spikes do not matter."""
    return jnp.full(HISTORY, jnp.nan) if config.train.spike else ()


def sound(
    loss: jax.Array, norm: jax.Array, skips: jax.Array, losses: Any, config: ConfigDict
) -> jax.Array:
    """Whether a step is to be taken.

    Args:
        loss: its loss.
        norm: the norm of its gradient.
        skips: how many steps before it were skipped, in a row.
        losses: the latest losses, oldest first.
        config: the run's configuration.
    """
    fine = jnp.isfinite(loss) & jnp.isfinite(norm) & (skips < config.train.bad_steps)
    if config.train.spike:  # a comparison with NaN is false
        fine &= ~(loss > losses.mean() + config.train.spike * losses.std())
    return fine


def remember(losses: Any, loss: jax.Array, fine: jax.Array) -> Any:
    """The latest losses after a step."""
    longer = jax.tree.map(lambda old: jnp.roll(old, -1).at[-1].set(loss), losses)
    return keep(fine, longer, losses)


def keep(fine: jax.Array, new: Any, otherwise: Any) -> Any:
    """`new` after a step that was taken; else `otherwise`, a tree like it or a number."""
    if isinstance(otherwise, float):
        return jax.tree.map(lambda leaf: jnp.where(fine, leaf, otherwise), new)
    return jax.tree.map(lambda a, b: jnp.where(fine, a, b), new, otherwise)
