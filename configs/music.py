"""Polyphonic music: Bach's chorales, predicted chord by chord, by four cells.

    python -m experiments.compare --config=configs/music.py --workdir=runs/music
    python -m experiments.sample --workdir=runs/music/lstm
    python -m experiments.sample --workdir=runs/music/lstm --prompt=OPENING.mid --length=96
    python -m experiments.train --config=configs/music.py:transposed --workdir=runs/transposed
    python -m experiments.train --config=configs/music.py:sixteenths --workdir=runs/sixteenths

Negative log-likelihood in nats a frame on the test pieces, chosen by validation, seed 0, 1200 steps:
lstm 8.23 with 375,896 parameters, coupled_lstm 8.20 with 287,576. Each note's rate has 11.09, and
logistic regression of each note on the frame before 9.03.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import default

RECIPES = {
    "quarters": {},
    "transposed": {"task": {"transpose": 5}},
    "sixteenths": {
        "task": {"data": "jsb16", "grid": 4},
        "train": {"steps": 800, "batch_size": 8},
    },
}


def get_config(recipe: str = "quarters") -> ConfigDict:
    if recipe not in RECIPES:
        raise ValueError(f"there is no recipe {recipe!r}, choose one of {', '.join(RECIPES)}")
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "music",
            "data": "jsb",  # chorales in quarter notes, or "jsb16": in sixteenths
            "path": placeholder(str),  # of a folder of MIDI files, a .json or a .mat file instead
            "grid": 1,  # frames in a quarter note of what path names
            "transpose": 0,  # semitones up or down, at most, while training
            "buckets": 3,  # by length
        }
    )
    config.cells = ("lstm", "peephole_lstm", "coupled_lstm", "gru")
    config.cell.hidden_size = 256
    config.model.update(dropout=0.5, variational_recurrent=0.5)
    config.optimizer.update(learning_rate=3e-3, schedule="cosine")
    config.train.update(steps=1200, batch_size=16, eval_every=50, patience=8, log_every=25)
    config.update(RECIPES[recipe])
    config.modes.tiny = {
        "task": {"buckets": 1},
        "cell": {"hidden_size": 8},
        "train": {"steps": 4, "batch_size": 8, "eval_every": 2, "log_every": 2},
    }
    config.modes.full = {"seeds": 5}
    return config
