"""Which hyperparameters matter: a random forest over a variant's trials (fANOVA).

Source: Hutter et al. 2014, "An Efficient Approach for Assessing Hyperparameter Importance".
"""

from __future__ import annotations

import functools
import warnings
from typing import NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from sklearn.ensemble import RandomForestRegressor

from experiments.study.analysis import of_variant, searched, worse
from experiments.study.trials import Study

FOREST_TRIALS = 8  # a forest on fewer trials says nothing
TREES, GRID, SAMPLES = 64, 32, 256  # of a forest; of a marginal curve; of the mean at its points

Places = tuple[tuple[float, ...], ...]  # of the trials in the unit cube


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
