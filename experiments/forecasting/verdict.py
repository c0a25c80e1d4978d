"""Whether a model is better than repeating the last value, said plainly."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

LAST_VALUE = "repeating the last value"


def gain(errors: np.ndarray, naive: np.ndarray, horizon: int) -> dict[str, float]:
    """By how much a model's squared errors are smaller, and how sure that is.

    Forecasts whose origins lie less than a horizon apart share rows, and so do their errors. The
    mean difference d_b of each block of L consecutive origins is therefore taken as one
    observation of B, and the confidence interval is that of Student:

        d̄ ± t_{0.975, B−1}·s_d/√B

    Args:
        errors: the model's mean squared error at each origin [N], in their order.
        naive: that of the rival [N].
        horizon: L.

    Returns:
        "gain", the mean difference over all origins, and "gain_error", half the width of its 95 %
        interval, which is left out where there are not two whole blocks.

    Source: after Diebold & Mariano 1995, "Comparing predictive accuracy", Journal of Business &
    Economic Statistics 13.
    """
    difference = np.asarray(naive, np.float64) - errors
    found = {"gain": float(difference.mean())}
    blocks = len(difference) // horizon
    if blocks > 1:
        from scipy.special import stdtrit  # Student's quantiles

        means = difference[: blocks * horizon].reshape(blocks, horizon).mean(axis=1)
        deviation = means.std(ddof=1) / math.sqrt(blocks)
        found["gain_error"] = float(stdtrit(blocks - 1, 0.975) * deviation)
    return found


def verdict(test: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]) -> str:
    """A sentence on the model's MSE beside that of repeating the last value and of the others.

    Args:
        test: the means of the test metrics: "mse", "gain" and perhaps "gain_error".
        baselines: the metrics of the simpler models.
    """
    own, last = test["mse"], baselines[LAST_VALUE]["mse"]
    numbers = f"MSE {own:.4f} against {last:.4f}"
    error = test.get("gain_error")
    if own >= last:
        sentence = f"the model does not beat {LAST_VALUE}: {numbers}"
    elif error is None:
        sentence = (
            f"the model's MSE is below that of {LAST_VALUE}, {own:.4f} against {last:.4f}, but the"
            " test part is too short to tell that from noise"
        )
    elif test["gain"] <= error:
        sentence = (
            f"the model does not beat {LAST_VALUE} beyond noise: {numbers}, a gain of"
            f" {test['gain']:.4f} ± {error:.4f}"
        )
    else:
        share = f"{1 - own / last:.1%} less, a gain of {test['gain']:.4f} ± {error:.4f}"
        sentence = f"the model beats {LAST_VALUE}: {numbers}, {share}"
    better = [f"{name} ({v['mse']:.4f})" for name, v in baselines.items() if v["mse"] < own]
    better = [text for text in better if not text.startswith(LAST_VALUE)]
    return f"{sentence}; better than the model: {', '.join(better)}" if better else sentence
