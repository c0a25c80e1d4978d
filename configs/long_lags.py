"""Every experiment of Hochreiter & Schmidhuber (1997) with five cells.

    python -m experiments.compare --config=configs/long_lags.py --workdir=runs/long_lags

One table, sequences until success beside those of 1997, and success.png, success against the lag.
The README has the table: the LSTM without output activation solves all, the other gated cells all
but 2a, the rnn the grammar and short lags. The 65 trainings of three seeds took 1,761 seconds,
1,142 of them compiling, on one core of an Intel Xeon whose other one was busy. Some alone:
--config.compare.experiments=adding_4,temporal_order_6a
"""

from ml_collections import ConfigDict

from configs import (
    adding,
    default,
    multiplication,
    noise_free_lag,
    reber,
    temporal_order,
    two_sequence,
)


def get_config() -> ConfigDict:
    config = default.get_config()
    config.cells = ("rnn", "lstm_1997", "lstm", "gru", "no_output_activation_lstm")
    config.variants.lstm_1997 = {
        "cell": {"name": "no_forget_lstm", "activations": "1997", "input_bias": -3.0}
    }
    config.seeds = 3
    config.cell.hidden_size = 16
    config.optimizer.learning_rate = 1e-2
    config.train.update(steps=2000, batch_size=16, eval_every=250, log_every=50)
    experiments = {
        "reber_1": _experiment(reber.get_config()),
        "noise_free_2a": _experiment(noise_free_lag.get_config(), 1000, variant="a"),
        "noise_free_2b_10": _experiment(noise_free_lag.get_config(), 100, length=10),
        "noise_free_2b_30": _experiment(noise_free_lag.get_config(), 300, length=30),
        "noise_free_2b": _experiment(noise_free_lag.get_config(), 1000, steps=3000),
        "noise_free_2c": _experiment(noise_free_lag.get_config(), 500, variant="c", length=50),
        "two_sequence_3a": _experiment(two_sequence.get_config(), 100, lags=(200, 500, 1000)),
        "two_sequence_3b": _experiment(two_sequence.get_config(), 100, variant="b"),
        "two_sequence_3c": _experiment(two_sequence.get_config(), 100, variant="c"),
        "adding_4": _experiment(adding.get_config(), 100, lags=(200, 500, 1000)),
        "multiplication_5": _experiment(multiplication.get_config(), 100, steps=5000),
        "temporal_order_6a": _experiment(temporal_order.get_config(), 100, lags=(200, 500, 1000)),
        "temporal_order_6b": _experiment(temporal_order.get_config(), 100, relevant=3),
    }
    config.experiments, config.compare.experiments = experiments, tuple(experiments)
    config.modes.tiny = {
        "cell": {"hidden_size": 8},
        "train": {"batch_size": 8, "eval_every": 3, "log_every": 3},
        "experiments": {name: {"train": {"steps": 6}} for name in experiments},
    }
    config.modes.full = {
        "seeds": 10,
        "experiments": {name: {"train": {"steps": 20_000}} for name in experiments},
    }
    return config


def _experiment(
    config: ConfigDict, chrono: int = 0, steps: int = 2000, **fields: object
) -> dict[str, dict]:
    """The task of a config with other fields, T_max of chrono initialization, and steps."""
    task = config.task.to_dict() | {"lags": ()} | fields
    return {"task": task, "cell": {"chrono": chrono}, "train": {"steps": steps}}
