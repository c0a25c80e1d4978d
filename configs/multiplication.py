"""The multiplication problem (Hochreiter & Schmidhuber 1997, experiment 5), minimal length 100.

    python -m experiments.train --config=configs/multiplication.py --workdir=runs/multiplication

Solved in configs/long_lags.py, three seeds, by lstm after 20,885 sequences on average (in 1997:
482,000), 3.6 % of the test sequences wrong; never by the rnn.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "multiplication",
            "length": 100,
            "wrong": 139,  # solved when no more of the latest 2,000 are wrong; 12: the stricter
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
