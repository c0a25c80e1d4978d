"""Captions of generated scenes of two to four shapes, with attention.

    python -m experiments.train --config=configs/captioning.py --workdir=runs/captioning
    python -m experiments.sample --workdir=runs/captioning --prompt=PICTURE.png

True sentences about NLVR's images: --config.task.data=nlvr. Features that another program computed:
--config.task.path=FILE.npz, see `experiments.language.images.load_features`. How many captions come
out right has not been measured yet, in no mode.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "captioning",
            "data": "scenes",  # generated, or "nlvr"
            "path": placeholder(str),  # an archive of features instead of pictures
            "pictures": 40_000,  # generated scenes to learn from
            "vocabulary_size": 10_000,  # words at most, and the marks
            "features": 96,  # of each place in the picture
            "embedding": 64,
            "attention": "bahdanau",  # none, bahdanau or luong
            "smoothing": 0.0,  # of the labels, in training
            "buckets": 3,  # by length
            "beams": 3,
            "alpha": 1.0,  # what longer captions are forgiven
            "longest": 40,  # words of a training caption, and of one that is written
        }
    )
    config.cell.hidden_size = 128
    config.model.dropout = 0.2
    config.optimizer.update(learning_rate=3e-3, schedule="cosine", warmup_steps=100)
    config.train.update(steps=3000, batch_size=64, eval_every=300, log_every=25)
    config.modes.tiny = {
        "task": {"pictures": 30, "features": 8, "embedding": 8, "beams": 2, "buckets": 1},
        "cell": {"hidden_size": 8},
        "optimizer": {"warmup_steps": 2},
        "train": {"steps": 6, "batch_size": 8, "eval_every": 3, "log_every": 3},
    }
    return config
