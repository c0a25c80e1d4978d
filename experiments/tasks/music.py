"""Polyphonic music: read the chords of a piece, predict the next one note by note, compose."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.config import choose, make_network
from experiments.data import downloads
from experiments.music import rolls
from experiments.music.baselines import baselines, log_odds
from experiments.music.composing import Composer
from experiments.music.examples import AXES, Batches
from experiments.music.model import MusicModel, loss
from experiments.task import Task


def music(config: ConfigDict) -> Task:
    """Polyphonic music prediction on Bach's chorales, or on the pieces of a file or folder.

    `config.task.data` is "jsb", the chorales in quarter notes, or "jsb16", in sixteenths;
    `config.task.path` is read in its place, see `rolls.load`, with `config.task.grid` frames in a
    quarter note. While training each piece is moved anew by up to `config.task.transpose` semitones
    up or down. Pieces are in `config.task.buckets` groups by length.

    Reported is the negative log-likelihood in nats of a frame given all before it, summed over the
    notes and averaged over all frames but the first of each piece (Boulanger-Lewandowski et al.
    2012, arXiv:1206.6392).

    Args:
        config: with the fields of `configs/music.py`.

    Returns:
        The task.

    Raises:
        ConfigError: if there are no such pieces, or a file holds something else.
    """
    music, grid = load(config)
    odds = log_odds(music.pieces["train"])
    model = MusicModel(make_network(config), odds, config.model.dropout)
    batches = Batches(config, music.pieces)
    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, 1, len(odds)))),
        initial_carry=tuple,
        loss=partial(loss, model),
        train_batches=batches.train,
        eval_batches=batches.evaluation,
        metric="nll",
        higher_is_better=False,
        summarize=dict,
        sample=Composer(model, music.pieces["test"], grid).sample,
        facts={**music.facts, **rolls.counts(music.pieces)},
        batch_axes=AXES,
        unit="frames",
        baselines=partial(baselines, music.pieces),
        serve=model.served,
    )


def load(config: ConfigDict) -> tuple[rolls.Music, int]:
    """The pieces that a configuration asks for, and the frames in a quarter note of theirs."""
    data, path, grid = config.task.data, config.task.path, config.task.grid
    choose("task.data", data, rolls.DATA)
    if path is not None:
        return rolls.load(Path(path), grid), grid
    return rolls.load(downloads.locate(rolls.DATA[data], config.data_dir)), rolls.GRIDS[data]
