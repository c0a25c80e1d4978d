"""Forecasts of series: windows, what reads them, quantiles, what a sceptic would try first."""
