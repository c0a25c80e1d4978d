"""The adding problem (Hochreiter & Schmidhuber 1997, experiment 4), minimal length 100.

    python -m experiments.train --config=configs/adding.py --workdir=runs/adding

Solved by their criterion (the latest 2,000 training sequences right within 0.04, mean error below
0.01) after 16,667 sequences on average of three seeds (theirs: 74,000) in configs/long_lags.py, in
less than a minute; 5 of 7,680 answers to test sequences wrong (theirs: 1 of 2,560).
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "adding",
            "length": 100,  # the minimal length
            "lags": (200, 500),  # minimal lengths that are tested, but never trained on
        }
    )
    config.cell.hidden_size = 16
    config.cell.chrono = 100
    config.optimizer.learning_rate = 1e-2
    config.train.update(steps=5000, batch_size=16, eval_every=100, log_every=50)
    config.modes.tiny = {
        "task": {"length": 22, "lags": (30,)},
        "cell": {"hidden_size": 8},
        "train": {"steps": 20, "batch_size": 8, "eval_every": 10, "log_every": 5},
    }
    config.modes.full = {"train": {"steps": 40000}}
    return config
