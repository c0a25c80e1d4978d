"""What the trials say: variants compared, hyperparameters weighed, one setting recommended.

After Greff et al. 2017, "LSTM: A Search Space Odyssey" (arXiv:1503.04069): the best trials of each
variant are compared by Welch's t-test, and a random forest over the hyperparameters tells which of
them matter (fANOVA: Hutter et al. 2014, "An Efficient Approach for Assessing Hyperparameter
Importance").
"""

from __future__ import annotations

import functools
import itertools
import warnings
from typing import NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from scipy import stats
from sklearn.ensemble import RandomForestRegressor

from experiments.study.trials import HYPERPARAMETERS, Outcome, Study

ERROR = 0.05  # of all comparisons together, and of every interval
FOREST_TRIALS = 8  # a forest on fewer trials says nothing
FEWEST = 4  # trials of a variant without which it is not recommended
SURE = 0.8  # share of the resamplings in which a variant must be best to be told from the others
DRAWN = 0.5  # of a variant's trials in a resampling
POSSIBLE = 0.1  # share from which a variant counts as perhaps the best
TREES, GRID, SAMPLES = 64, 32, 256  # of a forest; of a marginal curve; of the mean at its points

Interval = tuple[float, float]
Places = tuple[tuple[float, ...], ...]  # of the trials in the unit cube


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


class Marginal(NamedTuple):
    """What a forest expects at each value of one hyperparameter, the mean over all others.

    Attributes:
        name: the hyperparameter.
        values: of it.
        mean: the metric that the forest expects.
        spread: the standard deviation of that over the trees.
    """

    name: str
    values: tuple[float, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]


class _Effect(NamedTuple):
    """What each tree expects along a hyperparameter, and the variance of the forest in all.

    Attributes:
        trees: the mean over the other hyperparameters [trees, grid].
        variance: of the mean over the trees, on the grid and the others' samples.
    """

    trees: np.ndarray
    variance: float


class Correlation(NamedTuple):
    """Spearman's correlation of two hyperparameters; None where one of them is constant."""

    first: str
    second: str
    number: int
    correlation: float | None
    p: float | None


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
    values = {v: _tests(best(study, v)) for v in study.planned}
    count = max(len(values) - 1, 1)
    return [
        _comparison(study, variant, own, values[study.reference], count)
        for variant, own in values.items()
    ]


def importances(study: Study, variant: str) -> dict[str, float] | None:
    """Which share of the metric's variance each hyperparameter explains by itself (fANOVA).

    The test metric of diverged trials, and of those that have none, is taken to be the worst of
    the variant. Optuna integrates over a hyperparameter itself, not its logarithm, so it is
    given what was drawn uniformly, scaled to [0, 1].

    Returns:
        The shares; what they lack to 1 needs several hyperparameters together. None if there are
        too few trials, or all are equally good.
    """
    design = _design(study, variant)
    return None if design is None else dict(zip(searched(study), _fanova(*design), strict=True))


def interaction(study: Study, variant: str) -> float | None:
    """The share of a forest's variance that no hyperparameter explains by itself.

        1 − Σᵢ Var(E[f(x) | xᵢ]) / Var(f(x)),   x uniform on the unit cube

    Where `importances` takes the mean of this over single trees, f is here the whole forest, whose
    trees' own errors cancel.
    """
    design = _design(study, variant)
    if design is None:
        return None
    effects = _effects(*design)
    explained = sum(effect.trees.mean(axis=0).var() / effect.variance for effect in effects)
    return float(np.clip(1 - explained, 0, 1))


def marginals(study: Study, variant: str) -> list[Marginal] | None:
    """What a forest expects along each hyperparameter; None where `importances` is None."""
    design = _design(study, variant)
    if design is None:
        return None
    found = []
    for name, effect in zip(searched(study), _effects(*design), strict=True):
        values = _value(study, name, _grid())
        curves = (values, effect.trees.mean(axis=0), effect.trees.std(axis=0))
        found.append(Marginal(name, *(tuple(curve.tolist()) for curve in curves)))
    return found


def correlations(study: Study) -> list[Correlation]:
    """How the hyperparameters of the best trials of all variants go together, in pairs."""
    outcomes = [outcome for variant in study.planned for outcome in best(study, variant)]
    columns = {n: [getattr(o.trial, n) for o in outcomes] for n in searched(study)}
    return [
        Correlation(first, second, len(outcomes), *_spearman(columns[first], columns[second]))
        for first, second in itertools.combinations(columns, 2)
    ]


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


def _tests(outcomes: list[Outcome]) -> np.ndarray:
    return np.array([outcome.test for outcome in outcomes], np.float64)


def _comparison(
    study: Study, variant: str, own: np.ndarray, reference: np.ndarray, count: int
) -> Comparison:
    mean, median = (float(np.mean(own)), float(np.median(own))) if own.size else (None, None)
    deviation = float(np.std(own, ddof=1)) if own.size > 1 else None
    sizes = [outcome.parameters for outcome in best(study, variant)]
    parameters = float(np.median(sizes)) if sizes else None
    about = (variant, own.size, parameters, mean, deviation, median)
    if variant == study.reference or min(own.size, reference.size) < 2:
        return Comparison(*about, None, None, None, None)
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


def _bounds(study: Study, name: str) -> tuple[float, float, bool]:
    """From where to where a hyperparameter was drawn uniformly; whether these are logarithms."""
    low, high = study.ranges[name]
    if name not in study.logarithmic:
        return low, high, False
    if name == "momentum":
        low, high = 1 - high, 1 - low
    return float(np.log(low)), float(np.log(high)), True


def _place(study: Study, name: str, values: np.ndarray) -> np.ndarray:
    """Where in the range, from 0 to 1, the values of a hyperparameter lie."""
    low, high, logarithmic = _bounds(study, name)
    if logarithmic:
        values = np.log(1 - values if name == "momentum" else values)
    return np.clip((values - low) / (high - low), 0, 1)


def _value(study: Study, name: str, places: np.ndarray) -> np.ndarray:
    """The inverse of `_place`."""
    low, high, logarithmic = _bounds(study, name)
    values = low + places * (high - low)
    if not logarithmic:
        return values
    return 1 - np.exp(values) if name == "momentum" else np.exp(values)


def _design(study: Study, variant: str) -> tuple[Places, tuple[float, ...]] | None:
    """The variant's trials in the unit cube and their metric, to fit a forest to."""
    outcomes, names = of_variant(study, variant), searched(study)
    tests = [outcome.test for outcome in outcomes if outcome.test is not None]
    if len(outcomes) < FOREST_TRIALS or not tests or not names:
        return None
    worst = max(tests, key=lambda test: worse(study) * test)
    metric = tuple(worst if o.diverged or o.test is None else o.test for o in outcomes)
    columns = [np.array([getattr(o.trial, n) for o in outcomes], np.float64) for n in names]
    by_name = [_place(study, name, c).tolist() for name, c in zip(names, columns, strict=True)]
    places = tuple(zip(*by_name, strict=True))
    return (places, metric) if min(len(set(places)), len(set(metric))) > 1 else None


@functools.lru_cache(maxsize=64)
def _fanova(places: Places, metric: tuple[float, ...]) -> tuple[float, ...]:
    names = [str(index) for index in range(len(places[0]))]
    space: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in names}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        trials = optuna.create_study()
        for place, value in zip(places, metric, strict=True):
            params = dict(zip(names, place, strict=True))
            trials.add_trial(
                optuna.trial.create_trial(params=params, distributions=space, value=value)
            )
        found = FanovaImportanceEvaluator(seed=0).evaluate(trials)
    return tuple(float(found[name]) for name in names)


def _grid() -> np.ndarray:
    return (np.arange(GRID) + 0.5) / GRID


@functools.lru_cache(maxsize=64)
def _effects(places: Places, metric: tuple[float, ...]) -> list[_Effect]:
    """What a forest expects along each hyperparameter, the others at random in the unit cube."""
    forest = RandomForestRegressor(n_estimators=TREES, random_state=0).fit(places, metric)
    samples = np.random.default_rng(0).random((SAMPLES, len(places[0])))
    found = []
    for index in range(len(places[0])):
        points = np.tile(samples, (GRID, 1, 1))
        points[:, :, index] = _grid()[:, None]
        rows = points.reshape(GRID * SAMPLES, -1)
        trees = np.stack([tree.predict(rows) for tree in forest.estimators_])
        curves = trees.reshape(TREES, GRID, SAMPLES).mean(axis=2)
        found.append(_Effect(curves, float(trees.mean(axis=0).var())))
    return found


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
