"""A sequence model as it serves: inputs, a recurrent network, a linear layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj


class Inputs(NamedTuple):
    """What a step of a sequence is, and what the network reads of it.

        x = scale·v + shift,  v a row of the embedding, a one-hot symbol or the numbers themselves

    Attributes:
        size: D, the width of x.
        symbols: V, where a step is the number of a symbol; 0, where it is D numbers.
        embedding: [V, D]; None for one-hot symbols.
        scale: as above.
        shift: as above.
        names: what each symbol is, where there are symbols.
    """

    size: int
    symbols: int = 0
    embedding: Any = None
    scale: float = 1.0
    shift: float = 0.0
    names: tuple[str, ...] = ()

    def step(self) -> jax.ShapeDtypeStruct:
        """One step of one sequence: [] int32 or [D] float32."""
        if self.symbols:
            return jax.ShapeDtypeStruct((), jnp.int32)
        return jax.ShapeDtypeStruct((self.size,), jnp.float32)

    def read(self, given: jax.Array) -> jax.Array:
        """Maps steps [..., D] or symbols [...] to what the network reads, [..., D]."""
        if self.embedding is not None:
            v = self.embedding[given]
        else:
            v = jax.nn.one_hot(given, self.symbols) if self.symbols else given
        return self.scale * v + self.shift


class Served(NamedTuple):
    """A trained sequence model, its parameters in it.

        y = W·pool(network(x)) + b

    Attributes:
        inputs: what comes in.
        network: a cell, a stack or a bidirectional network.
        params: its parameters, quantized or not.
        kernel: W [H, K].
        bias: b [K].
        pooling: what W reads, see `pool`.
        halves: whether half of the network's output runs backward.
        names: what each of the K outputs is about; () where they have no names.
    """

    inputs: Inputs
    network: Any
    params: Any
    kernel: jax.Array
    bias: jax.Array
    pooling: str = "steps"
    halves: bool = False
    names: tuple[str, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether it can be fed step by step: all it needs lies behind it."""
        return self.pooling != "mean" and _runs_forward(self.network)

    def whole(
        self, given: jax.Array, lengths: jax.Array, state: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Reads whole sequences, or the next part of each.

        Args:
            given: [T, B, D], or symbols [T, B].
            lengths: how many steps of each are real [B].
            state: where each starts, packed as `lj.Stream` has it [B, S]; zeros are a fresh one.

        Returns:
            The state after them [B, S], and the outputs: [T, B, K], or [B, K] where they are
            pooled.
        """
        stream = lj.stream(self.network, self.params)
        state, ys = lj.unroll(
            self.network, self.params, self.inputs.read(given), stream.unpack(state), lengths
        )
        read = pool(ys, lengths, self.pooling, self.halves)
        return stream.pack(state), read @ self.kernel + self.bias

    def step(self, state: jax.Array, given: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Reads one step more: state [B, S] and [B, D], or symbols [B] -> state and y [B, K].

        Where whole sequences are pooled, y is what the model says of those that end here.
        """
        stream = lj.stream(self.network, self.params)
        state, y = self.network.step(self.params, stream.unpack(state), self.inputs.read(given))
        return stream.pack(state), y @ self.kernel + self.bias

    def fresh(self, batch_size: int) -> jax.Array:
        """The packed state [B, S] of sequences that begin."""
        return lj.stream(self.network, self.params).initial_state(batch_size)


def pool(ys: jax.Array, lengths: jax.Array, pooling: str, halves: bool) -> jax.Array:
    """What a linear layer reads of the outputs ys [T, B, H] of sequences, 0 in their padding.

    Args:
        ys: [T, B, H].
        lengths: [B].
        pooling: "steps", each output; "last", the one where each direction ends; "mean", their mean
            over the valid steps.
        halves: whether the first half of an output runs forward, and the second backward.

    Returns:
        [T, B, H] with "steps", else [B, H].
    """
    if pooling == "steps":
        return ys
    if pooling == "mean":
        return ys.sum(axis=0) / jnp.maximum(lengths, 1)[:, None]
    last = ys[jnp.maximum(lengths - 1, 0), jnp.arange(lengths.shape[0])]
    if not halves:
        return last
    half = ys.shape[-1] // 2
    return jnp.concatenate([last[:, :half], ys[0, :, half:]], axis=-1)


def _runs_forward(network: Any) -> bool:
    if isinstance(network, lj.Cell):
        return True
    return hasattr(network, "layers") and all(map(_runs_forward, network.layers))
