"""The study of Greff et al. 2017, "LSTM: A Search Space Odyssey", on Bach's chorales.

    python -m experiments.study --config=configs/study_music.py --workdir=runs/study
    python -m experiments.study --report --workdir=runs/study

Nine variants, the GRU, the tanh RNN and layer normalization, 24 trials each: 288 trials took 79
minutes on two cores of an Intel Xeon with other work on them, 137 minutes of the processor's,
nearly half of them compiling. README, "Which variant?", has the result.

The learning rate's range is not the paper's, since Adam is another optimizer. A step took a trial 8
ms with 20 units, 14 with 80 and 59 with 200, a program about 70 s to compile beside another one.
Padding every trial to 200 units, to compile 12 programs in place of 71, would hence have taken a
third longer; besides, layer normalization would count the padding.

Mode paper is the paper's: 200 trials a variant, online descent with Nesterov's momentum, at most
150 epochs, the 20 best compared. It is for a GPU and has not been run.
"""

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
    config.cells = tuple(VARIANTS)
    config.variants = ConfigDict({name: {"cell": cell} for name, cell in VARIANTS.items()})
    config.model = default.get_config().model
    config.optimizer.schedule = "constant"
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
