r"""Character language modelling of Python's standard library, of Shakespeare or of any text.

    python -m experiments.train --config=configs/char_lm.py --workdir=runs/shakespeare \
        --config.task.text=shakespeare
    python -m experiments.sample --workdir=runs/shakespeare --prompt="ROMEO:"

An LSTM of 384 units reads the training part of Shakespeare 4.9 times, 4.9 million characters, and
reaches 2.23 bits per character on the last 5 % (2.06 on the 5 % before; one seed). That took 482
seconds on two processor cores with other work on them; counting characters, a Kneser-Ney 7-gram
reaches 2.28. Full mode reads it 15 times with two layers of 512 units and reaches 2.180, and 2.066
on the last 10 % (one seed), in 6,271 seconds of which other work took more than half. For any other
UTF-8 text: --config.task.path=FILE.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "char_lm",
            "text": "stdlib",  # stdlib, shakespeare or multi30k, its English side
            "path": placeholder(str),  # any UTF-8 file instead
            "level": "character",  # of the symbols: character, ngram, subword or word
            "vocabulary_size": 4000,  # the most symbols that levels above the character may have
            "steps": 64,  # symbols that gradients go back
            "restart": 16,  # windows of so many steps until a stream starts afresh; 0: never
            "embedding": 0,  # size of an embedding of the symbols; 0: one-hot
            "tied": False,  # the output kernel is the embedding
            "ar": 0.0,  # activation regularization: times the mean square of outputs
            "tar": 0.0,  # temporal: times the mean square of their changes
        }
    )
    config.cell.hidden_size = 384
    config.model.dropout = 0.2
    config.optimizer.update(learning_rate=4e-3, schedule="cosine", warmup_steps=50)
    config.train.update(steps=2400, batch_size=32, eval_every=300, log_every=25)
    config.modes.tiny = {
        "task": {"steps": 16},
        "cell": {"hidden_size": 8},
        "optimizer": {"warmup_steps": 2},
        "train": {"steps": 10, "batch_size": 8, "eval_every": 5, "log_every": 5},
    }
    config.modes.full = {
        "cell": {"layers": 2, "hidden_size": 512},
        "model": {"dropout": 0.4, "drop_connect": 0.3},
        "optimizer": {"learning_rate": 3e-3, "warmup_steps": 100},
        "train": {"steps": 3700, "batch_size": 64, "eval_every": 370},
    }
    return config
