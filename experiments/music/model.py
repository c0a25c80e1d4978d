"""The model of music: which notes sound in the next frame."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from experiments.serving.model import Inputs, Served
from experiments.task import Mean, apply
from lstm_jax.linen import Recurrent
from lstm_jax.trees import from_dict


class Chords(NamedTuple):
    """Padded pieces: piano rolls [T + 1, B, notes] and how many frames of each are real [B]."""

    roll: np.ndarray
    lengths: np.ndarray


class MusicModel(nn.Module):
    """A recurrent network, dropout, and a linear layer to the log-odds of every note.

    Attributes:
        network: of frames [notes].
        log_odds: those of each note before anything is learnt, the layer's first biases: steps as
            long as the learning rate would take long to those of notes that hardly ever sound.
        dropout: on what the layer reads.
    """

    network: Any
    log_odds: tuple[float, ...]
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self,
        frames: jax.Array,
        state: Any = None,
        lengths: jax.Array | None = None,
        deterministic: bool = True,
    ) -> tuple[Any, jax.Array]:
        """Maps frames [T, B, notes] to the state after them and logits of the next ones."""
        state, ys = Recurrent(self.network, time_major=True)(
            frames, initial_state=state, lengths=lengths, deterministic=deterministic
        )
        ys = nn.Dropout(self.dropout)(ys, deterministic=deterministic)
        bias = jnp.asarray(self.log_odds, jnp.float32)
        return state, nn.Dense(len(self.log_odds), bias_init=lambda *_: bias)(ys)

    def served(self, params: Any) -> Served:
        """The model with its parameters, as it serves: the log-odds of the next frame's notes."""
        own = params["params"]
        network = from_dict(self.network, own["Recurrent_0"]["network"])
        readout = own["Dense_0"]
        inputs = Inputs(len(self.log_odds))
        return Served(inputs, self.network, network, readout["kernel"], readout["bias"])


def loss(
    model: MusicModel, params: Any, carry: tuple, batch: Chords, key: jax.Array | None
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """Negative log-likelihood in nats of the frames after the first, averaged over them."""
    lengths = jnp.maximum(batch.lengths - 1, 0)
    _, logits = apply(model, params, batch.roll[:-1], lengths=lengths, key=key)
    nats = optax.sigmoid_binary_cross_entropy(logits.astype(jnp.float32), batch.roll[1:])
    valid = jnp.arange(nats.shape[0])[:, None] < lengths
    mean = Mean.of(nats.sum(axis=-1), valid)
    return mean.total / mean.weight, (carry, {"nll": mean})
