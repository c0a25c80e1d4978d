"""The training of simpler models: it learns what can be learnt, and keeps the best."""

from functools import partial

import jax
import numpy as np
import pytest

from configs import forecasting as forecasting_config
from experiments.config import resolve
from experiments.forecasting import rivals
from experiments.forecasting.network import Forecaster, WindowReader
from experiments.forecasting.seasonal import seasonal
from experiments.forecasting.windows import Windows, fractions, scaled
from experiments.tasks.forecasting import loss


@pytest.fixture
def setting():
    """A sum of two waves, which a linear model can go on with, its parameters and its loss."""
    config = forecasting_config.get_config()
    changes = {"train.steps": 300, "train.eval_every": 25, "optimizer.learning_rate": 0.01}
    config = resolve(config, changes).unlock()
    turns = np.arange(600)[:, None] * np.array([0.3, 0.11])
    dated = seasonal(600)._replace(values=np.sin(turns).sum(axis=1, keepdims=True), columns=("x",))
    windows = Windows(config, scaled(dated, fractions(600)), 16, 4)
    model = Forecaster(WindowReader(), 4)
    params = model.init(jax.random.key(0), windows.at(np.array([16])).windows)
    return config, params, partial(loss, model, ()), windows


def last_value(windows, split):
    found = [
        np.mean((batch.targets - batch.windows[-1])[:, batch.present > 0] ** 2)
        for batch in windows.in_order(split)
    ]
    return found[0]  # there is one batch


def test_a_linear_model_learns_waves(setting):
    config, params, own_loss, windows = setting
    expected = last_value(windows, "test")
    config.train.steps = 0
    assert rivals.fit(config, params, own_loss, windows)["mse"] == pytest.approx(expected, rel=1e-4)
    config.train.steps = 300
    assert rivals.fit(config, params, own_loss, windows)["mse"] < 0.06 * expected


def test_the_best_on_validation_is_kept_and_patience_ends_it(setting, monkeypatch):
    """Of validation errors 3, 1, 2, 2.5 the second counts; patience 2 draws no batch after them."""
    config, params, own_loss, windows = setting
    told, drawn, judged = iter([3.0, 1.0, 2.0, 2.5]), [], []

    def evaluate(judge, params, windows, split):
        judged.append(params)
        return {"mse": next(told)} if split == "valid" else {"mse": -1.0}

    monkeypatch.setattr(rivals, "evaluate", evaluate)
    draw = windows.drawn
    monkeypatch.setattr(windows, "drawn", lambda number: drawn.append(number) or draw(number))
    config.train.update(steps=1000, eval_every=2, patience=2)
    assert rivals.fit(config, params, own_loss, windows) == {"mse": -1.0}
    assert drawn == list(range(8))
    assert judged[-1] is judged[1]
