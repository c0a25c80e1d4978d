"""What dropout and initial weights do to over-fitting: an LSTM on Bach's chorales, six ways.

    python -m experiments.compare --config=configs/overfitting.py \
        --workdir=runs/overfitting
    python -m experiments.inspect --workdir=runs/overfitting

Nats a frame, seed 0: the least validation loss and its step, the validation loss at the end and how
far it lies above the training loss there, the test loss with the best parameters:

    variant              least  step    end    gap   test
    no_dropout           8.673   225  9.450  2.686  8.759
    dropout              8.656   300  8.927  1.233  8.703
    recurrent_dropout    8.293   600  8.293  0.438  8.322
    both                 8.371   600  8.371 -0.061  8.426
    small_weights        8.680   275  9.276  2.524  8.740
    forget_bias_0        8.624   225  9.767  3.392  8.688

50 to 97 seconds each on two cores of an Intel Xeon with other work on them.
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
