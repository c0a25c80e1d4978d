"""Polyphonic music: Bach's chorales, predicted chord by chord, by four cells.

    python -m experiments.compare --config=configs/music.py --workdir=runs/music
    python -m experiments.sample --workdir=runs/music/lstm

Negative log-likelihood in nats a frame on the test pieces, chosen by validation, one seed: lstm
8.43, peephole_lstm 8.44, coupled_lstm 8.52, gru 8.70; the notes' marginal rates have 11.09. The
comparison took 500 seconds on two processor cores with other work on them.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import default

RECIPES = {
    "quarters": {},
    "transposed": {"task": {"transpose": 5}},
    "sixteenths": {"task": {"data": "jsb16", "grid": 4}, "train": {"batch_size": 8}},
}


def get_config(recipe: str = "quarters") -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "music",
            "data": "jsb",  # chorales in quarter notes, or "jsb16": in sixteenths
            "path": placeholder(str),  # of a folder of MIDI files, a .json or a .mat file instead
            "grid": 1,  # frames in a quarter note of what path names
            "transpose": 0,  # semitones up or down, at most, while training
            "buckets": 4,  # by length
        }
    )
    config.cells = ("lstm", "peephole_lstm", "coupled_lstm", "gru")
    config.cell.hidden_size = 256
    config.model.dropout = 0.5
    config.optimizer.update(learning_rate=3e-3, schedule="cosine")
    config.train.update(steps=1500, batch_size=16, eval_every=50, patience=8, log_every=25)
    config.update(RECIPES.get(recipe, {}))
    config.modes.tiny = {
        "task": {"buckets": 1},
        "cell": {"hidden_size": 8},
        "train": {"steps": 4, "batch_size": 8, "eval_every": 2, "log_every": 2},
    }
    config.modes.full = {"seeds": 5}
    return config
