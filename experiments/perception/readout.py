"""What the tasks of labelled sequences are read by: a recurrent network and a linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.serving.model import Inputs, Served, pool
from lstm_jax.linen import Recurrent
from lstm_jax.recurrence.checks import lowest
from lstm_jax.trees import from_dict


class Readout(nn.Module):
    """A recurrent network, dropout, and a linear layer over each output or over one a sequence.

    Attributes:
        network: a cell, a stack or a bidirectional network.
        outputs: the width K of the linear layer.
        pooling: what that reads, see `pool`.
        bidirectional: whether the first half of an output runs forward, and the second backward.
        dropout: of what the linear layer reads, in training.
        mean: what is subtracted from the inputs, whatever their dtype.
        deviation: what they are then divided by.
    """

    network: Any
    outputs: int
    pooling: str = "last"
    bidirectional: bool = False
    dropout: float = 0.0
    mean: float = 0.0
    deviation: float = 1.0

    @nn.compact
    def __call__(
        self, inputs: jax.Array, lengths: jax.Array, deterministic: bool = True
    ) -> jax.Array:
        """Maps inputs [T, B, D] with lengths [B] to [B, K], or with "steps" to [T, B, K]."""
        standardized = (inputs.astype(jnp.float32) - self.mean) / self.deviation
        _, ys = Recurrent(self.network, time_major=True)(
            standardized, lengths=lengths, deterministic=deterministic
        )
        read = pool(ys, lengths, self.pooling, self.bidirectional)
        read = nn.Dropout(self.dropout)(read, deterministic=deterministic)
        return nn.Dense(self.outputs)(read)

    def served(self, params: Any, names: Sequence[str] = ()) -> Served:
        """The model with its parameters, as it serves; `names` are those of the K outputs."""
        own = params["params"]
        network = from_dict(self.network, own["Recurrent_0"]["network"])
        size = lowest(network).kernel.shape[-2]
        return Served(
            Inputs(size, scale=1 / self.deviation, shift=-self.mean / self.deviation),
            self.network,
            network,
            own["Dense_0"]["kernel"],
            own["Dense_0"]["bias"],
            self.pooling,
            self.bidirectional,
            tuple(names),
        )
