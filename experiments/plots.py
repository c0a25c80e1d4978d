"""Learning curves, told apart by color, line style and a label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.training.results import read_metrics
from lstm_jax.analysis import style


def learning_curves(directories: Mapping[str, Path], metric: str, path: Path) -> None:
    """Plots the validation metric of several runs over training steps.

    The line is the mean over a run's members, the band reaches from the worst to the best.

    Args:
        directories: the runs by the names that the legend shows.
        metric: the value to plot.
        path: the PNG to write.
    """
    figure, axes = style.figure()
    for index, (name, directory) in enumerate(directories.items()):
        steps, values = _curve(read_metrics(directory / "metrics.jsonl"), metric)
        look, mean = style.line(index), [np.mean(v) for v in values]
        axes.plot(steps, mean, label=name, **look)
        axes.plot(steps[-1:], mean[-1:], "o", color=look["color"])  # where the run ended
        low, high = [min(v) for v in values], [max(v) for v in values]
        axes.fill_between(steps, low, high, color=look["color"], alpha=0.15, linewidth=0)
    axes.set_xlabel("training step")
    axes.set_ylabel(f"validation {metric.replace('_', ' ')}")
    style.legend(figure, axes)
    figure.savefig(path)


def _curve(lines: list[dict[str, Any]], metric: str) -> tuple[list[int], list[list[float]]]:
    """The validation steps and, for each, the members' values."""
    by_step: dict[int, list[float]] = defaultdict(list)
    for line in lines:
        if line["split"] == "valid" and line.get(metric) is not None:
            by_step[line["step"]].append(line[metric])
    return list(by_step), list(by_step.values())
