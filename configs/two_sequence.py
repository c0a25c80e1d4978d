"""The two-sequence problem (Hochreiter & Schmidhuber 1997, experiments 3a, 3b, 3c).

    python -m experiments.train --config=configs/two_sequence.py --workdir=runs/two_sequence

Solved in configs/long_lags.py, three seeds, by lstm after 784 (a), 779 (b) and 3,157 sequences (c)
on average (in 1997: 27,380, 41,740 and 269,650), and by the rnn never; of a, sequences of ten times
the length are all right too.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "two_sequence",
            "variant": "a",  # "a", "b" or "c"
            "length": 100,  # the minimal length T
            "informative": 3,  # how many numbers tell the class, N
            "lags": (200, 500),  # minimal lengths that are tested, but never trained on
        }
    )
    config.cell.hidden_size = 16
    config.cell.chrono = 100
    config.optimizer.learning_rate = 1e-2
    config.train.update(steps=3000, batch_size=16, eval_every=100, log_every=50)
    config.modes.tiny = {
        "task": {"length": 10, "lags": (20,)},
        "cell": {"hidden_size": 8},
        "train": {"steps": 20, "batch_size": 8, "eval_every": 10, "log_every": 5},
    }
    config.modes.full = {"seeds": 10, "train": {"steps": 40000}}
    return config
