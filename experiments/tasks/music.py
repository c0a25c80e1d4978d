"""Polyphonic music: read the chords of a piece, predict the next one note by note, compose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from experiments import midi
from experiments.config import ConfigError, make_network
from experiments.data import batches, downloads, files, matlab
from experiments.task import Mean, Task, apply
from lstm_jax.linen import Recurrent

FIELD = "config.task.path"
SPLITS = {"train": "traindata", "valid": "validdata", "test": "testdata"}
LENGTH_STEP = 64  # batches are padded to multiples of this: few shapes, few compilations

Pieces = list[np.ndarray]  # piano rolls [frames, notes] of 0 and 1


class Chords(NamedTuple):
    """Padded pieces: piano rolls [T + 1, B, notes] and how many frames of each are real [B]."""

    roll: np.ndarray
    lengths: np.ndarray


BATCH_AXES = Chords._make((1, 0))


class MusicModel(nn.Module):
    """A recurrent network, dropout, and a linear layer to the odds of every note."""

    network: Any
    notes: int
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
        return state, nn.Dense(self.notes)(ys)


def music(config: ConfigDict) -> Task:
    """Polyphonic music prediction on JSB Chorales, or on a file of its form, `config.task.path`.

    Reported is the negative log-likelihood in nats of a frame given all before it, summed over the
    notes and averaged over all frames but the first of each piece (Boulanger-Lewandowski et al.
    2012, arXiv:1206.6392).

    Raises:
        ConfigError: if there is no such file, or it has another form.
    """
    path = Path(config.task.path or downloads.locate(downloads.JSB_CHORALES, config.data_dir))
    pieces = load(path)
    notes, size = pieces["train"][0].shape[1], config.train.batch_size
    model = MusicModel(make_network(config), notes, config.model.dropout)
    shuffled = grain.MapDataset.source(pieces["train"]).seed(config.seed).shuffle().repeat()

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, 1, notes))),
        initial_carry=tuple,
        loss=partial(loss, model),
        train_batches=lambda part: batches.iterate(
            shuffled.batch(size, batch_fn=pad), part, BATCH_AXES
        ),
        eval_batches=lambda split: in_order(pieces[split], size),
        metric="nll",
        higher_is_better=False,
        summarize=dict,
        sample=partial(sample, model, pieces["test"]),
        facts={"file": path.name, "sha256": files.sha256(path.read_bytes()), **facts(pieces)},
        batch_axes=BATCH_AXES,
        unit="frames",
    )


def load(path: Path) -> dict[str, Pieces]:
    """The pieces of a MATLAB file: cells traindata, validdata, testdata of [frames, notes].

    Raises:
        ConfigError: naming what is wrong with the file.
    """
    content = files.read_bytes(path, FIELD)
    try:
        cells = matlab.read_cells(content)
    except ValueError as error:
        what = f"is no whole MATLAB file of version 5 to 7.2 ({error})"
        raise files.refusal(path, FIELD, what) from error
    pieces: dict[str, Pieces] = {}
    for split, name in SPLITS.items():
        if not cells.get(name):
            needed = ", ".join(SPLITS.values())
            raise files.refusal(path, FIELD, f"has no pieces {name}; give it the cells {needed}")
        pieces[split] = cells[name]
        for number, piece in enumerate(cells[name]):
            if fault := _fault(piece, pieces["train"][0]):
                raise files.refusal(path, FIELD, f"{name}[{number}] {fault}")
    return pieces


def _fault(piece: np.ndarray, first: np.ndarray) -> str:
    """What is wrong with a piece, empty if nothing is."""
    if piece.ndim != 2 or len(piece) < 2 or not 0 < piece.shape[1] == first.shape[1]:
        return f"has the shape {piece.shape}, it must be two or more frames of notes alike"
    if not np.isin(piece, (0, 1)).all():
        return "holds more than zeros and ones"
    return ""


def pad(pieces: Sequence[np.ndarray], size: int = 0) -> Chords:
    """Lays pieces side by side; empty ones make up a batch of `size`."""
    lengths = np.array([len(p) for p in pieces] + [0] * (size - len(pieces)), np.int32)
    steps = -(-int(lengths.max() - 1) // LENGTH_STEP) * LENGTH_STEP
    roll = np.zeros((steps + 1, len(lengths), pieces[0].shape[1]), np.float32)
    for column, piece in enumerate(pieces):
        roll[: len(piece), column] = piece
    return Chords(roll, lengths)


def in_order(pieces: Pieces, size: int) -> list[Chords]:
    """Every piece once, those of like length together."""
    ordered = sorted(pieces, key=len)
    return [pad(ordered[i : i + size], size) for i in range(0, len(ordered), size)]


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


def marginal_nll(pieces: dict[str, Pieces], split: str) -> float:
    """The NLL of a split's frames after the first if each note had its rate in training."""
    rates = np.concatenate(pieces["train"]).mean(axis=0).clip(1e-6, 1 - 1e-6)
    frames = np.concatenate([piece[1:] for piece in pieces[split]])
    return float(-np.where(frames, np.log(rates), np.log1p(-rates)).sum(axis=1).mean())


def facts(pieces: dict[str, Pieces]) -> dict[str, Any]:
    """What the results say about the pieces."""
    return {
        "notes": pieces["train"][0].shape[1],
        **{f"{split}_pieces": len(found) for split, found in pieces.items()},
        **{f"{split}_frames": sum(len(p) - 1 for p in found) for split, found in pieces.items()},
        **{f"marginal_{split}_nll": marginal_nll(pieces, split) for split in ("valid", "test")},
    }


def sample(
    model: MusicModel,
    originals: Pieces,
    params: Any,
    key: jax.Array,
    directory: Path,
    length: int = 64,
    temperature: float = 1.0,
) -> None:
    """Composes a piece from the opening chord of a test piece.

    Writes sample.mid, the piece to hear; original.mid, the piece that opens like it; and
    sample.png, both as piano rolls.

    Args:
        model: the model.
        originals: the pieces of the test split.
        params: its parameters.
        key: the random key.
        directory: where the files go.
        length: the number of frames, quarter notes.
        temperature: below 1 the chords are safer, above 1 bolder.

    Raises:
        ConfigError: if an option is out of its range.
    """
    if length < 1:
        raise ConfigError(f"--length is {length}, it must be at least 1")
    if not 0 < temperature < math.inf:
        raise ConfigError(f"--temperature is {temperature:g}, it must be above 0 and finite")
    choice, key = jax.random.split(key)
    number = int(jax.random.randint(choice, (), 0, len(originals)))
    original = originals[number][:length]
    composed = np.asarray(compose(model, params, key, original[0], length, temperature))
    midi.write_midi(directory / "sample.mid", composed)
    midi.write_midi(directory / "original.mid", original)
    rolls = {"sample": composed, f"test piece {number}, which opens like it": original}
    midi.plot_rolls(directory / "sample.png", rolls)
    for name in ("sample.mid", "original.mid", "sample.png"):
        print(directory / name)


@partial(jax.jit, static_argnames=("model", "length"))
def compose(
    model: MusicModel,
    params: Any,
    key: jax.Array,
    opening: jax.Array,
    length: int,
    temperature: float,
) -> jax.Array:
    """Draws frame after frame, every note by its own odds, in one scan.

    Args:
        model: the model.
        params: its parameters.
        key: the random key.
        opening: the first frame [notes].
        length: how many frames there will be, the first included.
        temperature: what the logits are divided by.

    Returns:
        Frames [length, notes] of 0.0 and 1.0.
    """

    def step(carry: tuple[Any, jax.Array], key: jax.Array) -> tuple[Any, jax.Array]:
        state, frame = carry
        state, logits = apply(model, params, frame[None, None], state)
        odds = logits[0, 0].astype(jnp.float32) / temperature
        following = jax.random.bernoulli(key, jax.nn.sigmoid(odds)).astype(frame.dtype)
        return (state, following), frame

    first = (model.network.initial_state(1), jnp.asarray(opening, jnp.float32))
    return jax.lax.scan(step, first, jax.random.split(key, length))[1]
