"""What the tasks of labelled sequences are read by: a recurrent network and a linear layer."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from lstm_jax.linen import Recurrent


class Readout(nn.Module):
    """A recurrent network, dropout, and a linear layer over each output or over one a sequence.

    Attributes:
        network: a cell, a stack or a bidirectional network.
        outputs: the width K of the linear layer.
        pooling: what that reads: "steps", each output; "last", the one where each direction ends;
            "mean", their mean over the valid steps.
        bidirectional: whether the first half of an output runs forward, and the second backward.
        dropout: of what the linear layer reads, in training.
    """

    network: Any
    outputs: int
    pooling: str = "last"
    bidirectional: bool = False
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, inputs: jax.Array, lengths: jax.Array, deterministic: bool = True
    ) -> jax.Array:
        """Maps inputs [T, B, D] with lengths [B] to [B, K], or with "steps" to [T, B, K]."""
        _, ys = Recurrent(self.network, time_major=True)(
            inputs, lengths=lengths, deterministic=deterministic
        )
        read = self.pool(ys, lengths)
        read = nn.Dropout(self.dropout)(read, deterministic=deterministic)
        return nn.Dense(self.outputs)(read)

    def pool(self, ys: jax.Array, lengths: jax.Array) -> jax.Array:
        """What is read of the outputs ys [T, B, H] of sequences, which are 0 in their padding."""
        if self.pooling == "steps":
            return ys
        if self.pooling == "mean":
            return ys.sum(axis=0) / jnp.maximum(lengths, 1)[:, None]
        last = ys[jnp.maximum(lengths - 1, 0), jnp.arange(lengths.shape[0])]
        if not self.bidirectional:
            return last
        half = ys.shape[-1] // 2
        return jnp.concatenate([last[:, :half], ys[0, :, half:]], axis=-1)
