"""The embedded Reber grammar (Hochreiter & Schmidhuber 1997, experiment 1).

    python -m experiments.train --config=configs/reber.py --workdir=runs/reber

Solved in configs/long_lags.py, three seeds, after 5,136 strings on average by lstm, 5,461 by gru,
7,984 by the cell of 1997 and 12,581 by the rnn (in 1997: 8,440 to 39,740), a quarter of a minute.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "reber",
            "length": 50,  # symbols of the longest strings
            "lags": (100,),  # that are tested, but never trained on
        }
    )
    config.cell.hidden_size = 16
    config.optimizer.learning_rate = 1e-2
    config.train.update(steps=3000, batch_size=16, eval_every=100, log_every=50)
    config.modes.tiny = {
        "task": {"length": 20, "lags": (30,)},
        "cell": {"hidden_size": 8},
        "train": {"steps": 20, "batch_size": 8, "eval_every": 10, "log_every": 5},
    }
    config.modes.full = {"seeds": 10, "train": {"steps": 10000}}
    return config
