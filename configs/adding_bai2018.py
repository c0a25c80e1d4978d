"""The adding problem as later comparisons have it (Bai et al. 2018), sequences of 600 steps.

python -m experiments.train --config=configs/adding_bai2018.py --workdir=runs/adding_bai2018
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "adding_bai2018",
            "length": 600,  # T
            "lags": (1200, 5000),  # that are tested, but never trained on
        }
    )
    config.cell.hidden_size = 64
    config.cell.chrono = 600
    config.optimizer.learning_rate = 3e-3
    config.train.update(steps=5000, batch_size=32, eval_every=100, log_every=20)
    config.modes.tiny = {
        "task": {"length": 10, "lags": (20,)},
        "cell": {"hidden_size": 8},
        "train": {"steps": 20, "batch_size": 8, "eval_every": 10, "log_every": 5},
    }
    config.modes.full = {"cell": {"hidden_size": 130}, "train": {"steps": 20000}}
    return config
