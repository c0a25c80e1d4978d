r"""Summaries of the standard library's docstrings, with a pointer to copy.

    python -m experiments.train --config=configs/summarise.py --workdir=runs/summarise
    python -m experiments.sample --workdir=runs/summarise \
        --prompt="queue put nowait: If no free slot is immediately available, raise QueueFull."

ROUGE-L 16.9 on the 122 test docstrings of Python 3.11 (one seed; standard error 1.3), in 1,127
seconds on two processor cores with other work on them; the body's first sentence has 13.7 (1.1),
the name 14.2 (1.2), both together 15.1 (0.9). Full mode is unmeasured.

Any other texts: --config.task.path=DIRECTORY with the files train.body, train.summary, valid.body
and so on.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "summarise",
            "path": placeholder(str),  # a directory of parallel files instead of docstrings
            "level": "subword",  # character, ngram, subword or word
            "vocabulary_size": 2000,  # symbols of both sides
            "embedding": 128,
            "attention": "luong",  # none, bahdanau or luong
            "pointer": True,  # copies from where attention looks
            "bidirectional": True,  # the encoder
            "smoothing": 0.1,  # of the labels, in training
            "buckets": 3,  # by length
            "beams": 5,
            "alpha": 1.0,  # what longer summaries are forgiven
            "longest": 40,  # symbols of a training summary, and of what is written
            "longest_source": 100,  # symbols that are read, those beyond are not
        }
    )
    config.cell.hidden_size = 192
    config.model.dropout = 0.35
    config.optimizer.update(
        name="adamw", learning_rate=4e-3, schedule="linear", warmup_steps=50, weight_decay=0.01
    )
    config.train.update(steps=1800, batch_size=32, eval_every=200, patience=5, log_every=25)
    config.modes.tiny = {
        "task": {
            "vocabulary_size": 300,
            "embedding": 8,
            "beams": 2,
            "longest": 12,
            "longest_source": 16,
            "buckets": 1,
        },
        "cell": {"hidden_size": 8},
        "optimizer": {"warmup_steps": 2},
        "train": {"steps": 6, "batch_size": 8, "eval_every": 3, "log_every": 3},
    }
    config.modes.full = {
        "task": {"vocabulary_size": 4000, "embedding": 192},
        "cell": {"hidden_size": 256},
        "model": {"dropout": 0.5},
        "train": {"steps": 3000},
    }
    return config
