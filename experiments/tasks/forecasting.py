"""Forecasting: windows of dated series, and what follows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments.config import ConfigError, choose, make_network
from experiments.data import downloads, files
from experiments.data.csv_series import Dated, read_dated
from experiments.data.downloads import DataSet
from experiments.forecasting import naive, rivals, verdict
from experiments.forecasting.network import (
    NORMALISATIONS,
    Forecast,
    Forecaster,
    RecurrentReader,
    WindowReader,
)
from experiments.forecasting.quantiles import interval, pinball
from experiments.forecasting.seasonal import seasonal
from experiments.forecasting.windows import AXES, Batch, Scaled, Windows, fractions, scaled
from experiments.task import Mean, Task, apply

FIELD = "config.task.path"
BROWNLEE = "https://raw.githubusercontent.com/jbrownlee/Datasets/master"
FILES = {
    "etth1": DataSet(
        "ett/ETTh1.csv",
        "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv",
        "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    ),
    "passengers": DataSet(
        "univariate/airline-passengers.csv",
        f"{BROWNLEE}/airline-passengers.csv",
        "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
    ),
    "temperatures": DataSet(
        "univariate/daily-min-temperatures.csv",
        f"{BROWNLEE}/daily-min-temperatures.csv",
        "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
    ),
    "sunspots": DataSet(
        "univariate/monthly-sunspots.csv",
        f"{BROWNLEE}/monthly-sunspots.csv",
        "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3",
    ),
}
GENERATED = "seasons"
ETTH1_ENDS = {"train": 8640, "valid": 11_520, "test": 14_400}  # rows: 12, 4 and 4 months of 30 days
RIVALS = {"linear model": None, "feed-forward network": 128}  # units; None: linear in the window


class Setting(NamedTuple):
    """What the parts of the task share.

    Attributes:
        config: the run's configuration.
        series: the series, scaled.
        windows: its windows.
        model: what forecasts.
        levels: the quantiles that it forecasts.
    """

    config: ConfigDict
    series: Scaled
    windows: Windows
    model: Forecaster
    levels: tuple[float, ...]


def forecasting(config: ConfigDict) -> Task:
    """Forecasts of ETTh1, of three classic series, of a generated one or of `config.task.path`.

    A window of T rows is read and the L rows after it are forecast at once: their expected values
    by the squared error, and `config.task.quantiles` of them by the pinball loss. Series are scaled
    by their training rows, and all metrics are on that scale. The test moves the origin forward
    row by row through the test part (walk-forward): at each, the rows before it are known, those
    of earlier parts among them, and none after it; the model is not trained again on the way.

    ETTh1 is divided as Zhou et al. 2021 (Informer, arXiv:2012.07436) do, every other series at
    60 and 80 % of its rows.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    setting = make_setting(config)
    model, windows = setting.model, setting.windows
    example = jnp.zeros((windows.length, 1, setting.series.values.shape[1]))
    return Task(
        model=model,
        init=lambda key: model.init(key, example),
        initial_carry=tuple,
        loss=partial(loss, model, setting.levels),
        train_batches=windows.train,
        eval_batches=windows.in_order,
        metric="mse",
        higher_is_better=False,
        summarize=partial(summarize, setting.levels),
        sample=partial(sample, setting),
        facts=facts(setting),
        batch_axes=AXES,
        unit="windows",
        score=partial(score, setting),
        baselines=partial(baselines, setting),
        verdict=verdict.verdict,
    )


def make_setting(config: ConfigDict) -> Setting:
    """The series that the configuration names, its windows and the model.

    Raises:
        ConfigError: if a file is absent or wrong, or a field cannot be.
    """
    used = config.task
    levels = tuple(used.quantiles)
    if list(levels) != sorted(set(levels)):
        raise ConfigError(f"config.task.quantiles is {levels}, it must rise from each to the next")
    if used.window % used.segment:
        raise ConfigError(
            f"config.task.segment is {used.segment}, it must divide config.task.window,"
            f" {used.window}"
        )
    series = load(config)
    windows = Windows(config, series, used.window, used.horizon)
    reader = RecurrentReader(make_network(config), used.segment)
    return Setting(config, series, windows, forecaster(config, reader), levels)


def forecaster(config: ConfigDict, reader: Any) -> Forecaster:
    """The model around a reader."""
    used = config.task
    return Forecaster(
        reader,
        used.horizon,
        len(used.quantiles),
        used.independent,
        choose("task.normalisation", used.normalisation, NORMALISATIONS),
        config.model.dropout,
    )


def load(config: ConfigDict) -> Scaled:
    """The series that `config.task` names, scaled by its training rows.

    Raises:
        ConfigError: if a file is absent or wrong.
    """
    name = choose("task.data", config.task.data, (GENERATED, *FILES))
    if config.task.path:
        return scale(Path(config.task.path), FIELD, config)
    if name in FILES:
        path = downloads.locate(FILES[name], config.data_dir)
        return scale(path, "config.task.data", config, ETTH1_ENDS if name == "etth1" else None)
    dated = seasonal()
    return scaled(dated, fractions(len(dated.values)))


def scale(path: Path, field: str, config: ConfigDict, ends: dict[str, int] | None = None) -> Scaled:
    """The series of a file, scaled, its splits ending where `ends` says or by `fractions`."""
    columns = [name for entry in config.task.columns for name in entry.split(",")]
    dated = read_dated(path, field, columns, config.task.longest_gap)
    try:
        return scaled(dated, ends or fractions(len(dated.values)))
    except ValueError as error:
        raise files.refusal(path, field, str(error)) from error


def loss(
    model: Forecaster,
    levels: Sequence[float],
    params: Any,
    carry: tuple,
    batch: Batch,
    key: jax.Array | None,
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """The squared error of the expected values plus the pinball loss of the quantiles."""
    forecast = apply(model, params, jnp.asarray(batch.windows), key=key)
    judged = judge(forecast, jnp.asarray(batch.targets), levels)
    means = {name: Mean.of(values, jnp.asarray(batch.present)) for name, values in judged.items()}
    parts = [means[name] for name in ("mse", "pinball") if name in means]
    total = sum(mean.total / jnp.maximum(mean.weight, 1.0) for mean in parts)
    return jnp.asarray(total), (carry, means)


def judge(forecast: Forecast, truth: jax.Array, levels: Sequence[float]) -> dict[str, jax.Array]:
    """The metrics of each window [B], averaged over its rows and channels."""
    errors = truth - forecast.point
    found = {"mse": errors**2, "mae": jnp.abs(errors)}
    if levels:
        found["pinball"] = pinball(truth, forecast.quantiles, levels)
        found |= interval(truth, forecast.quantiles, levels)
    return {name: values.mean(axis=(0, 2)) for name, values in found.items()}


def summarize(levels: Sequence[float], means: dict[str, float]) -> dict[str, float]:
    """The means, and beside the coverage of the interval the one that it should have."""
    nominal = {"nominal_coverage": levels[-1] - levels[0]} if "coverage" in means else {}
    return means | nominal


def facts(setting: Setting) -> dict[str, Any]:
    """What the results say about the series."""
    dated = setting.series.dated
    return {
        "name": dated.name,
        "columns": list(dated.columns),
        "rows": len(dated.values),
        "from": str(dated.dates[0]),
        "to": str(dated.dates[-1]),
        "step": str(dated.step),
        "filled_values": dated.filled,
        "sha256": files.sha256(dated.values.tobytes()),
        "period": period(setting),
        **{f"{split}_end": end for split, end in setting.series.ends.items()},
        **setting.windows.facts(),
    }


def period(setting: Setting) -> int:
    """The rows of a season: `config.task.period`, or what the step between dates suggests.

    Raises:
        ConfigError: if no whole season lies before the test.
    """
    rows = setting.config.task.period or setting.series.dated.step.season()
    if rows > (known := setting.series.ends["valid"]):
        raise ConfigError(
            f"config.task.period is {rows}, but only {known} rows of"
            f" {setting.series.dated.name} lie before the test; make it smaller"
        )
    return rows


def score(setting: Setting, params: Any, split: str) -> dict[str, float]:
    """By how much the model is better than repeating the last value, see `verdict.gain`."""
    own, last = [], []
    for batch in setting.windows.in_order(split):
        there = batch.present > 0
        forecast = np.asarray(_forecast(setting.model, params, batch.windows).point)
        own.append(((batch.targets - forecast) ** 2).mean(axis=(0, 2))[there])
        last.append(((batch.targets - batch.windows[-1]) ** 2).mean(axis=(0, 2))[there])
    return verdict.gain(np.concatenate(own), np.concatenate(last), setting.windows.horizon)


@partial(jax.jit, static_argnums=0)
def _forecast(model: Forecaster, params: Any, windows: jax.Array) -> Forecast:
    return apply(model, params, windows)


def baselines(setting: Setting) -> dict[str, dict[str, float]]:
    """What repeating earlier values reaches, and two networks without recurrence on the windows.

    The quantiles of the former are learnt from training and validation; the networks learn from
    training and stop early by validation, as the model itself does.
    """
    values, windows = setting.series.values, setting.windows
    lags: dict[str, naive.Lag] = {verdict.LAST_VALUE: naive.last_value}
    if period(setting) > 1:
        lags["repeating the last season"] = naive.seasonal(period(setting))
    known = setting.series.ends["valid"]
    found = {
        name: naive.naive(
            values, windows.origins["test"], known, windows.horizon, lag, setting.levels
        )
        for name, lag in lags.items()
    }
    example = jnp.zeros((windows.length, 1, values.shape[1]))
    for name, units in RIVALS.items():
        model = forecaster(setting.config, WindowReader(units))
        params = model.init(jax.random.key(setting.config.seed), example)
        own_loss = partial(loss, model, setting.levels)
        found[name] = rivals.fit(setting.config, params, own_loss, windows)
    return found


def sample(
    setting: Setting,
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Draws forecasts from origins in the test part beside the truth: forecasts.png.

    Args:
        setting: the parts of the task.
        params: the parameters.
        key: not used; there is no chance in it.
        directory: where the files go.
        prompt: a CSV file of the user's own with the columns of the training data; what follows
            its end goes into forecast.csv and forecast.png.

    Raises:
        ConfigError: if that file is wrong, shorter than a window, or has another step.
    """
    from experiments.forecasting import plots

    if prompt is not None:
        return _go_on(setting, params, directory, prompt)
    path = directory / "forecasts.png"
    origins = plots.spread(setting.windows.origins["test"])
    batch = setting.windows.at(origins)
    forecast = restore(setting.series, _forecast(setting.model, params, batch.windows))
    plots.plot_origins(path, setting.series.dated, origins, forecast, setting.levels)
    print(path)


def restore(series: Scaled, forecast: Forecast) -> Forecast:
    """A forecast in the units of the series."""
    quantiles = np.moveaxis(np.asarray(forecast.quantiles), -1, 0)
    return Forecast(
        series.restore(np.asarray(forecast.point)),
        np.moveaxis(series.restore(quantiles), 0, -1),
    )


def _go_on(setting: Setting, params: Any, directory: Path, prompt: str) -> None:
    """Forecasts what follows the end of a user's file."""
    from experiments.forecasting import plots

    own, values = _read_prompt(setting, prompt)
    length, horizon = setting.windows.length, setting.windows.horizon
    window = values[-length:, None]
    forecast = restore(setting.series, _forecast(setting.model, params, window))
    forecast = Forecast(forecast.point[:, 0], forecast.quantiles[:, 0])
    dates = own.step.after(own.dates, horizon)
    plots.write_csv(directory / "forecast.csv", own, dates, forecast, setting.levels)
    plots.plot_future(directory / "forecast.png", own, dates, forecast, setting.levels)
    for name in ("forecast.csv", "forecast.png"):
        print(directory / name)


def _read_prompt(setting: Setting, prompt: str) -> tuple[Dated, np.ndarray]:
    """The series of a user's file, at least a window long, and as the model sees it.

    Raises:
        ConfigError: if it is wrong or does not fit the training data.
    """
    if not prompt:
        raise ConfigError("--prompt is empty; give the path of a CSV file")
    path, known = Path(prompt), setting.series.dated
    own = read_dated(path, "--prompt", known.columns, setting.config.task.longest_gap)
    if own.step != known.step:
        what = f"has a row every {own.step}, but the training data one every {known.step}"
        raise files.refusal(path, "--prompt", what)
    if len(own.values) < setting.windows.length:
        what = f"has {len(own.values)} rows, but the model reads {setting.windows.length}"
        raise files.refusal(path, "--prompt", f"{what}; give at least as many")
    try:
        return own, setting.series.scale(own)
    except ValueError as error:
        raise files.refusal(path, "--prompt", str(error)) from error
