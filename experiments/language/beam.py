"""Beam search: the likeliest texts of a model that predicts one symbol after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array]]


class Found(NamedTuple):
    """The texts found, the best first; a place that is left over has the score -inf and no text.

    Attributes:
        symbols: [B, K, T], `end` from a text's end on.
        lengths: how many symbols come before the end [B, K].
        scores: log-probabilities over the length penalty [B, K].
    """

    symbols: jax.Array
    lengths: jax.Array
    scores: jax.Array


class _Beam(NamedTuple):
    time: jax.Array
    state: Any
    symbols: jax.Array  # [B, K, T]
    log_probabilities: jax.Array  # [B, K]
    ended: jax.Array  # [B, K]


def beam_search(
    step: Step, state: Any, first: jax.Array, end: int, beams: int, steps: int, alpha: float = 0.0
) -> Found:
    """Keeps the `beams` likeliest beginnings at every step.

        score(y) = log p(y) / ((5 + |y|) / 6)^α

    Texts that have ended keep their place in the beam at no cost. A text that has not ended after
    `steps` symbols is cut off there. With as many beams as there are texts the search is exact.

    Args:
        step: `(state, symbols [B·K]) -> (state, logits [B·K, V])`; symbols of logits -inf are never
            written.
        state: a pytree of [B, ...]: what has been read before the first symbol.
        first: the symbols that the texts begin with [B]; they are no part of what is returned.
        end: the symbol that ends a text.
        beams: K.
        steps: T, the largest number of symbols, the end included.
        alpha: what longer texts are forgiven; 0 compares plain log-probabilities.

    Source: the penalty is that of Wu et al. 2016, arXiv:1609.08144, equation 14.
    """
    batch = first.shape[0]

    def unfinished(beam: _Beam) -> jax.Array:
        return (beam.time < steps) & ~beam.ended.all()

    def advance(beam: _Beam) -> _Beam:
        before = jnp.where(
            beam.time > 0,
            beam.symbols[..., beam.time - 1],
            jnp.broadcast_to(first[:, None], (batch, beams)),
        )
        state, logits = step(beam.state, before.reshape(-1))
        added = jax.nn.log_softmax(logits.astype(jnp.float32)).reshape(batch, beams, -1)
        size = added.shape[-1]
        stay = jnp.where(jnp.arange(size) == end, 0.0, -jnp.inf)
        added = jnp.where(beam.ended[..., None], stay, added)
        total = (beam.log_probabilities[..., None] + added).reshape(batch, -1)
        best, places = jax.lax.top_k(total, beams)
        parents, symbols = places // size, (places % size).astype(jnp.int32)
        texts = jnp.take_along_axis(beam.symbols, parents[..., None], axis=1)
        ended = jnp.take_along_axis(beam.ended, parents, axis=1) | (symbols == end)
        return _Beam(
            beam.time + 1,
            _select(state, parents),
            texts.at[..., beam.time].set(symbols),
            best,
            ended,
        )

    begin = _Beam(
        jnp.zeros((), jnp.int32),
        jax.tree.map(lambda leaf: jnp.repeat(leaf, beams, axis=0), state),
        jnp.full((batch, beams, steps), end, jnp.int32),
        jnp.broadcast_to(jnp.where(jnp.arange(beams) == 0, 0.0, -jnp.inf), (batch, beams)),
        jnp.zeros((batch, beams), bool),
    )
    return _ranked(jax.lax.while_loop(unfinished, advance, begin), end, alpha)


def _select(state: Any, parents: jax.Array) -> Any:
    """Each place of a beam takes over the state of the one that it continues."""
    batch, beams = parents.shape

    def select(leaf: jax.Array) -> jax.Array:
        rows = leaf.reshape(batch, beams, *leaf.shape[1:])
        return rows[jnp.arange(batch)[:, None], parents].reshape(leaf.shape)

    return jax.tree.map(select, state)


def _ranked(beam: _Beam, end: int, alpha: float) -> Found:
    found = jnp.where(jnp.isneginf(beam.log_probabilities)[..., None], end, beam.symbols)
    lengths = (found != end).sum(axis=-1)
    scores = beam.log_probabilities / ((5.0 + lengths + beam.ended) / 6.0) ** alpha
    order = jnp.argsort(scores, axis=-1, descending=True)

    def sort(leaf: jax.Array) -> jax.Array:
        return leaf[jnp.arange(leaf.shape[0])[:, None], order]

    return Found(sort(found), sort(lengths), sort(scores))
