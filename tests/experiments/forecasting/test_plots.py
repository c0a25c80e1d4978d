"""Plots of forecasts: what they show, and that they can be drawn for any quantiles."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from experiments.forecasting import plots
from experiments.forecasting.network import Forecast
from experiments.forecasting.seasonal import seasonal


def random_forecast(shape, quantiles):
    random = np.random.default_rng(0)
    point = random.normal(size=shape)
    return Forecast(point, np.sort(random.normal(size=(*shape, quantiles)), axis=-1))


def test_origins_are_spread_and_differ():
    assert plots.spread(np.arange(50, 91)).tolist() == [50, 70, 90]
    assert plots.spread(np.arange(5, 7)).tolist() == [5, 6]
    assert plots.spread(np.array([8])).tolist() == [8]


def test_the_first_channels_and_the_last_are_drawn():
    assert plots.channels(2) == [0, 1]
    assert plots.channels(7) == [0, 1, 2, 6]


@pytest.mark.parametrize("levels", [(), (0.5,), (0.1, 0.9), (0.05, 0.25, 0.5, 0.75, 0.95)])
def test_forecasts_are_drawn_where_they_belong(tmp_path, monkeypatch, levels):
    dated, origins = seasonal(300), np.array([200, 250])
    forecast = random_forecast((10, 2, 2), len(levels))
    lines, bands = [], []
    plot, fill = Axes.plot, Axes.fill_between
    monkeypatch.setattr(Axes, "plot", lambda *a, **k: lines.append((a, k)) or plot(*a, **k))
    monkeypatch.setattr(Axes, "fill_between", lambda *a, **k: bands.append((a, k)) or fill(*a, **k))
    plots.plot_origins(tmp_path / "x.png", dated, origins, forecast, levels)
    assert (tmp_path / "x.png").stat().st_size > 10_000
    drawn = [a for a, k in lines if k["label"] == "forecast"]
    assert len(drawn) == 4
    for number, (channel, place) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        _, dates, values = drawn[number]
        origin = origins[place]
        np.testing.assert_array_equal(dates, dated.dates[origin - 1 : origin + 10])
        np.testing.assert_array_equal(values[1:], forecast.point[:, place, channel])
        assert values[0] == dated.values[origin - 1, channel]
    pairs = len(levels) // 2
    assert len(bands) == 4 * pairs
    names = {1: ["80% interval"], 2: ["90% interval", "50% interval"]}.get(pairs, [])
    assert [k["label"] for _, k in bands[:pairs]] == names
    if pairs:
        np.testing.assert_array_equal(bands[0][0][2][1:], forecast.quantiles[:, 0, 0, 0])
        np.testing.assert_array_equal(bands[0][0][3][1:], forecast.quantiles[:, 0, 0, -1])


def test_what_follows_the_end_is_drawn(tmp_path):
    dated = seasonal(50)
    dates = dated.step.after(dated.dates, 12)
    plots.plot_future(
        tmp_path / "x.png", dated, dates, random_forecast((12, 2), 3), (0.1, 0.5, 0.9)
    )
    assert (tmp_path / "x.png").stat().st_size > 10_000


def test_dates_lose_their_time_at_midnight():
    assert plots.day(np.datetime64("2016-07-01T00:00:00")) == "2016-07-01"
    assert plots.day(np.datetime64("2016-07-01T12:30:00")) == "2016-07-01 12:30"
