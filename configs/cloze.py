"""Missing words."""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "cloze",
            "text": "multi30k",  # multi30k, shakespeare or stdlib
            "path": placeholder(str),  # any UTF-8 text instead, a sentence a line
            "lines": 5,  # of a passage; Multi30k has single sentences
            "vocabulary_size": 8000,
            "embedding": 256,
            "bidirectional": True,
            "hide": 0.15,
            "buckets": 4,
            "beams": 5,
        }
    )
    config.cell.hidden_size = 256
    config.model.dropout = 0.3
    config.optimizer.update(learning_rate=2e-3, schedule="cosine", warmup_steps=50)
    config.train.update(steps=1000, batch_size=64, eval_every=250, log_every=25)
    config.modes.tiny = {
        "task": {"vocabulary_size": 60, "embedding": 8, "buckets": 1, "beams": 2},
        "cell": {"hidden_size": 8},
        "optimizer": {"warmup_steps": 2},
        "train": {"steps": 6, "batch_size": 8, "eval_every": 3, "log_every": 3},
    }
    return config
