"""The copy memory task (as in Bai et al. 2018), ten symbols over a blank of 1,000 steps.

    python -m experiments.train --config=configs/copy_memory.py --workdir=runs/copy_memory

Solved by an LSTM of 128 units with chrono initialization, whose batches take turns at blanks of 1
to 1,000 steps: all ten symbols are right in 99.96 % of the test sequences, in 99.8 % over 2,000 and
in 97.9 % over 5,000 steps, neither ever trained on; the cross-entropy is 1.1e-5 (0.0204 for whoever
remembers nothing). All of the latest 2,000 sequences were right after 478,400 of them, 15,000 steps
and 3,066 seconds on one core of an Intel Xeon (72,458 parameters, seed 0). Without turns it is
slow: over 100 steps 0.100 after 8,000 steps (0.173 without memory). Quicker, and right on 96.7 %
over 200 steps: --config.task.length=30 --config.task.shorter="(1,3,10)" --config.cell.chrono=150,
187 seconds.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "copy_memory",
            "length": 1000,  # T
            "shorter": (1, 3, 10, 30, 100, 300),  # further lags that training takes turns with
            "lags": (2000, 5000),  # that are tested, but never trained on
        }
    )
    config.cell.hidden_size = 128
    config.cell.chrono = 1500
    config.optimizer.learning_rate = 3e-3
    config.train.update(steps=20000, batch_size=32, eval_every=1000, log_every=50)
    config.modes.tiny = {
        "task": {"length": 5, "shorter": (3,), "lags": (9,)},
        "cell": {"hidden_size": 8},
        "train": {"steps": 20, "batch_size": 8, "eval_every": 10, "log_every": 5},
    }
    config.modes.full = {"seeds": 5}
    return config
