"""What the trials say of the variants: the best of each compared.

After Greff et al. 2017, "LSTM: A Search Space Odyssey" (arXiv:1503.04069): the best trials of each
variant are compared by Welch's t-test.
"""

from __future__ import annotations

import itertools
import warnings
from typing import NamedTuple

import numpy as np
from scipy import stats

from experiments.study.trials import HYPERPARAMETERS, Outcome, Study

ERROR = 0.05  # of all comparisons together, and of every interval

Interval = tuple[float, float]


class Comparison(NamedTuple):
    """The best trials of one variant beside those of the reference, on the test metric.

    Attributes:
        variant: its name.
        number: how many best trials there are.
        parameters: the median of their numbers of parameters.
        mean: of their metric; None without any.
        deviation: its standard deviation; None with fewer than two.
        median: of their metric; None without any.
        loss: the difference of the means, positive where the variant is worse than the reference.
        interval: in which the loss lies; all variants' together at 95 %.
        p: of Welch's t-test.
        corrected: p times the number of comparisons (Bonferroni), at most 1.
    """

    variant: str
    number: int
    parameters: float | None
    mean: float | None
    deviation: float | None
    median: float | None
    loss: float | None
    interval: Interval | None
    p: float | None
    corrected: float | None

    @property
    def significant(self) -> bool:
        """Whether the variant differs from the reference."""
        return self.corrected is not None and self.corrected < ERROR


class Correlation(NamedTuple):
    """Spearman's correlation of two hyperparameters; None where one of them is constant."""

    first: str
    second: str
    number: int
    correlation: float | None
    p: float | None


def number(value: float, digits: int = 4) -> str:
    """A value with so many digits that count, zeros among them."""
    if abs(value) >= 10**digits - 0.5:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def percent(share: float) -> str:
    """A share of one in percent."""
    return f"{100 * share:.0f} %"


def probability(p: float) -> str:
    """A p value, the smallest ones as a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def of_variant(study: Study, variant: str) -> list[Outcome]:
    """The variant's outcomes."""
    return [outcome for outcome in study.outcomes if outcome.trial.variant == variant]


def searched(study: Study) -> list[str]:
    """The hyperparameters that were searched."""
    return [n for n in HYPERPARAMETERS if n in study.ranges and len(set(study.ranges[n])) == 2]


def worse(study: Study) -> int:
    """The sign that a metric gets so that more of it is worse."""
    return -1 if study.higher_is_better else 1


def missing(study: Study) -> dict[str, tuple[int, int]]:
    """The variants that lack trials: how many are there, and how many there are to be."""
    there = {variant: len(of_variant(study, variant)) for variant in study.planned}
    return {v: (there[v], planned) for v, planned in study.planned.items() if there[v] < planned}


def best(study: Study, variant: str) -> list[Outcome]:
    """The variant's `study.best` best trials by the validation metric, the best first.

    While trials lack it is as large a part of those that are there. A trial without a validation or
    a test metric is never among them.
    """
    ranked = [
        (worse(study) * outcome.validation, index, outcome)
        for index, outcome in enumerate(of_variant(study, variant))
        if outcome.validation is not None and outcome.test is not None
    ]
    there, planned = missing(study).get(variant, (1, 1))
    return [outcome for *_, outcome in sorted(ranked)[: -(-study.best * there // planned)]]


def comparisons(study: Study) -> list[Comparison]:
    """Each variant's best trials against those of the reference, itself among them."""
    found = {v: best(study, v) for v in study.planned}
    return [_comparison(study, v, own, found[study.reference]) for v, own in found.items()]


def correlations(study: Study) -> list[Correlation]:
    """How the hyperparameters of the best trials of all variants go together, in pairs."""
    outcomes = [outcome for variant in study.planned for outcome in best(study, variant)]
    columns = {n: [getattr(o.trial, n) for o in outcomes] for n in searched(study)}
    return [
        Correlation(first, second, len(outcomes), *_spearman(columns[first], columns[second]))
        for first, second in itertools.combinations(columns, 2)
    ]


def _tests(outcomes: list[Outcome]) -> np.ndarray:
    return np.array([outcome.test for outcome in outcomes], np.float64)


def _comparison(
    study: Study, variant: str, outcomes: list[Outcome], others: list[Outcome]
) -> Comparison:
    own, reference = _tests(outcomes), _tests(others)
    mean, median = (float(np.mean(own)), float(np.median(own))) if own.size else (None, None)
    deviation = float(np.std(own, ddof=1)) if own.size > 1 else None
    sizes = [outcome.parameters for outcome in outcomes]
    parameters = float(np.median(sizes)) if sizes else None
    about = (variant, own.size, parameters, mean, deviation, median)
    if variant == study.reference or min(own.size, reference.size) < 2:
        return Comparison(*about, None, None, None, None)
    count = len(study.planned) - 1
    loss, interval, p = welch(worse(study) * own, worse(study) * reference, 1 - ERROR / count)
    return Comparison(*about, loss, interval, p, min(p * count, 1.0))


def welch(own: np.ndarray, reference: np.ndarray, level: float) -> tuple[float, Interval, float]:
    """The difference of two means, its confidence interval and the p value (Welch's t-test)."""
    difference = float(own.mean() - reference.mean())
    if np.ptp(own) == np.ptp(reference) == 0:
        return difference, (difference, difference), float(own[0] == reference[0])
    with warnings.catch_warnings():  # of precision, where one side is constant
        warnings.simplefilter("ignore", RuntimeWarning)
        test = stats.ttest_ind(own, reference, equal_var=False)
        low, high = test.confidence_interval(level)
    return difference, (float(low), float(high)), float(test.pvalue)


def _spearman(first: list[float], second: list[float]) -> tuple[float | None, float | None]:
    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None, None
    found = stats.spearmanr(first, second)
    return float(found.statistic), float(found.pvalue)
