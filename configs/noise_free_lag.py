"""Long time lags without noise (Hochreiter & Schmidhuber 1997, experiments 2a, 2b, 2c).

    python -m experiments.train --config=configs/noise_free_lag.py --workdir=runs/noise_free_lag

What configs/long_lags.py found with three seeds: 2b is solved after 3,547 sequences by
no_output_activation_lstm, 10,416 by gru, 18,240 by lstm (2 of 3 seeds), 1,728 by the cell of 1997
(1 of 3), and not by the rnn; 2c with a lag of 50 after 700 to 1,100 by all but the rnn. 2a is
solved by no_output_activation_lstm alone, after 9,232 (1997: 5,040): the fixed symbols add up in c,
tanh(c) saturates, and the symbol to be kept gets no gradient; of the others all symbols but the
last are learnt, that one stays at one half, in up to 200,000 sequences of lstm and gru and 96,000
of coupled_lstm and peephole_lstm. Tried with lstm or the cell of 1997, one seed and up to 40,000
sequences each: learning rates of 0.003 and 0.03, RMSprop, momentum, 32 units, T_max of 10,000,
input gate biases of -1 and -6, output gate biases of -2 and -3, squared errors of logistic outputs,
outputs that see the input too.
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
