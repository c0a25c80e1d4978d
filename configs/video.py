"""The next frames of moving shapes or digits, by a convolutional LSTM and by a plain one.

    python -m experiments.compare --config=configs/video.py --workdir=runs/video
    python -m experiments.sample --workdir=runs/video/conv_lstm

Squared error of a test frame (the sum over its pixels, one seed), next frame / mean of ten ahead:

- shapes: conv_lstm 13.3 / 71.8 (56,048 parameters, 519 seconds), lstm 19.8 / 75.9 (3,673,088
  parameters, 510 seconds), the last frame 42.2 / 152.0, the mean training frame 100.4 / 101.2.
- digits, --config.task.data=digits: conv_lstm 12.7 / 22.7 (1,082 seconds), lstm 13.8 / 22.6 (539
  seconds) and, with --config.optimizer.learning_rate=3e-3, 13.0 / 21.9; the last frame 25.6 / 44.7,
  the mean training frame 24.6 / 24.6.

After three or four frames of going on alone, predictions blur; on digits nothing but its few
parameters speaks for conv_lstm. On shapes, 800 steps bring one layer to 14.8 / 75.1, and two layers
to 14.3 / 72.8. That was on two processor cores of an AMD EPYC that some ten other programs shared.
Full mode is unmeasured.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "video",
            "data": "shapes",  # one to three of them, or two "digits" of MNIST
            "size": 32,  # pixels of a frame's side
            "patch": 4,  # pixels of the side of what conv_lstm reads as one place
            "context": 10,  # frames that are read before the model goes on alone
            "ahead": 10,  # frames that it then predicts
            "free_running": 0.5,  # share of the training videos in which it does so too
            "widening": 16,  # units of any other cell for each of cell.hidden_size
        }
    )
    config.cells = ("conv_lstm", "lstm")
    config.cell.update(name="conv_lstm", hidden_size=32)  # filters
    config.optimizer.update(learning_rate=1e-2, schedule="cosine", warmup_steps=50)
    config.train.update(steps=2000, batch_size=8, eval_every=250, log_every=25)
    config.modes.tiny = {
        "task": {"size": 8, "context": 3, "ahead": 2, "widening": 2},
        "cell": {"hidden_size": 4},
        "optimizer": {"warmup_steps": 2},
        "train": {"steps": 4, "batch_size": 4, "eval_every": 2, "log_every": 2},
    }
    config.modes.full = {
        "task": {"size": 64},
        "cell": {"hidden_size": 64, "layers": 2},
        "train": {"steps": 20_000, "batch_size": 16, "eval_every": 1000},
    }
    return config
