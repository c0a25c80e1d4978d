"""What trials with made-up metrics say: comparisons, importances and the recommendation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit

from experiments.study import analysis, forest, recommendation
from tests.experiments.study.made import drawn, of_tests, outcome, study

pytestmark = pytest.mark.usefixtures("no_warning")


def steep(trial):
    """Depends on the learning rate's logarithm strongly, on the noise a little."""
    return (math.log10(trial.learning_rate) + 4) ** 2 + 0.3 * trial.input_noise


def welch(a, b, level):
    """Welch's formulas as the books have them."""
    va, vb = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    difference, error = np.mean(a) - np.mean(b), np.sqrt(va + vb)
    reach = stdtrit(freedom, (1 + level) / 2) * error
    p = 2 * stdtr(freedom, -abs(difference) / error)
    return difference, (difference - reach, difference + reach), p


@pytest.mark.parametrize(("higher", "expected"), [(False, [2, 0]), (True, [1, 0])])
def test_the_best_are_chosen_by_validation_and_have_both_metrics(higher, expected):
    found = study(
        [
            outcome(number=0, validation=2.0, test=9.0),
            outcome(number=1, validation=3.0, test=1.0),
            outcome(number=2, validation=1.0, test=5.0),
            outcome(number=3, validation=None, test=1.0, diverged=True),
            outcome(number=4, validation=0.0, test=None),
            outcome(number=5, validation=9.0, test=None),
        ],
        higher_is_better=higher,
    )
    assert [o.trial.number for o in analysis.best(found, "a")] == expected
    (comparison,) = analysis.comparisons(found)
    assert comparison.mean == np.mean([found.outcomes[number].test for number in expected])


def test_p_and_interval_are_those_of_welch():
    values = {"a": [1.0, 1.5, 1.2, 1.1], "b": [2.0, 1.4, 2.2], "c": [1.0, 1.3, 1.25]}
    reference, *others = analysis.comparisons(of_tests(values))
    assert (reference.loss, reference.p, reference.corrected) == (None, None, None)
    assert reference.mean == pytest.approx(1.2)
    for found in others:
        difference, interval, p = welch(values[found.variant], values["a"], 1 - 0.05 / 2)
        assert found.loss == pytest.approx(difference)
        assert found.interval == pytest.approx(interval)
        assert found.p == pytest.approx(p)
        assert found.corrected == pytest.approx(min(2 * p, 1))


def test_a_loss_is_positive_where_the_variant_is_worse():
    values = {"a": [0.9, 0.91, 0.92], "b": [0.5, 0.51, 0.52]}
    *_, found = analysis.comparisons(of_tests(values, higher_is_better=True))
    assert found.loss == pytest.approx(0.4)
    assert 0 < found.interval[0] < 0.4 < found.interval[1]
    assert found.significant
    assert found.mean == pytest.approx(0.51)  # the metric itself keeps its sign


@pytest.mark.parametrize("other", [2.0, 3.0])
def test_constant_metrics_compare_without_a_warning(other):
    values = {"a": [2.0, 2.0], "b": [other, other], "c": [2.0, 2.5]}
    _, constant, varied = analysis.comparisons(of_tests(values))
    assert constant.interval == (other - 2, other - 2)
    assert constant.p == (1.0 if other == 2 else 0.0)
    assert varied.interval[0] < 0.25 < varied.interval[1]


def test_one_trial_is_compared_with_nothing():
    _, found = analysis.comparisons(of_tests({"a": [1.0, 2.0], "b": [1.5]}))
    assert (found.number, found.mean, found.deviation) == (1, 1.5, None)
    assert (found.loss, found.interval, found.p, found.corrected) == (None,) * 4


def test_fanova_finds_the_hyperparameter_that_matters():
    shares = forest.importances(drawn(steep), "a")
    assert shares["learning_rate"] > 0.75
    assert max(shares["momentum"], shares["hidden_size"]) < 0.1
    assert sum(shares.values()) <= 1 + 1e-9


def test_a_hyperparameter_counts_on_the_scale_it_was_drawn_on():
    # Half of the learning rates are below 10⁻⁴, but not a hundredth of their range.
    step = drawn(lambda trial: float(trial.learning_rate > 1e-4))
    momentum = drawn(lambda trial: float(1 - trial.momentum > 0.1))
    assert forest.importances(step, "a")["learning_rate"] > 0.9
    (curve,) = (m for m in forest.marginals(momentum, "a") if m.name == "momentum")
    near = [mean for value, mean in zip(curve.values, curve.mean, strict=True) if value > 0.95]
    far = [mean for value, mean in zip(curve.values, curve.mean, strict=True) if value < 0.6]
    assert len(near) == pytest.approx(forest.GRID * 0.35, abs=2)
    assert max(near) < 0.2
    assert min(far) > 0.8


def test_diverged_trials_count_as_the_worst():
    good = drawn(lambda trial: 1 + 0.01 * trial.input_noise)
    failed = [
        o._replace(diverged=True, validation=None, test=None) if o.trial.learning_rate > 1e-3 else o
        for o in good.outcomes
    ]
    before = forest.importances(good, "a")["learning_rate"]
    assert forest.importances(good._replace(outcomes=tuple(failed)), "a")["learning_rate"] > (
        before + 0.2
    )
    known = [*failed[:-2], outcome("a", 22, test=99.0), outcome("a", 23, test=0.0, diverged=True)]
    _, metric = forest._design(good._replace(outcomes=tuple(known)), "a")
    assert metric.count(99.0) == 1 + sum(o.diverged for o in known)


@pytest.mark.parametrize("function", ["importances", "interaction", "marginals"])
def test_a_forest_needs_trials_that_differ(function):
    of = getattr(forest, function)
    found = drawn(steep, trials=8)
    assert of(found, "a") is not None
    assert of(found._replace(outcomes=found.outcomes[1:]), "a") is None
    assert of(drawn(lambda trial: 1.0), "a") is None
    assert of(found._replace(ranges={}), "a") is None
    same = [outcome("a", n, test=float(n)) for n in range(8)]
    assert of(study(same), "a") is None
    nothing = [o._replace(test=None, diverged=True) for o in found.outcomes]
    assert of(found._replace(outcomes=tuple(nothing)), "a") is None


def test_a_hyperparameter_that_was_not_searched_has_no_share():
    found = drawn(steep, ranges={"learning_rate": (1e-6, 1e-2), "momentum": (0.9, 0.9)})
    assert forest.importances(found, "a") == {"learning_rate": pytest.approx(1.0)}
    assert analysis.correlations(found) == []


def test_interaction_is_what_no_hyperparameter_explains_alone():
    def crossed(trial):
        return float((trial.input_noise > 0.5) == (trial.learning_rate > 1e-4))

    assert forest.interaction(drawn(steep, trials=60), "a") < 0.1
    assert forest.interaction(drawn(crossed, trials=60), "a") > 0.6


def test_a_marginal_has_its_minimum_where_the_metric_has():
    for higher in (False, True):  # the metric itself, whichever way it is read
        curves = forest.marginals(drawn(steep, trials=40, higher_is_better=higher), "a")
        rate = next(curve for curve in curves if curve.name == "learning_rate")
        best = rate.values[int(np.argmin(rate.mean))]
        assert 2e-5 < best < 5e-4
        assert 1e-6 < rate.values[0] < rate.values[-1] < 1e-2
        assert min(rate.spread) >= 0


def test_correlations_are_spearmans_among_the_best():
    sizes, rates = [20, 30, 50, 40, 90], [1e-5, 1e-4, 1e-3, 1e-2, 2e-2]
    trials = [
        outcome(number=n, hidden_size=s, learning_rate=r, input_noise=0.1 * n, validation=0.1 * n)
        for n, (s, r) in enumerate(zip(sizes, rates, strict=True))
    ]
    worst = outcome(number=5, hidden_size=20, learning_rate=1.0, validation=9.0)
    found = analysis.correlations(study([*trials, worst], best=5))
    by_pair = {(pair.first, pair.second): pair for pair in found}
    assert len(found) == 6
    pair = by_pair["hidden_size", "learning_rate"]
    assert pair.number == 5
    assert pair.correlation == pytest.approx(1 - 6 * 2 / (5 * 24))  # two neighbors exchanged
    assert by_pair["momentum", "input_noise"].correlation is None  # the momentum is constant
    assert by_pair["learning_rate", "momentum"].correlation is None


def test_a_clearly_better_variant_is_recommended():
    rng = np.random.default_rng(1)
    values = {"a": 2 + 0.01 * rng.random(20), "b": 1 + 0.01 * rng.random(20)}
    found = recommendation.recommend(of_tests(values))
    assert found.choice == "b"
    assert [c.share for c in found.candidates] == [1.0, 0.0]
    assert found.sentence.startswith("Take b (best in 100 % of 2,000 resamplings; nll 1.00")
    assert "Its best trial: hidden_size 50, learning_rate 0.001" in found.sentence
    higher = recommendation.recommend(of_tests(values, higher_is_better=True))
    assert higher.choice == "a"


def test_shares_are_those_of_the_bootstrap():
    # The best of a is in a resample unless both draws of four miss it, (3/4)²; then b is the best.
    found = recommendation.recommend(of_tests({"a": [0.0, 5.0, 5.0, 7.0], "b": [1.0] * 4}))
    shares = {c.variant: c.share for c in found.candidates}
    assert shares["b"] == pytest.approx(0.75**2, abs=0.03)
    assert sum(shares.values()) == pytest.approx(1)
    a = found.candidates[1]
    assert a.expected == pytest.approx(5 * (0.75**2 - 0.25**2) + 7 * 0.25**2, abs=0.15)
    assert a.interval == (0.0, 7.0)  # 7 in (1/4)² of the resamples


def test_a_second_variant_that_may_be_best_is_named():
    found = recommendation.recommend(of_tests({"a": [0.0] * 3 + [5.0] * 2, "b": [1.0] * 5}))
    assert found.choice == "a"
    assert found.candidates[1].share == pytest.approx(0.16, abs=0.03)
    assert "; b is best in 1" in found.sentence


def test_the_trial_is_chosen_by_validation_not_by_test():
    trials = [outcome("a", n, validation=1.0 + n, test=5.0 - n) for n in range(4)]
    found = recommendation.recommend(study(trials))
    assert found.candidates[0].expected > 4
    assert found.candidates[0].outcome.trial.number == 0


def test_of_variants_that_are_alike_the_smallest_is_taken():
    outcomes = [
        outcome(v, n, test=test, validation=test, parameters=size)
        for v, size, base in (("a", 500, 1.02), ("b", 300, 1.0), ("c", 400, 1.01), ("d", 5, 2.0))
        for n, test in enumerate(base + 0.1 * np.arange(30))
    ]
    found = recommendation.recommend(study(outcomes, "abcd"))
    assert found.candidates[0].share < recommendation.SURE
    assert found.choice == "b"
    assert "cannot tell" in found.sentence
    assert "fewest parameters" in found.sentence
    assert "d (best" not in found.sentence


def test_ties_are_shared():
    found = recommendation.recommend(of_tests({"a": [1.0] * 4, "b": [1.0] * 4}))
    assert [c.share for c in found.candidates] == [0.5, 0.5]


def test_variants_without_enough_trials_are_left_out_and_named():
    values = {"a": [1.0] * 4, "b": [0.1] * 3, "c": []}
    found = recommendation.recommend(of_tests(values))
    assert [c.variant for c in found.candidates] == ["a"]
    assert "Left out" in found.sentence
    assert "b, c" in found.sentence
    nothing = recommendation.recommend(of_tests({"a": [1.0] * 3}))
    assert nothing.choice is None
    assert "Nothing can be recommended yet" in nothing.sentence


def test_a_resample_of_diverged_trials_alone_loses():
    failed = [outcome("a", n, validation=None, test=None, diverged=True) for n in range(3)]
    good = [outcome("a", 3, validation=1.0, test=1.0)]
    others = [outcome("b", n, validation=2.0, test=2.0) for n in range(4)]
    found = recommendation.recommend(study([*failed, *good, *others], "ab"))
    shares = {c.variant: c.share for c in found.candidates}
    assert shares["b"] == pytest.approx(0.75**2, abs=0.03)
    assert next(c.expected for c in found.candidates if c.variant == "a") == 1.0


def test_of_a_part_of_the_trials_as_large_a_part_is_compared():
    trials = [outcome("a", n, validation=1.0 + n) for n in range(6)]
    whole = study(trials, best=4)
    assert not analysis.missing(whole)
    assert [o.trial.number for o in analysis.best(whole, "a")] == [0, 1, 2, 3]
    part = whole._replace(planned={"a": 12})
    assert analysis.missing(part) == {"a": (6, 12)}
    assert [o.trial.number for o in analysis.best(part, "a")] == [0, 1]
