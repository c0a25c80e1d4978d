"""Which claims of Greff et al. 2017 (arXiv:1503.04069) the trials of a study bear out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from experiments.study.analysis import (
    ERROR,
    Comparison,
    comparisons,
    missing,
    number,
    probability,
    searched,
)
from experiments.study.forest import importances, interaction
from experiments.study.trials import Study

HOLDS, FAILS, OPEN = "holds", "does not hold", "too few trials to say"
MARGIN = 0.01  # of the reference's mean: a smaller loss is none
MUCH = 0.02  # of the same: a smaller loss is not much
VANILLA = "V"
NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "NP", "CIFG", "FGR")
MOST, HARDLY, INDEPENDENT = 0.5, 0.1, 0.25  # shares of the variance; the last is this project's
RESAMPLES = 2000
FEWEST_VARIANTS = 3  # over fewer a mean share has no interval


class Finding(NamedTuple):
    """A claim, whether it "holds", "does not hold" or has "too few trials to say", and numbers."""

    claim: str
    verdict: str
    figures: str


def findings(study: Study) -> list[Finding]:
    """The claims for which the study has the variants and hyperparameters.

    On all of them an unfinished study has too few trials: large networks train first, so those
    that are there are no fair sample.
    """
    found = [*_on_variants(study), *_on_hyperparameters(study)]
    return [finding._replace(verdict=OPEN) for finding in found] if missing(study) else found


def no_worse(comparison: Comparison, margin: float) -> str:
    """Whether a variant is worse than the reference by less than the margin.

    It holds if the whole interval lies below the margin, else fails if all of it lies above 0.
    """
    if comparison.interval is None:
        return OPEN
    low, high = comparison.interval
    return HOLDS if high < margin else FAILS if low > 0 else OPEN


def no_better(comparison: Comparison, margin: float) -> str:
    """Whether a variant is better than the reference by less than the margin."""
    if comparison.interval is None:
        return OPEN
    low, high = comparison.interval
    return HOLDS if -low < margin else FAILS if high < 0 else OPEN


def hurts(comparison: Comparison, margin: float) -> str:
    """Whether a variant is worse than the reference.

    It holds if the whole interval lies above 0, else fails if all of it lies below the margin.
    """
    if comparison.interval is None:
        return OPEN
    low, high = comparison.interval
    return HOLDS if low > 0 else FAILS if high < margin else OPEN


def every(verdicts: Sequence[str]) -> str:
    """The verdict on a claim that makes all of these."""
    if FAILS in verdicts:
        return FAILS
    return OPEN if OPEN in verdicts else HOLDS


def share_interval(shares: Sequence[float]) -> tuple[float, float, float] | None:
    """The mean of the variants' shares and its 95 % interval, by a bootstrap over the variants."""
    if len(shares) < FEWEST_VARIANTS:
        return None
    found = stats.bootstrap(
        (np.array(shares),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=1 - ERROR,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(np.mean(shares)), float(found.low), float(found.high)


def _on_variants(study: Study) -> list[Finding]:
    if study.reference != VANILLA:
        return []
    by_variant = {c.variant: c for c in comparisons(study)}
    mean = by_variant[VANILLA].mean
    margin, much = (0.0, 0.0) if mean is None else (MARGIN * abs(mean), MUCH * abs(mean))
    found = []

    def add(claim: str, names: Sequence[str], verdict: str, least: float = margin) -> None:
        figures = "; ".join(_difference(by_variant[name]) for name in names)
        if mean is not None:
            figures += f"; what counts is more than {number(least, 3)}"
        found.append(Finding(claim, verdict, figures))

    def has(*names: str) -> bool:
        return set(names) <= set(by_variant)

    if has(*NINE):
        verdicts = [no_better(by_variant[v], margin) for v in NINE[1:]]
        add("None of the eight variants is better than V", NINE[1:], every(verdicts))
    most, less = ("NFG", "NOAF"), ("NIG", "NOG", "NIAF")
    if has(*most, *less):
        verdict = _matter_most([by_variant[v] for v in most], [by_variant[v] for v in less], margin)
        claim = "Without forget gate (NFG) or output activation (NOAF) it is worse"
        add(f"{claim}, and by more than as {_listed(less)}", [*most, *less], verdict)
    if has("CIFG", "NP"):
        verdicts = [no_worse(by_variant[v], margin) for v in ("CIFG", "NP")]
        claim = "Coupling input and forget gate (CIFG) and leaving out peepholes (NP) cost nothing"
        add(claim, ("CIFG", "NP"), every(verdicts))
    if study.about.get("task") == "music" and has(*less):
        verdicts = [no_worse(by_variant[v], much) for v in less]
        claim = (
            "On music it hurts little to leave out the input gate (NIG), the output gate (NOG) or"
            " the input activation (NIAF)"
        )
        add(claim, less, every(verdicts), much)
    if study.about.get("task") == "music" and has("FGR"):
        claim = "On music full gate recurrence (FGR) hurts"
        add(claim, ("FGR",), hurts(by_variant["FGR"], margin))
    return found


def _matter_most(most: list[Comparison], less: list[Comparison], margin: float) -> str:
    """Whether leaving out each of the first hurts, and in the mean more than the others."""
    verdict = every([hurts(comparison, margin) for comparison in most])
    losses = [[c.loss for c in group if c.loss is not None] for group in (most, less)]
    if verdict != HOLDS or len(losses[1]) < len(less):
        return verdict if verdict == FAILS else OPEN
    return HOLDS if min(losses[0]) > max(losses[1]) else FAILS


def _on_hyperparameters(study: Study) -> list[Finding]:
    names = searched(study)
    shares = [s for v in study.planned if (s := importances(study, v)) is not None]
    found = []
    if "learning_rate" in names:
        claim = "The learning rate explains most of the variance"
        found.append(_share(claim, [s["learning_rate"] for s in shares], MOST, above=True))
    if "momentum" in names:
        claim = "The momentum explains hardly any of the variance"
        found.append(_share(claim, [s["momentum"] for s in shares], HARDLY, above=False))
    if len(names) > 1:
        claim = "The hyperparameters act nearly independently of each other"
        together = [t for v in study.planned if (t := interaction(study, v)) is not None]
        found.append(_share(claim, together, INDEPENDENT, above=False))
    return found


def _share(claim: str, shares: list[float], bound: float, above: bool) -> Finding:
    """Whether the mean share lies above, or below, the bound."""
    interval = share_interval(shares)
    if interval is None:
        figures = f"variants with enough trials: {len(shares)}, {FEWEST_VARIANTS} are needed"
        return Finding(claim, OPEN, figures)
    mean, low, high = interval
    is_above, is_below = low > bound, high < bound
    right, wrong = (is_above, is_below) if above else (is_below, is_above)
    figures = (
        f"mean share {mean:.2f} over {len(shares)} variants, 95 % {low:.2f} to {high:.2f};"
        f" {'above' if above else 'below'} {bound} is claimed"
    )
    return Finding(claim, HOLDS if right else FAILS if wrong else OPEN, figures)


def _difference(comparison: Comparison) -> str:
    if comparison.loss is None or comparison.interval is None or comparison.corrected is None:
        return f"{comparison.variant} has too few ({comparison.number})"
    low, high = comparison.interval
    return (
        f"{comparison.variant} {signed(comparison.loss)} ({signed(low)} to {signed(high)},"
        f" p {probability(comparison.corrected)})"
    )


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{'−' if value < 0 else '+'}{number(abs(value), 3)}"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
