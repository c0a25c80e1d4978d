"""Which cell for my problem? Ten minutes of trials on a file of one's own, and a recommendation.

    python -m experiments.study --config=configs/study_quick.py:prices.csv --workdir=runs/quick
    python -m experiments.study --config=configs/study_quick.py:letters.txt --workdir=runs/quick

A file that ends in .csv is forecast (configs/forecasting.py says what such a file holds, and
--config.task.horizon=12 and the like what is forecast), any other is read as UTF-8 text, character
by character. Without a file it forecasts the generated series. Five cells get eight trials each;
hidden size and learning rate are drawn anew for each of them. On two cores of an Intel Xeon with
other work on them the ten years of daily temperatures took 229 seconds, Shakespeare's plays 532.
"""

from ml_collections import ConfigDict

from configs import char_lm, forecasting


def get_config(path: str = "") -> ConfigDict:
    text = bool(path) and not path.lower().endswith(".csv")
    config = char_lm.get_config() if text else forecasting.get_config()
    if path:
        config.task.path = path
    config.cells = ("lstm", "gru", "coupled_lstm", "layer_norm_lstm", "rnn")
    config.model.dropout = 0.1
    config.optimizer.update(schedule="cosine", warmup_steps=0)
    config.study.update(
        trials=8,
        hidden_size=(32, 128),
        sizes=2,
        learning_rate=(3e-4, 3e-2),
        momentum=(0.9, 0.9),
        input_noise=(0.0, 0.0),
        best=4,
    )
    config.train.update(steps=400, eval_every=50, log_every=50, patience=4, checkpoint_every=200)
    config.modes.tiny["study"] = {"trials": 2, "hidden_size": (3, 6), "best": 2}
    config.modes.full = {"study": {"trials": 24, "best": 8}}
    return config
