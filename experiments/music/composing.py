"""Music from a model: pieces composed from an opening on, to hear and to see."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.config import ConfigError
from experiments.music.midi import LONGEST, read_midi, write_midi
from experiments.music.model import MusicModel
from experiments.music.pictures import Panel, plot_rolls
from experiments.music.rolls import Pieces
from experiments.task import apply

LENGTH, OPENING = 64, 8  # quarter notes of a sample, and of a test piece that opens it


class Opening(NamedTuple):
    """The frames [T, notes] that a sample goes on from, their name, and the piece they are of.

    The piece is None where there is nothing to compare the sample with.
    """

    frames: np.ndarray
    name: str
    original: np.ndarray | None


class Composer(NamedTuple):
    """What goes on from openings.

    Attributes:
        model: the model.
        pieces: those of the test split, that openings are taken from.
        grid: frames in a quarter note.
    """

    model: MusicModel
    pieces: Pieces
    grid: int

    def sample(
        self,
        params: Any,
        key: jax.Array,
        directory: Path,
        prompt: str | None = None,
        length: int | None = None,
        temperature: float = 1.0,
    ) -> None:
        """Goes on from the opening of a test piece, or from a MIDI file.

        Writes sample.mid, the piece to hear; original.mid, the test piece that opens like it, if
        there is one; and sample.png, both as piano rolls.

        Args:
            params: the model's parameters.
            key: the random key.
            directory: where the files go.
            prompt: the path of a MIDI file, all of which is the opening; by default the opening is
                OPENING quarter notes of a test piece, or half the length if that is less.
            length: the number of frames, those of the opening included; by default LENGTH quarter
                notes, and with a prompt that many more than it has.
            temperature: below 1 the chords are safer, above 1 bolder.

        Raises:
            ConfigError: if an option is out of its range, or the MIDI file cannot be used.
        """
        if length is not None and not 1 <= length <= LONGEST:
            raise ConfigError(f"--length is {length}, it must be from 1 to {LONGEST} frames")
        if not 0 < temperature < math.inf:
            raise ConfigError(f"--temperature is {temperature:g}, it must be above 0 and finite")
        choice, key = jax.random.split(key)
        frames = LENGTH * self.grid if length is None else length
        if prompt is None:
            opening = self._of_a_test_piece(choice, frames)
        else:
            opening = self._of_a_file(Path(prompt))
            frames += len(opening.frames) if length is None else 0
        if frames < len(opening.frames):
            count = f"{len(opening.frames)} frames of {opening.name}"
            raise ConfigError(f"--length is {length}, it counts the {count} too; make it larger")
        composed = compose(self.model, params, key, opening.frames, frames, temperature)
        self._write(directory, np.asarray(composed), opening)

    def _of_a_test_piece(self, key: jax.Array, length: int) -> Opening:
        number = int(jax.random.randint(key, (), 0, len(self.pieces)))
        original = self.pieces[number][:length]
        frames = original[: max(1, min(OPENING * self.grid, length // 2))]
        return Opening(frames, f"test piece {number}", original)

    def _of_a_file(self, path: Path) -> Opening:
        roll = read_midi(path, "--prompt", self.grid).roll
        notes = len(self.model.log_odds)
        if roll[:, notes:].any():
            raise ConfigError(f"--prompt: {path} has notes above the {notes} that the model knows")
        return Opening(roll[:, :notes], path.name, None)

    def _write(self, directory: Path, composed: np.ndarray, opening: Opening) -> None:
        """Writes a sample and what it is compared with, and says where."""
        write_midi(directory / "sample.mid", composed, self.grid)
        (directory / "original.mid").unlink(missing_ok=True)  # of another sample
        names, panels = ["sample.mid"], [Panel(f"sample, from {opening.name} on", composed)]
        if opening.original is not None:
            write_midi(directory / "original.mid", opening.original, self.grid)
            names.append("original.mid")
            panels.append(Panel(f"{opening.name} itself", opening.original))
        plot_rolls(directory / "sample.png", panels, len(opening.frames), self.grid)
        for name in (*names, "sample.png"):
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
    """Reads an opening and draws frame after frame from there on, every note by its own odds.

    Args:
        model: the model.
        params: its parameters.
        key: the random key.
        opening: the first frames [T, notes].
        length: how many frames there will be, those of the opening included.
        temperature: what the logits are divided by.

    Returns:
        Frames [length, notes] of 0.0 and 1.0.
    """
    given = jnp.arange(length) < len(opening)
    openings = jnp.zeros((length, opening.shape[1])).at[: len(opening)].set(opening)

    def step(carry: tuple[Any, jax.Array], inputs: tuple) -> tuple[Any, jax.Array]:
        (state, drawn), (key, given, opening) = carry, inputs
        frame = jnp.where(given, opening, drawn)
        state, logits = apply(model, params, frame[None, None], state)
        odds = logits[0, 0].astype(jnp.float32) / temperature
        return (state, jax.random.bernoulli(key, jax.nn.sigmoid(odds)).astype(frame.dtype)), frame

    first = (model.network.initial_state(1), jnp.zeros(opening.shape[1]))
    return jax.lax.scan(step, first, (jax.random.split(key, length), given, openings))[1]
