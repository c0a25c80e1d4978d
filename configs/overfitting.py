"""What dropout and initial weights do to over-fitting: an LSTM on Bach's chorales, six ways.

    python -m experiments.compare --config=configs/overfitting.py \
        --workdir=runs/overfitting
    python -m experiments.inspect --workdir=runs/overfitting
"""

from ml_collections import ConfigDict

from configs import music

VARIANTS = {
    "no_dropout": {},
    "dropout": {"model": {"dropout": 0.5}},  # of the outputs
    "recurrent_dropout": {"model": {"variational_recurrent": 0.5}},
    "both": {"model": {"dropout": 0.5, "variational_recurrent": 0.5}},
    "small_weights": {"cell": {"kernel_init": "small_normal", "recurrent_init": "small_normal"}},
    "forget_bias_0": {"cell": {"forget_bias": 0.0}},
}


def get_config() -> ConfigDict:
    config = music.get_config()
    config.cells, config.variants = tuple(VARIANTS), ConfigDict(VARIANTS)
    config.cell.hidden_size = 128
    config.model.update(dropout=0.0, variational_recurrent=0.0)
    config.optimizer.schedule = "constant"
    config.train.update(steps=600, eval_every=25, patience=0)  # to the end, whatever it comes to
    return config
