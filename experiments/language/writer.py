"""Tasks that write a text about an input: translations, summaries, captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from experiments import signals
from experiments.config import ConfigError, choose, make_network
from experiments.data import batches
from experiments.data.buckets import Buckets, Draw, pad
from experiments.language.attention import ATTENTION
from experiments.language.beam import Found, beam_search
from experiments.language.decoder import Decoder, EncoderDecoder, Text
from experiments.language.vocabulary import Vocabulary
from experiments.task import Mean, Task, apply

ATTENTIONS = ("none", *ATTENTION)


class Examples(NamedTuple):
    """The examples of a split.

    Attributes:
        inputs: what the encoder reads of the examples of a draw, as arrays.
        lengths: of the inputs [N], all 1 where they do not differ in length.
        targets: the symbols of the text that is to be written of each.
    """

    inputs: Callable[[Draw], Any]
    lengths: np.ndarray
    targets: list[np.ndarray]


class Batch(NamedTuple):
    """Inputs of any form; symbols [T + 1, B] from the start mark to the end mark, T of each [B]."""

    inputs: Any
    symbols: np.ndarray
    lengths: np.ndarray


class Written(NamedTuple):
    """A text that was found for an example, its symbols, and where attention looked [T, S]."""

    text: str
    symbols: np.ndarray
    weights: np.ndarray


class Writer:
    """A model that writes texts, its examples, and the search for the likeliest text.

    Args:
        config: its `task` has the fields `WRITER_FIELDS`.
        encoder: from an example's inputs to an `attention.Memory`.
        vocabulary: of what is written, with marks.
        splits: the examples of train, valid and test.
        input_axes: which axis of each array of `inputs` counts examples.
        pointer: see `Decoder`.
    """

    def __init__(
        self,
        config: ConfigDict,
        encoder: nn.Module,
        vocabulary: Vocabulary,
        splits: Mapping[str, Examples],
        input_axes: Any,
        pointer: bool = False,
    ) -> None:
        self.config, self.vocabulary, self.splits = config, vocabulary, splits
        choose("task.attention", config.task.attention, ATTENTIONS)
        masks = ("variational_inputs", "variational_recurrent", "drop_connect")
        if config.task.attention == "bahdanau" and any(config.model[name] for name in masks):
            raise ConfigError(
                f"config.model.{', '.join(masks)} draw one mask for all steps, but"
                " config.task.attention='bahdanau' runs them one by one; use 'luong'"
            )
        decoder = Decoder(
            make_network(config),
            vocabulary.size,
            config.task.embedding,
            config.task.attention,
            config.model.dropout,
            pointer,
        )
        self.model = EncoderDecoder(encoder, decoder)
        self.axes = Batch._make((input_axes, 1, 0))
        self._search = jax.jit(self._find)
        self._look = jax.jit(self.model.apply)

    @cached_property
    def buckets(self) -> dict[str, Buckets]:
        """The examples of each split by length."""
        lengths = {
            name: np.stack([examples.lengths, [len(t) + 1 for t in examples.targets]], axis=1)
            for name, examples in self.splits.items()
        }
        task, size = self.config.task, self.config.train.batch_size
        return Buckets.of_splits(lengths, size, task.buckets, self.config.seed)

    def task(self, **fields: Any) -> Task:
        """The task; `fields` are those that the writer does not know."""
        return Task(
            model=self.model,
            init=self.init,
            initial_carry=tuple,
            loss=self.loss,
            train_batches=lambda part: batches.iterate(
                batches.endless(self.drawn), part, self.axes
            ),
            eval_batches=lambda split: map(
                partial(self.batch, split), self.buckets[split].in_order()
            ),
            metric="perplexity",
            higher_is_better=False,
            summarize=lambda means: {"perplexity": float(np.exp(means["nats"])), **means},
            batch_axes=self.axes,
            unit="tokens",
            **fields,
        )

    def init(self, key: jax.Array) -> Any:
        """The model's parameters."""
        batch = self.batch("train", self.buckets["train"].in_order()[0])
        return self.model.init(key, batch.inputs, batch.symbols[:-1])

    def drawn(self, number: int) -> Batch:
        """The training batch of a number, see `Buckets.draw`."""
        return self.batch("train", self.buckets["train"].draw(number))

    def batch(self, split: str, draw: Draw) -> Batch:
        """The examples of a draw; those that are -1 have no symbols."""
        examples, mark = self.splits[split], self.vocabulary
        empty = np.zeros(0, np.int32)
        targets = [examples.targets[n] if n >= 0 else empty for n in draw.examples]
        marked = [np.concatenate([[mark.start], target, [mark.end]]) for target in targets]
        lengths = np.where(draw.examples < 0, 0, [len(target) + 1 for target in targets])
        symbols = pad(marked, draw.widths[1] + 1, mark.end)
        return Batch(examples.inputs(draw), symbols, lengths.astype(np.int32))

    def loss(
        self, params: Any, carry: tuple, batch: Batch, key: jax.Array | None
    ) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
        """Cross-entropy in nats a symbol, in training with smoothed labels.

            L = (1 - ε) · (-log p(y)) + ε · mean over v of (-log p(v))

        Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.
        """
        symbols = jnp.asarray(batch.symbols)
        logits, _ = apply(self.model, params, batch.inputs, symbols[:-1], key=key)
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, symbols[1:])
        valid = jnp.arange(nats.shape[0])[:, None] < batch.lengths
        right = jnp.argmax(logits, axis=-1) == symbols[1:]
        means = {"nats": Mean.of(nats, valid), "accuracy": Mean.of(right * 1.0, valid)}
        smoothing = 0.0 if key is None else self.config.task.smoothing
        flat = jax.nn.logsumexp(logits, axis=-1) - logits.mean(axis=-1)
        smooth = Mean.of((1 - smoothing) * nats + smoothing * flat, valid)
        return smooth.total / jnp.maximum(smooth.weight, 1.0), (carry, means)

    def write(self, params: Any, split: str) -> list[str]:
        """The likeliest text that beam search finds for each example of a split, in their order."""
        found: dict[int, str] = {}
        for draw in self.buckets[split].in_order():
            signals.check()
            texts = self._best(params, self.splits[split].inputs(draw))
            found |= {
                int(n): self.vocabulary.decode(text)
                for n, text in zip(draw.examples, texts, strict=True)
            }
        return [found[n] for n in sorted(found) if n >= 0]

    def describe(self, params: Any, inputs: Any) -> list[Written]:
        """The likeliest text for each of a batch of inputs, and where attention looked."""
        texts = self._best(params, inputs)
        marked = [np.concatenate([[self.vocabulary.start], text]) for text in texts]
        read = pad(marked, max(map(len, marked)), self.vocabulary.end)
        weights = np.asarray(self._look(params, inputs, read)[1])
        return [
            Written(self.vocabulary.decode(text), text, weights[: len(text), column])
            for column, text in enumerate(texts)
        ]

    def _best(self, params: Any, inputs: Any) -> list[np.ndarray]:
        """The symbols of the likeliest text for each of a batch of inputs."""
        found = jax.device_get(self._search(params, inputs))
        return [row[:n] for row, n in zip(found.symbols[:, 0], found.lengths[:, 0], strict=True)]

    def _find(self, params: Any, inputs: Any) -> Found:
        """Beam search for every one of some inputs."""
        mark, options, beams = self.vocabulary, self.config.task, self.config.task.beams
        memory, state = apply(self.model, params, inputs, method="read")
        memory = jax.tree.map(lambda leaf: jnp.repeat(leaf, beams, axis=0), memory)
        never = np.isin(np.arange(mark.size), (mark.unknown, mark.start))

        def step(state: Any, symbols: jax.Array) -> tuple[Any, jax.Array]:
            given = symbols[None], state, memory
            state, logits, _ = apply(self.model, params, *given, method="write")
            return state, jnp.where(never, -jnp.inf, logits[0])

        first = jnp.full(memory.mask.shape[0] // beams, mark.start, jnp.int32)
        return beam_search(step, state, first, mark.end, beams, options.longest, options.alpha)


def text_inputs(texts: Sequence[np.ndarray], filler: int) -> Callable[[Draw], Text]:
    """What a text encoder reads of a draw: padded symbols and lengths, 0 where there is no text."""
    empty = np.zeros(0, np.int32)

    def inputs(draw: Draw) -> Text:
        drawn = [texts[n] if n >= 0 else empty for n in draw.examples]
        lengths = np.array([len(text) for text in drawn], np.int32)
        return Text(pad(drawn, draw.widths[0], filler), lengths)

    return inputs
