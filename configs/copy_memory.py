"""The copy memory task (as in Bai et al. 2018), ten symbols over a blank of 1,000 steps.

    python -m experiments.train --config=configs/copy_memory.py --workdir=runs/copy_memory

Not measured at this length yet. Over a blank of 100 steps the LSTM, with
--config.task.length=100 --config.cell.chrono=150 --config.train.batch_size=32
--config.optimizer.learning_rate=3e-3, has a cross-entropy of 0.121 after 4,500 steps and is still
falling (0.173 for whoever remembers nothing), 38 % of the symbols right; with 16 sequences a batch
and a learning rate of 0.01 it has 0.100 and 50 % after 8,000 steps.
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
