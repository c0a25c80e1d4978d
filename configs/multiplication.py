"""The multiplication problem (Hochreiter & Schmidhuber 1997, experiment 5), minimal length 100.

    python -m experiments.train --config=configs/multiplication.py --workdir=runs/multiplication

Solved in configs/long_lags.py, three seeds, by lstm after 20,885 sequences on average (in 1997:
482,000), 3.6 % of the test sequences wrong; never by the rnn.
"""

from ml_collections import ConfigDict

from configs import adding


def get_config() -> ConfigDict:
    config = adding.get_config()
    config.task = ConfigDict(
        {
            "name": "multiplication",
            "length": 100,
            "wrong": 139,  # solved when no more of the latest 2,000 are wrong; 12: the stricter
            "lags": (200, 500),  # minimal lengths that are tested, but never trained on
        }
    )
    return config
