"""The generated series: its seasons, and that it is always the same."""

import numpy as np

from experiments.forecasting.seasonal import seasonal


def test_power_lies_at_the_day_and_the_week():
    values = seasonal(168 * 30).values
    power = np.abs(np.fft.rfft(values - values.mean(axis=0), axis=0)) ** 2
    power[:20] = 0  # the drift
    for channel in power.T:
        assert set(np.argsort(channel)[-2:]) == {30, 210}  # turns in 30 weeks
        assert np.argsort(channel)[-3] == 420


def test_the_series_is_reproducible_and_hourly():
    first, again, other = seasonal(50), seasonal(50), seasonal(50, seed=1)
    np.testing.assert_array_equal(first.values, again.values)
    assert np.abs(first.values - other.values).min(axis=0).max() > 0
    assert (np.diff(first.dates) == np.timedelta64(1, "h")).all()
    assert str(first.step) == "1 hour"
