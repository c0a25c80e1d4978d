"""Long time lags without noise (Hochreiter & Schmidhuber 1997, experiments 2a, 2b, 2c).

python -m experiments.train --config=configs/noise_free_lag.py --workdir=runs/noise_free_lag
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "noise_free_lag",
            "variant": "b",  # "a", "b" or "c"
            "length": 100,  # the lag
            "distractors": 0,  # how many symbols mean nothing; 0: as many as in 1997
            "lags": (200, 500),  # that are tested, but never trained on; () for variant a
        }
    )
    config.cell.hidden_size = 16
    config.cell.chrono = 1000
    config.optimizer.learning_rate = 1e-2
    config.train.update(steps=3000, batch_size=16, eval_every=100, log_every=50)
    config.modes.tiny = {
        "task": {"length": 10, "lags": (20,)},
        "cell": {"hidden_size": 8},
        "train": {"steps": 20, "batch_size": 8, "eval_every": 10, "log_every": 5},
    }
    config.modes.full = {"seeds": 10, "train": {"steps": 20000}}
    return config
