"""A recurrent network that writes a text about a memory, with or without attention."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from experiments.language.attention import ATTENTION, Memory
from experiments.language.pointer import Pointer
from lstm_jax.linen import Recurrent


class DecoderState(NamedTuple):
    """The network's state, and its latest output [B, P]."""

    network: Any
    output: jax.Array


class Text(NamedTuple):
    """Padded sequences of symbols [S, B] and their lengths [B]."""

    symbols: jax.Array | np.ndarray
    lengths: jax.Array | np.ndarray


class TextEncoder(nn.Module):
    """An embedding and a recurrent network, usually bidirectional, whose outputs are the memory."""

    network: Any
    symbols: int
    embedding: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, text: Text, deterministic: bool = True) -> Memory:
        """Reads a text."""
        xs = nn.Embed(self.symbols, self.embedding)(text.symbols)
        xs = nn.Dropout(self.dropout)(xs, deterministic=deterministic)
        _, ys = Recurrent(self.network, time_major=True)(
            xs, lengths=text.lengths, deterministic=deterministic
        )
        ys = nn.Dropout(self.dropout)(ys, deterministic=deterministic)
        mask = jnp.arange(ys.shape[0]) < text.lengths[:, None]
        return Memory(jnp.swapaxes(ys, 0, 1), mask, symbols=text.symbols.T)


class Decoder(nn.Module):
    """Predicts each next symbol from those before it and from a memory.

        r_t = tanh(W_r [h_t; context_t]),  logits_t = E r_t + b

    with E the embedding of the symbols (Press & Wolf 2017, arXiv:1608.05859). The network's first
    state is an affine function, squashed by tanh, of the memory's mean. "luong" attends with h_t
    after all steps of the network; "bahdanau" attends with h_{t-1} and feeds the context to the
    network with the symbol; "none" knows the memory by its first state alone.

    Attributes:
        network: any cell or stack.
        symbols: how many there are.
        embedding: the size of their embedding.
        attention: "none", "bahdanau" or "luong".
        dropout: on the embedding and on r.
        pointer: whether it can copy what the memory's symbols are, where attention looks; then it
            gives log-probabilities in place of logits, see `Pointer`.
    """

    network: Any
    symbols: int
    embedding: int
    attention: str = "luong"
    dropout: float = 0.0
    pointer: bool = False

    def setup(self) -> None:
        self.embed = nn.Embed(self.symbols, self.embedding)
        self.bias = self.param("bias", nn.initializers.zeros, (self.symbols,))
        by_step = self.attention == "bahdanau"
        self.recurrent = Recurrent(
            self.network, time_major=True, method="scan" if by_step else "auto"
        )
        fresh = jax.tree.leaves(jax.eval_shape(lambda: self.network.initial_state(1)))
        self.bridge = [nn.Dense(leaf.shape[-1]) for leaf in fresh]
        self.readout = nn.Dense(self.embedding)
        self.drop = nn.Dropout(self.dropout)
        if self.attention != "none":
            self.attend = ATTENTION[self.attention](self.network.output_size)
        if self.pointer:
            self.point = Pointer()

    def start(self, memory: Memory) -> tuple[Memory, DecoderState]:
        """The memory with its keys, and the state before the first symbol."""
        count = jnp.maximum(memory.mask.sum(axis=1, keepdims=True), 1)
        mean = (memory.values * memory.mask[..., None]).sum(axis=1) / count
        fresh = self.network.initial_state(mean.shape[0])
        leaves, form = jax.tree.flatten(fresh)
        firsts = [
            jnp.tanh(bridge(mean)).astype(leaf.dtype)
            for bridge, leaf in zip(self.bridge, leaves, strict=True)
        ]
        output = jnp.zeros((mean.shape[0], self.network.output_size), mean.dtype)
        if self.attention != "none":
            memory = memory._replace(keys=self.attend.keys(memory.values))
        return memory, DecoderState(jax.tree.unflatten(form, firsts), output)

    def __call__(
        self, symbols: jax.Array, state: DecoderState, memory: Memory, deterministic: bool = True
    ) -> tuple[DecoderState, jax.Array, jax.Array]:
        """Reads symbols [T, B]; the memory and the first state are those of `start`.

        Returns:
            The state after them, logits of the symbols that follow [T, B, symbols] in float32, and
            the weights of attention [T, B, S], all zero without attention.
        """
        xs = self.drop(self.embed(symbols), deterministic=deterministic)
        if self.attention == "bahdanau":
            state, (hs, contexts, weights) = self._step_by_step(xs, state, memory, deterministic)
        else:
            state, hs = self._run(xs, state, deterministic)
            contexts, weights = self._look(hs, memory)
        read = jnp.tanh(self.readout(jnp.concatenate([hs, contexts], axis=-1)))
        read = self.drop(read, deterministic=deterministic)
        logits = self.embed.attend(read).astype(jnp.float32) + self.bias
        if self.pointer:
            features = jnp.concatenate([hs, contexts, xs], axis=-1)
            logits = self.point(logits, weights, features, memory.symbols)
        return state, logits, weights

    def _run(
        self, xs: jax.Array, state: DecoderState, deterministic: bool
    ) -> tuple[DecoderState, jax.Array]:
        network, hs = self.recurrent(xs, initial_state=state.network, deterministic=deterministic)
        return DecoderState(network, hs[-1].astype(state.output.dtype)), hs

    def _look(self, hs: jax.Array, memory: Memory) -> tuple[jax.Array, jax.Array]:
        if self.attention == "none":
            nothing = jnp.zeros((*hs.shape[:-1], memory.mask.shape[1]), hs.dtype)
            return hs[..., :0], nothing
        return self.attend(hs, memory)

    def _step_by_step(
        self, xs: jax.Array, state: DecoderState, memory: Memory, deterministic: bool
    ) -> tuple[DecoderState, tuple[jax.Array, jax.Array, jax.Array]]:
        def step(self: Decoder, state: DecoderState, x: jax.Array) -> tuple:
            context, weights = self.attend(state.output, memory)
            x = jnp.concatenate([x, context], axis=-1)[None]
            state, hs = self._run(x, state, deterministic)
            return state, (hs[0], context, weights)

        scan = nn.scan(
            step, variable_broadcast="params", split_rngs={"params": False, "dropout": True}
        )
        return scan(self, state, xs)


class EncoderDecoder(nn.Module):
    """Sutskever et al. 2014 (arXiv:1409.3215): one network reads, another one writes."""

    encoder: nn.Module
    decoder: Decoder

    def __call__(
        self, inputs: Any, symbols: jax.Array, deterministic: bool = True
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [T, B, symbols] and attention [T, B, S] while reading the symbols [T, B]."""
        memory, state = self.read(inputs, deterministic)
        return self.write(symbols, state, memory, deterministic)[1:]

    def read(self, inputs: Any, deterministic: bool = True) -> tuple[Memory, DecoderState]:
        """The memory of some inputs, and the decoder's first state."""
        return self.decoder.start(self.encoder(inputs, deterministic))

    def write(
        self, symbols: jax.Array, state: DecoderState, memory: Memory, deterministic: bool = True
    ) -> tuple[DecoderState, jax.Array, jax.Array]:
        """See `Decoder.__call__`."""
        return self.decoder(symbols, state, memory, deterministic)
