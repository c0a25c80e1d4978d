"""A model of running text: symbols in, the odds of the next symbol out; and writing with it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from experiments.config import ConfigError
from experiments.language import decoding
from experiments.language.samples import warn_of_unknown, write_samples
from experiments.language.softmax import LogLinear
from experiments.language.vocabulary import Vocabulary
from experiments.serving.model import Inputs, Served
from experiments.task import apply
from lstm_jax.linen import Recurrent
from lstm_jax.trees import from_dict

TEMPERATURES = (0.5, 0.8, 1.0)
PARAGRAPH_END = re.compile(r"\n\s*\n")


class Reading(NamedTuple):
    """What a model makes of symbols [T, B].

    Attributes:
        outputs: the network's outputs [T, B, H].
        dropped: these after dropout [T, B, H].
        following: what the logits of the next symbols are linear in.
    """

    outputs: jax.Array
    dropped: jax.Array
    following: LogLinear


class Output(nn.Module):
    """The kernel [features, symbols] and the bias [symbols] of a linear layer."""

    features: int
    symbols: int

    @nn.compact
    def __call__(self, kernel: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Returns the kernel, the given one where it is another layer's, and the bias."""
        if kernel is None:
            shape = (self.features, self.symbols)
            kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return kernel, self.param("bias", nn.initializers.zeros, (self.symbols,))


class LanguageModel(nn.Module):
    """One-hot or embedded symbols, a recurrent network, dropout, a linear layer to the next symbol.

    The network's own input product is the embedding of one-hot symbols. Inputs are scaled to a
    mean square of 1, the scale that initial kernels are made for: plain one-hot vectors drive the
    network so weakly that learning starts several times slower.

    Attributes:
        network: a cell or a stack.
        symbols: V.
        embedding: the size E of an embedding; 0: one-hot symbols.
        tied: whether the output kernel is the embedding transposed, after a projection to E where
            the network's outputs have another size (Press and Wolf 2017, arXiv:1608.05859).
        dropout: on the embedded symbols, and on the network's outputs.

    Example:
        >>> model = LanguageModel(lj.lstm(128), symbols=10_000, embedding=64, tied=True)
        >>> params = model.init(key, inputs, state)                # inputs [T, B]
        >>> state, logits = model.apply(params, inputs, state)     # logits [T, B, 10_000]
    """

    network: Any
    symbols: int
    embedding: int = 0
    tied: bool = False
    dropout: float = 0.0

    def __call__(
        self, inputs: jax.Array, state: Any, deterministic: bool = True
    ) -> tuple[Any, jax.Array]:
        """Maps symbols [T, B] and a state to the state after them and logits [T, B, symbols]."""
        state, reading = self.read(inputs, state, deterministic)
        return state, reading.following.logits()

    @nn.compact
    def read(
        self, inputs: jax.Array, state: Any, deterministic: bool = True
    ) -> tuple[Any, Reading]:
        """Maps symbols [T, B] and a state to the state after them and a `Reading`."""
        if self.embedding:
            embed = nn.Embed(self.symbols, self.embedding)
            xs = math.sqrt(self.embedding) * embed(inputs)
            xs = nn.Dropout(self.dropout)(xs, deterministic=deterministic)
        else:
            xs = math.sqrt(self.symbols) * jax.nn.one_hot(inputs, self.symbols)
        state, outputs = Recurrent(self.network, time_major=True)(
            xs, initial_state=state, deterministic=deterministic
        )
        dropped = features = nn.Dropout(self.dropout)(outputs, deterministic=deterministic)
        if self.tied and features.shape[-1] != self.embedding:
            features = nn.Dense(self.embedding, use_bias=False, name="projection")(features)
        output = Output(features.shape[-1], self.symbols, name="Dense_0")
        kernel, bias = output(embed.embedding.T if self.tied else None)
        return state, Reading(outputs, dropped, LogLinear(features, kernel, bias))

    def served(self, params: Any, names: Sequence[str] = ()) -> Served:
        """The model with its parameters, as it serves: logits of the next symbol."""
        own = params["params"]
        network = from_dict(self.network, own["Recurrent_0"]["network"])
        table = own["Embed_0"]["embedding"] if self.embedding else None
        size = self.embedding or self.symbols
        inputs = Inputs(size, self.symbols, table, math.sqrt(size), names=tuple(names))
        kernel = own["Embed_0"]["embedding"].T if self.tied else own["Dense_0"]["kernel"]
        if "projection" in own:
            kernel = own["projection"]["kernel"] @ kernel
        return Served(
            inputs, self.network, network, kernel, own["Dense_0"]["bias"], names=tuple(names)
        )


@partial(jax.jit, static_argnames=("model", "length", "top_k", "top_p"))
def generate(
    model: LanguageModel,
    params: Any,
    key: jax.Array,
    prompt: jax.Array,
    temperatures: jax.Array,
    length: int,
    top_k: int | None = None,
    top_p: float | None = None,
) -> jax.Array:
    """Goes on from a prompt, at several temperatures at once, in one scan.

    The unknown symbol, the last one, is never written.

    Args:
        model: the model.
        params: its parameters.
        key: the random key.
        prompt: symbols [P], at least one.
        temperatures: [B].
        length: how many symbols to write.
        top_k: see `decoding.draw`.
        top_p: see `decoding.draw`.

    Returns:
        Symbols [length, B].
    """

    def choose_next(logits: jax.Array, key: jax.Array) -> jax.Array:
        known = logits.astype(jnp.float32)[..., :-1]
        return decoding.draw(key, known, temperatures, top_k, top_p)

    def step(carry: tuple[Any, jax.Array], key: jax.Array) -> tuple[Any, jax.Array]:
        state, symbols = carry
        state, logits = apply(model, params, symbols[None], state)
        symbols = choose_next(logits[0], key)
        return (state, symbols), symbols

    count = temperatures.shape[0]
    read = jnp.broadcast_to(prompt[:, None], (prompt.shape[0], count))
    state, logits = apply(model, params, read, model.network.initial_state(count))
    keys = jax.random.split(key, length)
    first = choose_next(logits[-1], keys[0])
    _, rest = jax.lax.scan(step, (state, first), keys[1:])
    return jnp.concatenate([first[None], rest])


def sample(
    model: LanguageModel,
    known: Vocabulary,
    sentence_end: re.Pattern[str],
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str = "",
    length: int = 500,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    unit: str | None = None,
) -> None:
    """Prints texts that go on from a prompt and writes them to samples.txt.

    Args:
        model: the model.
        known: its vocabulary.
        sentence_end: where a sentence ends.
        params: its parameters.
        key: the random key.
        directory: where samples.txt goes.
        prompt: what the model reads first; nothing stands for a line end.
        length: the largest number of symbols that it writes.
        temperature: one temperature instead of TEMPERATURES.
        top_k: only the k likeliest symbols.
        top_p: only the likeliest symbols of this total mass.
        unit: "sentence" or "paragraph": each text ends with its first one.

    Raises:
        ConfigError: if an option is out of its range.
    """
    temperatures = TEMPERATURES if temperature is None else (temperature,)
    ends = {None: None, "sentence": sentence_end, "paragraph": PARAGRAPH_END}
    if length < 1:
        raise ConfigError(f"--length is {length}, it must be at least 1")
    if temperature is not None and not 0 <= temperature < math.inf:
        raise ConfigError(f"--temperature is {temperature:g}, it must be 0 or above and finite")
    if unit not in ends:
        raise ConfigError(f"--unit is {unit!r}, it must be sentence or paragraph")
    warn_of_unknown(prompt, known)
    read = known.encode(prompt)
    symbols = jnp.asarray(read if len(read) else known.encode("\n"))
    heats = jnp.array(temperatures, jnp.float32)
    try:
        written = generate(model, params, key, symbols, heats, length, top_k, top_p)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    texts = [
        f"--- temperature {heat:g} ---\n{continued(known, prompt, row, ends[unit])}\n"
        for heat, row in zip(temperatures, np.asarray(written).T, strict=True)
    ]
    write_samples(directory, texts)


def continued(
    known: Vocabulary, prompt: str, symbols: np.ndarray, end: re.Pattern[str] | None
) -> str:
    """A prompt and what was written after it, up to the first end of something not blank."""
    last, text = known.encode(prompt)[-1:], known.decode(symbols)
    blanks = 0 if prompt.rstrip() == prompt != "" else len(text) - len(text.lstrip())
    if end and (found := end.search(text, blanks)):
        text = text[: found.end()].rstrip()
    between = " " if len(last) and known.spaced[last[0]] and known.spaced[symbols[0]] else ""
    return prompt + between + text
