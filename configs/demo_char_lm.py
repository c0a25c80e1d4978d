"""The demo's second half: five cells on the source text of Python's standard library.

    python -m experiments.compare --config=configs/demo_char_lm.py --workdir=runs/text

About two and a half minutes on two cores. Bits per character on the last part of Python 3.11's
library: rnn 2.30, lstm 2.16, peephole_lstm 2.17, coupled_lstm 2.15, gru 2.08.
"""

from ml_collections import ConfigDict

from configs import char_lm


def get_config() -> ConfigDict:
    config = char_lm.get_config()
    config.cells = ("rnn", "lstm", "peephole_lstm", "coupled_lstm", "gru")
    config.cell.hidden_size = 128
    config.model.dropout = 0.0
    config.optimizer.learning_rate = 1e-2
    config.train.update(steps=800, batch_size=32, eval_every=200)
    return config
