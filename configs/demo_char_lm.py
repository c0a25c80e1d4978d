"""The demo's second half: five cells on the source text of Python's standard library."""

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
