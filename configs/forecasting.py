"""Forecasts of series."""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import default

RECIPES = {
    "generated": {},
    "etth1": {
        "task": {"data": "etth1"},
        "cell": {"hidden_size": 128},
        "optimizer": {"learning_rate": 3e-3},
        "train": {"steps": 600, "eval_every": 100},
    },
    "ot": {
        "task": {"data": "etth1", "columns": ("OT",)},
        "optimizer": {"learning_rate": 1e-3},
    },
    "passengers": {
        "task": {
            "data": "passengers",
            "window": 36,
            "segment": 12,
            "horizon": 12,
            "normalisation": "last_deviation",
        },
        "train": {"steps": 200, "eval_every": 25},
    },
    "temperatures": {
        "task": {"data": "temperatures", "window": 365, "segment": 5, "horizon": 7, "period": 365},
        "optimizer": {"learning_rate": 2e-3},
    },
    "sunspots": {
        "task": {"data": "sunspots", "window": 132, "segment": 12, "horizon": 12, "period": 132},
    },
}


def get_config(recipe: str = "generated") -> ConfigDict:
    config = default.get_config()
    config.task = ConfigDict(
        {
            "name": "forecasting",
            "data": "seasons",  # generated, or etth1, passengers, temperatures or sunspots
            "path": placeholder(str),  # a CSV file to read instead
            "columns": (),  # of the file, names separated by commas; none: all of them
            "longest_gap": 7,  # missing rows that are filled by the last value before them
            "window": 336,  # rows that are read
            "segment": 24,  # rows that the cell reads in a step; it divides the window
            "horizon": 24,  # rows that are forecast
            "period": 0,  # rows of a season, for repeating the last one; 0: by the dates
            "quantiles": (0.1, 0.5, 0.9),  # beside the expected value; (): none
            "independent": True,  # each channel from itself alone, all by the same weights
            "normalisation": "last",  # what is taken off a window: "none", "last", "last_deviation"
        }
    )
    config.cell.hidden_size = 64
    config.model.dropout = 0.3
    config.optimizer.update(learning_rate=3e-3, schedule="cosine")
    config.train.update(steps=400, batch_size=32, eval_every=50, log_every=25)
    config.update(RECIPES.get(recipe, {"task": {"data": recipe}}))
    config.modes.tiny = {
        "task": {"window": 24, "segment": 6, "horizon": 6},
        "cell": {"hidden_size": 8},
        "train": {"steps": 4, "batch_size": 8, "eval_every": 2, "log_every": 2},
    }
    config.modes.full = {"seeds": 5}
    return config
