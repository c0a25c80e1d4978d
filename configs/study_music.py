"""The study of Greff et al. 2017 on Bach's chorales."""

from ml_collections import ConfigDict

from configs import default, music

PIECES = 229  # to train on
EPOCH = 15  # steps, in batches of 16
PEEPHOLES = {"peepholes": "diagonal"}
VARIANTS = {
    "V": {"name": "peephole_lstm"},
    "NIG": {"name": "no_input_gate_lstm", **PEEPHOLES},
    "NFG": {"name": "no_forget_lstm", **PEEPHOLES},
    "NOG": {"name": "no_output_gate_lstm", **PEEPHOLES},
    "NIAF": {"name": "no_input_activation_lstm", **PEEPHOLES},
    "NOAF": {"name": "no_output_activation_lstm", **PEEPHOLES},
    "NP": {"name": "lstm"},
    "CIFG": {"name": "coupled_lstm", **PEEPHOLES},
    "FGR": {"name": "full_gate_recurrence_lstm", **PEEPHOLES},
    "GRU": {"name": "gru"},
    "RNN": {"name": "rnn"},
    "LN": {"name": "layer_norm_lstm"},
}


def get_config() -> ConfigDict:
    config = music.get_config()
    config.task.buckets = 3
    config.cells = tuple(VARIANTS)
    config.variants = ConfigDict({name: {"cell": cell} for name, cell in VARIANTS.items()})
    config.model = default.get_config().model
    config.optimizer.update(name="adam", schedule="constant")
    config.train.update(steps=50 * EPOCH, eval_every=EPOCH, log_every=EPOCH, patience=15)
    config.train.checkpoint_every = 20 * EPOCH
    config.modes = ConfigDict({"tiny": {}, "quick": {}, "full": {}})
    config.modes.tiny = {
        "task": {"buckets": 1},
        "study": {"trials": 2, "hidden_size": (4, 8), "sizes": 2, "best": 2},
        "train": {"steps": 4, "batch_size": 8, "eval_every": 2, "log_every": 2},
    }
    config.modes.paper = {
        "study": {"trials": 200, "sizes": 8, "learning_rate": (1e-6, 1e-2), "best": 20},
        "optimizer": {"name": "nesterov"},
        "train": {
            "steps": 150 * PIECES,
            "batch_size": 1,
            "eval_every": PIECES,
            "log_every": PIECES,
            "checkpoint_every": 10 * PIECES,
        },
    }
    return config
