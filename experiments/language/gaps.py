"""A model that predicts each word of a text from all its others, and fills gaps with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.language.softmax import LogLinear
from experiments.task import apply
from lstm_jax.linen import Recurrent

LOGITS = 2**23  # the largest number of them that a loss holds at a time
LONGEST_RUN = 3  # words in a row that are hidden at once

Read = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class GapModel(nn.Module):
    """Predicts every word of a text from the words before it and the words after it.

        r_i = tanh(W [f_{i-1}; b_{i+1}] + c),  p(x_i | the others) = softmax(E r_i + d)

    f_{i-1} is the output of one network after start, x_1 ... x_{i-1}, and b_{i+1} that of another
    one after end, x_n ... x_{i+1}. E is the embedding of the words that both read.

    Source: Melamud et al. 2016, "context2vec: learning generic context embedding with bidirectional
    LSTM", CoNLL; for E, Press and Wolf 2017, arXiv:1608.05859.

    Attributes:
        network: a cell or a stack, of which each direction has its own parameters.
        words: V, the number of words; the symbols V, V + 1 and V + 2 are start, end and hidden.
        embedding: the size of E.
        bidirectional: whether there is the network that reads backwards.
        dropout: on embedded words, and on the outputs of the networks.

    Example:
        >>> model = GapModel(lj.lstm(128), words=8000, embedding=128)
        >>> params = model.init(key, texts, lengths)                # texts [T, B], lengths [B]
        >>> logits = model.apply(params, texts, lengths).logits()   # [T, B, 8000]
    """

    network: Any
    words: int
    embedding: int
    bidirectional: bool = True
    dropout: float = 0.0

    @property
    def hidden(self) -> int:
        """The symbol that stands for a word that is not to be seen."""
        return self.words + 2

    @nn.compact
    def __call__(
        self, texts: jax.Array, lengths: jax.Array, deterministic: bool = True
    ) -> LogLinear:
        """Reads texts [T, B] of lengths [B]; no place's prediction sees the symbol there."""
        embed = nn.Embed(self.words + 3, self.embedding)

        def outputs(symbols: jax.Array, name: str, reverse: bool = False) -> jax.Array:
            xs = math.sqrt(self.embedding) * embed(symbols)
            xs = nn.Dropout(self.dropout)(xs, deterministic=deterministic)
            network = Recurrent(self.network, time_major=True, name=name)
            return network(xs, None, lengths, reverse=reverse, deterministic=deterministic)[1]

        start, end = self.words, self.words + 1
        before = jnp.pad(texts, ((1, 0), (0, 0)), constant_values=start)[:-1]
        sides = [outputs(before, "forward")]
        if self.bidirectional:
            after = jnp.pad(texts, ((0, 1), (0, 0)), constant_values=end)[1:]
            last = jnp.arange(len(texts))[:, None] == lengths - 1
            sides.append(outputs(jnp.where(last, end, after), "backward", reverse=True))
        context = jnp.concatenate(sides, axis=-1)
        context = nn.Dropout(self.dropout)(context, deterministic=deterministic)
        features = jnp.tanh(nn.Dense(self.embedding)(context))
        bias = self.param("bias", nn.initializers.zeros, (self.words,))
        return LogLinear(features, embed.embedding[: self.words].T, bias)

    def guess(self, texts: jax.Array, lengths: jax.Array, places: jax.Array) -> jax.Array:
        """Log-probabilities of the words at one place of each text, places [B] -> [B, V].

        That of the unknown word, the last one, is -inf: nothing can be filled in for it.
        """
        read = self(texts, lengths)
        features = read.features[places, jnp.arange(len(places))]
        found = jax.nn.log_softmax(features @ read.kernel + read.bias)
        return found.at[:, -1].set(-jnp.inf)


def hide(key: jax.Array, texts: jax.Array, hidden: int, rate: float) -> jax.Array:
    """Puts `hidden` in the place of words of texts [T, B], one to three in a row.

    With p = rate/2 a run begins at each word, so that a share 1 - (1 - p)(1 - 2p/3)(1 - p/3) is
    hidden, a little less than `rate`.
    """
    k_starts, k_runs = jax.random.split(key)
    starts = jax.random.bernoulli(k_starts, rate / 2, texts.shape)
    runs = jax.random.randint(k_runs, texts.shape, 1, LONGEST_RUN + 1)
    covered = starts
    for back in range(1, LONGEST_RUN):
        covered |= jnp.pad(starts & (runs > back), ((back, 0), (0, 0)))[:-back]
    return jnp.where(covered, hidden, texts)


class Filled(NamedTuple):
    """Words for the gaps of texts, the likeliest first.

    Attributes:
        words: [B, K, G].
        scores: their log-probabilities [B, K], -inf where there are no more.
    """

    words: jax.Array
    scores: jax.Array


def fill(
    read: Read, texts: jax.Array, lengths: jax.Array, gaps: jax.Array, hidden: int, beams: int
) -> Filled:
    """Fills gaps from left to right by beam search.

        score = Σ_g log p(x_g | what was there or is filled in; later gaps hidden)

    The texts are read again for each gap. With V^(G-1) beams or more the search is exact.

    Args:
        read: `(texts [T, R], lengths [R], places [R]) -> log-probabilities [R, V]`.
        texts: [T, B].
        lengths: [B].
        gaps: the places to fill in each text, in their order [B, G].
        hidden: the symbol of a gap that is not filled yet.
        beams: K, how many fillings are kept.
    """
    count, rows = len(gaps), jnp.arange(len(gaps))[:, None]
    texts = texts.T.at[rows, gaps].set(hidden)
    texts = jnp.repeat(texts[:, None], beams, axis=1)
    scores = jnp.broadcast_to(jnp.where(jnp.arange(beams) == 0, 0.0, -jnp.inf), (count, beams))
    for gap in gaps.T:
        places, sizes = (jnp.repeat(v, beams) for v in (gap, lengths))
        found = read(texts.reshape(count * beams, -1).T, sizes, places)
        words = found.shape[-1]
        total = scores[..., None] + found.reshape(count, beams, words)
        scores, best = jax.lax.top_k(total.reshape(count, -1), beams)
        texts = texts[rows, best // words]
        texts = texts.at[rows, jnp.arange(beams), gap[:, None]].set(best % words)
    return Filled(jnp.take_along_axis(texts, gaps[:, None], axis=2), scores)


@partial(jax.jit, static_argnames="model")
def nats(model: GapModel, params: Any, texts: jax.Array, lengths: jax.Array) -> jax.Array:
    """-log p of each word of texts [T, B] given all others, 0 past the lengths [B] -> [T, B]."""
    there = jnp.arange(len(texts))[:, None] < lengths
    return jnp.where(there, apply(model, params, texts, lengths).nats(texts, LOGITS), 0.0)


@partial(jax.jit, static_argnames=("model", "beams"))
def fill_gaps(
    model: GapModel, params: Any, texts: jax.Array, lengths: jax.Array, gaps: jax.Array, beams: int
) -> Filled:
    """`fill` with what a model guesses."""
    read = partial(apply, model, params, method="guess")
    return fill(read, texts, lengths, gaps, model.hidden, beams)
