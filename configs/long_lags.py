"""Every long-time-lag experiment of Hochreiter & Schmidhuber (1997), and two later ones.

    python -m experiments.compare --config=configs/long_lags.py --workdir=runs/long_lags

One table, sequences until success beside those of 1997, and success.png, success against the lag.
Some of them alone: --config.compare.experiments=adding_4,temporal_order_6a
"""

from typing import Any

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

SMALL = {
    "cell": {"hidden_size": 8},
    "train": {"steps": 6, "batch_size": 8, "eval_every": 3, "log_every": 3},
}


def get_config() -> ConfigDict:
    config = default.get_config()
    config.cells = ("rnn", "lstm_1997", "lstm", "gru")
    config.variants.lstm_1997 = {
        "cell": {"name": "no_forget_lstm", "activations": "1997", "input_bias": -3.0}
    }
    config.seeds = 3
    config.cell.hidden_size = 16
    config.optimizer.learning_rate = 1e-2
    config.train.update(steps=3000, batch_size=16, eval_every=100, log_every=50)
    config.train.checkpoint_every = 1000
    experiments = {
        "reber_1": _task(reber, lags=()),
        "noise_free_2a": _task(noise_free_lag, variant="a", lags=()),
        "noise_free_2b_10": _task(noise_free_lag, length=10, lags=()),
        "noise_free_2b_30": _task(noise_free_lag, length=30, lags=()),
        "noise_free_2b": _task(noise_free_lag, lags=()),
        "noise_free_2c": _task(noise_free_lag, variant="c", length=50, lags=()),
        "two_sequence_3a": _task(two_sequence, lags=(200, 1000)),
        "two_sequence_3b": _task(two_sequence, variant="b", lags=()),
        "two_sequence_3c": _task(two_sequence, variant="c", lags=()),
        "adding_4": _task(adding, lags=(200, 1000)),
        "multiplication_5": _task(multiplication, lags=()),
        "temporal_order_6a": _task(temporal_order, lags=(200, 1000)),
        "temporal_order_6b": _task(temporal_order, relevant=3, lags=()),
    }
    config.experiments, config.compare.experiments = experiments, tuple(experiments)
    config.modes.tiny = {"seeds": 2, **SMALL}
    config.modes.full = {"seeds": 10, "train": {"steps": 20000}}
    return config


def _task(module: Any, **fields: Any) -> dict[str, Any]:
    """An experiment: the task of its own config file, with other fields, and chrono for its lag."""
    task = module.get_config().task.to_dict() | fields
    return {"task": task, "cell": {"chrono": task["length"]}}
