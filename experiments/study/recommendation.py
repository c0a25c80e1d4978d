"""Which variant to take, and how sure that is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from experiments.study.analysis import (
    ERROR,
    Interval,
    best,
    number,
    of_variant,
    percent,
    searched,
    worse,
)
from experiments.study.trials import Outcome, Study

FEWEST = 4  # trials of a variant without which it is not recommended
SURE = 0.8  # share of the resamplings in which a variant must be best to be told from the others
DRAWN = 0.5  # of a variant's trials in a resampling
POSSIBLE = 0.1  # share from which a variant counts as perhaps the best


class Candidate(NamedTuple):
    """A variant and how it fares when the trials are drawn anew.

    Attributes:
        variant: its name.
        share: of the resamplings in which it is the best.
        expected: mean over the resamplings of the test metric of the trial best by validation.
        interval: in which that lies in 95 % of them.
        outcome: the trial that is the best by validation.
    """

    variant: str
    share: float
    expected: float
    interval: Interval
    outcome: Outcome


class Recommendation(NamedTuple):
    """The candidates, the most often best first, which one to take (if any), and why."""

    candidates: tuple[Candidate, ...]
    choice: str | None
    sentence: str


def recommend(study: Study, resamples: int = 2000, seed: int = 0) -> Recommendation:
    """Which variant to take, and how sure that is.

    Of each variant's trials half as many are drawn with replacement; the test metric of the one
    that is best by validation is then the variant's. Were as many drawn as there are, nearly every
    resample would have the very best, and equal variants would seem to differ: the bootstrap of a
    minimum needs fewer (Bickel, Götze & van Zwet 1997, "Resampling fewer than n observations").
    Variants of fewer than `FEWEST` trials, and those of which no trial has a metric, are no
    candidates.
    """
    rng = np.random.default_rng(seed)
    usable = [v for v in study.planned if len(of_variant(study, v)) >= FEWEST and best(study, v)]
    if not usable:
        sentence = (
            "Nothing can be recommended yet: no variant has"
            f" {FEWEST} trials of which one has a metric."
        )
        return Recommendation((), None, sentence)
    drawn = np.stack([_resampled(study, v, resamples, rng) for v in usable])
    first = drawn == drawn.min(axis=0)
    shares = (first / first.sum(axis=0)).mean(axis=1)
    candidates = [
        _candidate(study, variant, float(share), losses)
        for variant, share, losses in zip(usable, shares, drawn, strict=True)
    ]
    candidates.sort(key=lambda candidate: -candidate.share)
    return _recommendation(study, tuple(candidates), resamples)


def _resampled(study: Study, variant: str, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """What each resampling's best trial loses [resamples]; ∞ where none has a metric."""
    outcomes = of_variant(study, variant)
    pairs = np.array(
        [
            (np.inf, np.inf)
            if outcome.validation is None or outcome.test is None
            else (worse(study) * outcome.validation, worse(study) * outcome.test)
            for outcome in outcomes
        ]
    )
    count = round(DRAWN * len(pairs))
    drawn = pairs[rng.integers(len(pairs), size=(resamples, count))]
    chosen = drawn[:, :, 0].argmin(axis=1)
    return drawn[np.arange(resamples), chosen, 1]


def _candidate(study: Study, variant: str, share: float, losses: np.ndarray) -> Candidate:
    metric = worse(study) * losses[np.isfinite(losses)]
    low, high = np.quantile(metric, [ERROR / 2, 1 - ERROR / 2])
    interval = (float(low), float(high))
    return Candidate(variant, share, float(metric.mean()), interval, best(study, variant)[0])


def _recommendation(
    study: Study, candidates: tuple[Candidate, ...], resamples: int
) -> Recommendation:
    first = candidates[0]
    metric = study.metric.replace("_", " ")
    expected = (
        f"{metric} {number(first.expected)}, 95 % {number(first.interval[0])} to"
        f" {number(first.interval[1])}"
    )
    possible = [c for c in candidates if c.share >= POSSIBLE]
    if len(candidates) == 1:
        chosen = first
        text = f"Take {first.variant}, the only variant with enough trials ({expected})."
    elif first.share >= SURE:
        chosen = first
        text = (
            f"Take {first.variant} (best in {percent(first.share)} of {resamples:,} resamplings;"
            f" {expected})"
        )
        text += "".join(f"; {c.variant} is best in {percent(c.share)}" for c in possible[1:])
        text += "."
    else:
        alike = possible if len(possible) > 1 else list(candidates[:2])
        chosen = min(alike, key=lambda c: c.outcome.parameters)
        names = [f"{c.variant} (best in {percent(c.share)})" for c in alike]
        text = (
            f"These trials cannot tell {', '.join(names[:-1])} and {names[-1]} apart"
            f" ({resamples:,} resamplings). Take {chosen.variant}, whose best trial has the fewest"
            f" parameters among theirs, {chosen.outcome.parameters:,}."
        )
    trial = chosen.outcome.trial
    settings = [f"{name} {getattr(trial, name):.4g}" for name in searched(study)]
    if settings:
        text += f" Its best trial: {', '.join(settings)}."
    rest = [v for v in study.planned if v not in {c.variant for c in candidates}]
    if rest:
        text += f" Left out, with fewer than {FEWEST} trials or no metric: {', '.join(rest)}."
    return Recommendation(candidates, chosen.variant, text)
