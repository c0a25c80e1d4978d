"""The demo's first half: five cells on temporal order, one recipe for all."""

from ml_collections import ConfigDict

from configs import temporal_order


def get_config() -> ConfigDict:
    config = temporal_order.get_config()
    config.cells = ("rnn", "lstm", "peephole_lstm", "coupled_lstm", "gru")
    config.train.update(steps=600, eval_every=25)
    return config
