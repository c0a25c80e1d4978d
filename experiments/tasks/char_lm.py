"""Character language modelling: read a text, predict each next character, write more of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from experiments import data, decoding, downloads, files
from experiments.config import ConfigError, choose, make_network
from experiments.data import Window, Windows
from experiments.task import Mean, Task
from lstm_jax.linen import Recurrent

TRAIN, VALID = 90, 95  # the splits' ends in hundredths of the text; the test split is the rest
TEMPERATURES = (0.5, 0.8, 1.0)
BATCH_AXES = Window._make((1, 1, 1, 0))
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The characters of the training text, in the order of their code points, and one unknown.

    Example:
        >>> vocabulary = Vocabulary.of("banana")
        >>> vocabulary.decode(vocabulary.encode("nab!"))
        'nab\ufffd'
    """

    symbols: str

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The vocabulary of a text."""
        return cls("".join(sorted(set(text))))

    @property
    def unknown(self) -> int:
        """The symbol of every character that the training text lacks."""
        return len(self.symbols)

    @property
    def size(self) -> int:
        """The number of symbols, the unknown one among them."""
        return len(self.symbols) + 1

    def encode(self, text: str) -> np.ndarray:
        """A text's symbols [N], int32."""
        known = _code_points(self.symbols)
        points = _code_points(text)
        places = np.minimum(np.searchsorted(known, points), len(known) - 1)
        return np.where(known[places] == points, places, self.unknown).astype(np.int32)

    def decode(self, symbols: Sequence[int] | np.ndarray) -> str:
        """The text of some symbols."""
        return "".join((self.symbols + UNKNOWN)[symbol] for symbol in symbols)


class CharacterModel(nn.Module):
    """One-hot symbols, a recurrent network, dropout, and a linear layer to the next symbol.

    The network's own input product is the embedding of the symbols. Inputs are scaled by √symbols
    to a mean square of 1, the scale that initial kernels are made for: plain one-hot vectors drive
    the network so weakly that learning starts several times slower.
    """

    network: Any
    symbols: int
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, inputs: jax.Array, state: Any, deterministic: bool = True
    ) -> tuple[Any, jax.Array]:
        """Maps symbols [T, B] and a state to the state after them and logits [T, B, symbols]."""
        one_hot = math.sqrt(self.symbols) * jax.nn.one_hot(inputs, self.symbols)
        state, ys = Recurrent(self.network, time_major=True)(
            one_hot, initial_state=state, deterministic=deterministic
        )
        ys = nn.Dropout(self.dropout)(ys, deterministic=deterministic)
        return state, nn.Dense(self.symbols)(ys)


def char_lm(config: ConfigDict) -> Task:
    """Language modelling of `config.task.path`, or of the text that `config.task.text` names.

    The text is split 90/5/5 without shuffling. Training runs through `config.train.batch_size`
    parallel streams in windows of `config.task.steps` characters and carries the state from window
    to window (truncated backpropagation through time), except that once in `config.task.restart`
    windows a stream starts afresh, as a reader of a new text does. Evaluation always carries the
    state on, and predicts every character of a split but its first exactly once.

    Raises:
        ConfigError: if there is no such text, or it is too short to be split.
    """
    for field, least in [("steps", 1), ("restart", 0)]:
        if config.task[field] < least:
            raise ConfigError(
                f"config.task.{field} is {config.task[field]}, it must be at least {least}"
            )
    text, source = load_text(config)
    splits = split_text(text)
    vocabulary = Vocabulary.of(splits["train"])
    symbols = {name: vocabulary.encode(part) for name, part in splits.items()}
    network = make_network(config)
    model = CharacterModel(network, vocabulary.size, config.model.dropout)
    streams, steps = config.train.batch_size, config.task.steps
    windows = Windows(symbols["train"], streams, steps, restart=config.task.restart)
    fresh = partial(network.initial_state, streams)

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, streams), jnp.int32), fresh()),
        initial_carry=fresh,
        loss=partial(loss, model, fresh),
        train_batches=lambda part: data.iterate(
            grain.MapDataset.source(windows).repeat(), part, BATCH_AXES
        ),
        eval_batches=lambda split: Windows(symbols[split], streams, steps, warm_up=True),
        metric="bits_per_character",
        higher_is_better=False,
        summarize=summarize,
        sample=partial(sample, model, vocabulary),
        facts={"text": source, **facts(text, symbols, vocabulary)},
        batch_axes=BATCH_AXES,
        unit="characters",
    )


def load_text(config: ConfigDict) -> tuple[str, str]:
    """The text and what it is called."""
    if config.task.path:
        path = Path(config.task.path)
        return files.read_text(path, "config.task.path"), path.name
    name = choose("task.text", config.task.text, ("stdlib", "shakespeare"))
    if name == "stdlib":
        return data.stdlib_text(), "the Python standard library's sources"
    path = downloads.locate(downloads.SHAKESPEARE, config.data_dir)
    return files.read_text(path, "config.task.text"), name


def split_text(text: str) -> dict[str, str]:
    """Cuts a text into its first 90 %, the next 5 % and the last 5 %."""
    train, valid = len(text) * TRAIN // 100, len(text) * VALID // 100
    splits = {"train": text[:train], "valid": text[train:valid], "test": text[valid:]}
    if min(map(len, splits.values())) < 2:
        raise ConfigError(
            f"config.task.path: a text of {len(text)} characters is too short; give at least 40"
        )
    return splits


def loss(
    model: CharacterModel, fresh: Any, params: Any, carry: Any, batch: Window, key: jax.Array | None
) -> tuple[jax.Array, tuple[Any, dict[str, Mean]]]:
    """Cross-entropy in nats, averaged over the places of a window; padding adds nothing."""
    state = jax.tree.map(
        lambda new, old: jnp.where(batch.fresh.reshape(-1, *[1] * (old.ndim - 1)), new, old),
        fresh(),
        carry,
    )
    rngs = None if key is None else {"dropout": key}
    apply: Callable[..., Any] = model.apply
    carry, logits = apply(params, batch.inputs, state, deterministic=key is None, rngs=rngs)
    targets = jax.nn.one_hot(batch.targets, model.symbols)
    nats = optax.softmax_cross_entropy(logits.astype(jnp.float32), targets)
    mean = Mean.of(nats, jnp.asarray(batch.weights))
    return mean.total / nats.size, (carry, {"nats_per_character": mean})


def summarize(means: dict[str, float]) -> dict[str, float]:
    """Adds bits and perplexity, each per character, to the nats."""
    nats = means["nats_per_character"]
    return {"bits_per_character": nats / math.log(2), "perplexity": float(np.exp(nats)), **means}


def facts(text: str, symbols: dict[str, np.ndarray], vocabulary: Vocabulary) -> dict[str, Any]:
    """What the results say about the text."""
    return {
        "sha256": files.sha256(text.encode()),
        "vocabulary_size": vocabulary.size,
        **{f"{name}_characters": len(part) for name, part in symbols.items()},
        **{
            f"{name}_unknown_characters": int(np.sum(symbols[name] == vocabulary.unknown))
            for name in ("valid", "test")
        },
    }


def sample(
    model: CharacterModel,
    vocabulary: Vocabulary,
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str = "\n",
    length: int = 500,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
) -> None:
    """Prints texts that go on from a prompt and writes them to samples.txt.

    Args:
        model: the model.
        vocabulary: its symbols.
        params: its parameters.
        key: the random key.
        directory: where samples.txt goes.
        prompt: what the model reads first; nothing stands for a line end.
        length: how many characters it writes.
        temperature: one temperature instead of TEMPERATURES.
        top_k: only the k likeliest characters.
        top_p: only the likeliest characters of this total mass.

    Raises:
        ConfigError: if an option is out of its range.
    """
    temperatures = TEMPERATURES if temperature is None else (temperature,)
    if length < 1 or min(temperatures) < 0:
        raise ConfigError("--length must be at least 1 and --temperature at least 0")
    symbols = jnp.asarray(vocabulary.encode(prompt or "\n"))
    heats = jnp.array(temperatures, jnp.float32)
    try:
        written = generate(model, params, key, symbols, heats, length, top_k, top_p)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    texts = [
        f"--- temperature {heat:g} ---\n{prompt}{vocabulary.decode(row)}\n"
        for heat, row in zip(temperatures, np.asarray(written).T, strict=True)
    ]
    (directory / "samples.txt").write_text("\n".join(texts), encoding="utf-8")
    print("\n".join(texts))


@partial(jax.jit, static_argnames=("model", "length", "top_k", "top_p"))
def generate(
    model: CharacterModel,
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
    apply: Callable[..., Any] = model.apply

    def choose_next(logits: jax.Array, key: jax.Array) -> jax.Array:
        known = logits.astype(jnp.float32)[..., :-1]
        return decoding.draw(key, known, temperatures, top_k, top_p)

    def step(carry: tuple[Any, jax.Array], key: jax.Array) -> tuple[Any, jax.Array]:
        state, symbols = carry
        state, logits = apply(params, symbols[None], state)
        symbols = choose_next(logits[0], key)
        return (state, symbols), symbols

    count = temperatures.shape[0]
    read = jnp.broadcast_to(prompt[:, None], (prompt.shape[0], count))
    state, logits = apply(params, read, model.network.initial_state(count))
    keys = jax.random.split(key, length)
    first = choose_next(logits[-1], keys[0])
    _, rest = jax.lax.scan(step, (state, first), keys[1:])
    return jnp.concatenate([first[None], rest])


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
