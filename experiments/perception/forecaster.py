"""A network that predicts a video's next frame, and goes on from its own predictions."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.task import apply
from lstm_jax.linen import Recurrent


class Forecaster(nn.Module):
    """A recurrent network over frames in patches, dropout, and a linear layer to the next frame.

    A patch of p by p pixels is one place with p² channels (Shi et al. 2015, arXiv:1506.04214). A
    network that is not spatial reads all of a frame's patches as one vector.
    """

    network: Any
    patch: int
    spatial: bool
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, frames: jax.Array, state: Any = None, deterministic: bool = True
    ) -> tuple[Any, jax.Array]:
        """Maps frames [T, B, H, W] to the state after them and logits of the next ones."""
        patches = to_patches(frames, self.patch)
        xs = patches if self.spatial else patches.reshape(*frames.shape[:2], -1)
        state, ys = Recurrent(self.network, time_major=True)(
            xs, initial_state=state, deterministic=deterministic
        )
        ys = nn.Dropout(self.dropout)(ys, deterministic=deterministic)
        logits = nn.Dense(xs.shape[-1])(ys).astype(jnp.float32)
        return state, to_frames(logits.reshape(patches.shape))


def to_patches(frames: jax.Array, patch: int) -> jax.Array:
    """Cuts frames [..., H, W] into patches [..., H / patch, W / patch, patch²]."""
    *lead, height, width = frames.shape
    rows, columns = height // patch, width // patch
    cut = frames.reshape(*lead, rows, patch, columns, patch)
    return cut.swapaxes(-3, -2).reshape(*lead, rows, columns, patch * patch)


def to_frames(patches: jax.Array) -> jax.Array:
    """Joins what `to_patches` has cut."""
    *lead, rows, columns, pixels = patches.shape
    patch = round(pixels**0.5)
    joined = patches.reshape(*lead, rows, columns, patch, patch).swapaxes(-3, -2)
    return joined.reshape(*lead, rows * patch, columns * patch)


@partial(jax.jit, static_argnames=("model", "ahead"))
def free_run(model: Forecaster, params: Any, truth: jax.Array, ahead: int) -> jax.Array:
    """Predicts several frames after some, the second of them from the first, and so on.

    Args:
        model: the model.
        params: its parameters.
        truth: the frames to read [T, B, H, W], in [0, 1].
        ahead: how many frames.

    Returns:
        [ahead, B, H, W], in [0, 1].
    """

    def step(carry: tuple[Any, jax.Array], _: None) -> tuple[Any, jax.Array]:
        state, frame = carry
        state, logits = apply(model, params, frame[None], state)
        return (state, jax.nn.sigmoid(logits[0])), frame

    state, logits = apply(model, params, truth)
    first = (state, jax.nn.sigmoid(logits[-1]))
    return jax.lax.scan(step, first, length=ahead)[1]


def partly_free_running(
    model: Forecaster, params: Any, truth: jax.Array, context: int, share: float, key: jax.Array
) -> jax.Array:
    """Puts predictions, as constants, in place of what follows the context in some videos.

    What a model reads in free running is thus what it has learnt to read, after Bengio et al. 2015,
    "Scheduled sampling", arXiv:1506.03099; but for whole videos, and as often from first to last.

    Args:
        model: the model.
        params: its parameters.
        truth: frames [T, B, H, W].
        context: how many of them stay.
        share: the probability that a video is one of those.
        key: decides which are.

    Returns:
        [T, B, H, W].
    """
    own = free_run(model, jax.lax.stop_gradient(params), truth[:context], len(truth) - context)
    chosen = jax.random.bernoulli(key, share, (truth.shape[1], 1, 1))
    return jnp.concatenate([truth[:context], jnp.where(chosen, own, truth[context:])])
