"""Over-fitting: where training goes on and what it learns no longer helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from chex import Array

from lstm_jax.analysis import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Curves(NamedTuple):
    """The losses of one training.

    Attributes:
      steps: the training steps of both [S].
      train: the training loss [S].
      valid: the validation loss [S].
    """

    steps: Array
    train: Array
    valid: Array


class Overfitting(NamedTuple):
    """How far a training over-fitted.

    Attributes:
      gap: validation loss less training loss [S].
      best: the index of the smallest validation loss.
      rise: the last validation loss less the smallest, 0 where it was still falling.
    """

    gap: np.ndarray
    best: int
    rise: float


def overfitting(curves: Curves) -> Overfitting:
    """The gap between training and validation, and what was lost after the best step.

        gap_s = L_valid(s) − L_train(s),  rise = L_valid(S) − min_s L_valid(s)

    Args:
      curves: losses without NaN.

    Raises:
      ValueError: arrays that differ in length, or none.

    Example:
      analysis.overfitting(analysis.Curves([1, 2, 3], [3., 2., 1.], [3., 2.5, 2.75])).rise  # 0.25
    """
    train, valid = np.asarray(curves.train, np.float64), np.asarray(curves.valid, np.float64)
    if not len(curves.steps) == len(train) == len(valid) or not len(train):
        raise ValueError(
            f"overfitting: there are {len(curves.steps)} steps, {len(train)} training and"
            f" {len(valid)} validation losses; give as many of each, at least one"
        )
    best = int(np.argmin(valid))
    return Overfitting(valid - train, best, float(valid[-1] - valid[best]))


def plot_overfitting(trainings: Mapping[str, Curves], title: str = "") -> Figure:
    """Plots validation losses, and the gap to training beside them.

    Args:
      trainings: by what the legend calls them, such as "dropout 0.5".
      title: of the plot.

    Example:
      figure = analysis.plot_overfitting({"no dropout": curves})
    """
    drawn, (losses, gaps) = style.panels(2, 10.0, 4.2)
    for index, (name, curves) in enumerate(trainings.items()):
        found, look = overfitting(curves), style.line(index)
        losses.plot(curves.steps, curves.valid, label=name, **look)
        losses.plot(
            [curves.steps[found.best]], [curves.valid[found.best]], "o", color=look["color"]
        )
        gaps.plot(curves.steps, found.gap, **look)
    losses.set(xlabel="training step", ylabel="validation loss, a dot at its smallest")
    gaps.set(xlabel="training step", ylabel="validation loss less training loss")
    drawn.suptitle(title)
    style.legend(drawn, losses)
    return drawn
