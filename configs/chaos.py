"""A small run with all that must survive a kill: recurrent state, dropout, two seeds, patience.

    python -m experiments.chaos --kills=100

Each kill takes about nine seconds on two cores, most of them to start and compile.
"""

from ml_collections import ConfigDict

from configs import char_lm


def get_config() -> ConfigDict:
    config = char_lm.get_config()
    config.task.steps = 32
    config.cell.hidden_size = 16
    config.model.dropout = 0.3
    config.seeds = 2
    config.train.update(steps=90, batch_size=16, eval_every=12, patience=5, log_every=5)
    config.train.checkpoint_every = 8
    return config
