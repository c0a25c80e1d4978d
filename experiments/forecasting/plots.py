"""Forecasts beside the truth, and beyond the end of a series."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.csv_series import Dated
from experiments.forecasting.network import Forecast
from lstm_jax.analysis.style import COLORS

SHOWN = 3  # origins, side by side
CHANNELS = 4  # one below the other
TRUTH, FORECAST, LAST = COLORS[6], COLORS[0], COLORS[1]
BEFORE = 1.5  # horizons that are drawn before the origin
LEAST = 24  # rows that are


def spread(origins: np.ndarray, number: int = SHOWN) -> np.ndarray:
    """Some origins from the first to the last, all of them different."""
    return np.unique(np.linspace(origins[0], origins[-1], number).round().astype(int))


def plot_origins(
    path: Path,
    dated: Dated,
    origins: np.ndarray,
    forecast: Forecast,
    levels: Sequence[float],
) -> None:
    """Draws the forecasts from some origins: a column an origin, a row a channel.

    Args:
        path: the PNG to write.
        dated: the series.
        origins: the first rows that are forecast [B].
        forecast: in the units of the series, [L, B, C] and [L, B, C, Q].
        levels: of the quantiles.
    """
    from matplotlib.figure import Figure  # slow to import

    shown = min(len(dated.columns), CHANNELS)
    size = (4.2 * len(origins) + 0.6, 2.1 * shown + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(shown, len(origins), squeeze=False, sharex="col", sharey="row")
    horizon = len(forecast.point)
    for row, place in enumerate(channels(len(dated.columns))):
        axes[row, 0].set_ylabel(dated.columns[place])
        for axis, origin, number in zip(axes[row], origins, range(len(origins)), strict=True):
            rows = slice(max(origin - before(horizon), 0), origin + horizon)
            truth = dated.values[rows, place]
            axis.plot(dated.dates[rows], truth, color=TRUTH, linewidth=1.1, label="truth")
            own = Forecast(forecast.point[:, number, place], forecast.quantiles[:, number, place])
            ahead = dated.dates[origin : origin + horizon]
            known = dated.dates[origin - 1], dated.values[origin - 1, place]
            draw(axis, ahead, own, known, levels)
            if row == 0:
                axis.set_title(f"forecast from {day(dated.dates[origin])}", fontsize=10, loc="left")
    finish(figure, axes)
    figure.savefig(path, dpi=130)


def plot_future(
    path: Path, dated: Dated, dates: np.ndarray, forecast: Forecast, levels: Sequence[float]
) -> None:
    """Draws what follows the end of a series, a row a channel.

    Args:
        path: the PNG to write.
        dated: the series.
        dates: of the rows that follow [L].
        forecast: in the units of the series, [L, C] and [L, C, Q].
        levels: of the quantiles.
    """
    from matplotlib.figure import Figure  # slow to import

    shown = min(len(dated.columns), CHANNELS)
    figure = Figure(figsize=(9, 2.1 * shown + 0.9), layout="constrained")
    axes = figure.subplots(shown, 1, squeeze=False, sharex=True)
    rows = slice(max(len(dated.dates) - 2 * before(len(dates)), 0), None)
    for axis, place in zip(axes[:, 0], channels(len(dated.columns)), strict=True):
        axis.set_ylabel(dated.columns[place])
        values = dated.values[rows, place]
        axis.plot(dated.dates[rows], values, color=TRUTH, linewidth=1.1, label="truth")
        own = Forecast(forecast.point[:, place], forecast.quantiles[:, place])
        draw(axis, dates, own, (dated.dates[-1], dated.values[-1, place]), levels)
    axes[0, 0].set_title(f"forecast from {day(dates[0])}", fontsize=10, loc="left")
    finish(figure, axes)
    figure.savefig(path, dpi=130)


def draw(
    axis: Any, dates: np.ndarray, own: Forecast, known: tuple[Any, float], levels: Sequence[float]
) -> None:
    """Draws one forecast [L] and [L, Q], from the last value that is known."""
    at = np.concatenate([[known[0]], dates])
    pairs = len(levels) // 2
    for k in range(pairs):
        low, high = own.quantiles[:, k], own.quantiles[:, len(levels) - 1 - k]
        text = f"{levels[len(levels) - 1 - k] - levels[k]:.0%} interval"
        edges = [np.concatenate([[known[1]], edge]) for edge in (low, high)]
        shade = 0.18 + 0.14 * k
        axis.fill_between(at, *edges, color=FORECAST, alpha=shade, linewidth=0, label=text)
    point = np.concatenate([[known[1]], own.point])
    axis.plot(at, point, color=FORECAST, linewidth=1.8, label="forecast")
    axis.hlines(
        known[1], *at[[0, -1]], color=LAST, linewidth=1, linestyle=(0, (4, 2)), label="last value"
    )
    axis.axvline(known[0], color="0.6", linewidth=0.8)


def finish(figure: Any, axes: np.ndarray) -> None:
    """Adds one legend for all, short dates and a light grid."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    for axis in axes.ravel():
        locator = AutoDateLocator(minticks=3, maxticks=8)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axis.tick_params(labelsize=8)
        axis.xaxis.get_offset_text().set_fontsize(8)
        axis.grid(alpha=0.25)
        axis.margins(x=0.01)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)


def channels(number: int) -> list[int]:
    """Those that are drawn: all, or the first ones and the last."""
    return list(range(number)) if number <= CHANNELS else [*range(CHANNELS - 1), number - 1]


def before(horizon: int) -> int:
    """The rows that are drawn before an origin."""
    return max(int(BEFORE * horizon), LEAST)


def day(date: np.datetime64) -> str:
    """A date, with its time if that is not midnight."""
    text = str(date.astype("M8[m]")).replace("T", " ")
    return text.removesuffix(" 00:00")


def write_csv(
    path: Path, dated: Dated, dates: np.ndarray, forecast: Forecast, levels: Sequence[float]
) -> None:
    """Writes a forecast [L, C] and its quantiles: a row a date; "x q0.1" is a quantile of x."""
    names = [f"{n}{k}" for n in dated.columns for k in ("", *(f" q{level:g}" for level in levels))]
    table = np.concatenate([forecast.point[..., None], forecast.quantiles], axis=-1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["date", *names])
        for date, row in zip(dates, table.reshape(len(dates), -1), strict=True):
            text = str(date).replace("T", " ").removesuffix(" 00:00:00")
            writer.writerow([text, *(f"{value:.6g}" for value in row)])
