"""Which claims made-up trials bear out."""

from __future__ import annotations

import pytest

from experiments.study import findings as module
from experiments.study.findings import FAILS, HOLDS, OPEN, findings
from tests.experiments.study.made import NINE, drawn, of_tests, outcome, study

CLOSE = (9.99, 10.0, 10.01)  # around a mean of 10, whose margin is 0.1


def shifted(shifts=None, spread=CLOSE, **changes):
    shifts = shifts or {}
    values = {v: [x + shifts.get(v, 0.0) for x in spread] for v in NINE}
    return of_tests(values, ranges={}, **changes)


def verdict(found, words):
    (one,) = [finding.verdict for finding in findings(found) if words in finding.claim]
    return one


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.0, HOLDS), (1.0, HOLDS), (-1.0, FAILS), (-0.1, OPEN)]
)
def test_none_is_better(shift, expected):
    spread = CLOSE if shift != -0.1 else (9.5, 10.0, 10.5)
    assert verdict(shifted({"NP": shift}, spread), "is better than V") == expected


def test_where_more_is_better_a_larger_metric_is_better():
    found = shifted({"NP": 1.0}, higher_is_better=True)
    assert verdict(found, "is better than V") == FAILS
    assert verdict(found, "cost nothing") == HOLDS
    assert verdict(shifted({"NP": -1.0}, higher_is_better=True), "cost nothing") == FAILS


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        ({"NFG": 2.0, "NOAF": 1.0, "NIG": 0.5}, HOLDS),
        ({"NFG": 2.0, "NOAF": 1.0, "NIG": 1.5}, FAILS),  # the order
        ({"NFG": 2.0}, FAILS),  # NOAF does not hurt
        ({}, FAILS),
    ],
)
def test_forget_gate_and_output_activation_matter_most(shifts, expected):
    assert verdict(shifted(shifts), "NFG") == expected


def test_where_the_metrics_vary_too_much_nothing_is_said():
    found = findings(shifted({"NFG": 0.2, "FGR": 0.2}, spread=(8.0, 10.0, 12.0)))
    assert len(found) == 5
    assert {finding.verdict for finding in found} == {OPEN}


@pytest.mark.parametrize(
    ("shift", "nothing", "little"),
    [(0.0, HOLDS, HOLDS), (0.14, FAILS, HOLDS), (0.5, FAILS, FAILS), (0.05, HOLDS, HOLDS)],
)
def test_costs_are_judged_by_their_margins(shift, nothing, little):
    found = shifted({"CIFG": shift, "NOG": shift})
    assert verdict(found, "cost nothing") == nothing
    assert verdict(found, "hurts little") == little


@pytest.mark.parametrize(("shift", "expected"), [(0.5, HOLDS), (0.0, FAILS), (-0.5, FAILS)])
def test_full_gate_recurrence_hurts(shift, expected):
    assert verdict(shifted({"FGR": shift}), "FGR") == expected


def test_claims_on_music_are_left_out_elsewhere():
    found = findings(shifted(about={"task": "language_model"}))
    assert len(found) == 3
    assert not any("music" in finding.claim for finding in found)


def test_claims_without_their_variants_or_hyperparameters_are_left_out():
    values = {"V": CLOSE, "NP": CLOSE, "CIFG": CLOSE}
    (only,) = findings(of_tests(values, ranges={}))
    assert "cost nothing" in only.claim
    assert findings(of_tests({"lstm": CLOSE, "NP": CLOSE, "CIFG": CLOSE}, ranges={})) == []
    (rate,) = findings(of_tests({"lstm": CLOSE}, ranges={"learning_rate": (1e-4, 1e-2)}))
    assert "learning rate" in rate.claim


def test_figures_are_the_differences_with_interval_and_p():
    found = findings(shifted({"FGR": 0.5}))
    figures = next(f.figures for f in found if "FGR" in f.claim and "music" in f.claim)
    assert figures.startswith("FGR +0.500 (+0.4")
    assert "p < 0.001" in figures
    assert figures.endswith("what counts is more than 0.100")


def test_hyperparameters_that_matter():
    variants = ["a", "b", "c"]
    by_rate = drawn(lambda t: float(t.learning_rate > 1e-4) + 0.01 * t.input_noise, variants)
    assert verdict(by_rate, "learning rate") == HOLDS
    assert verdict(by_rate, "momentum") == HOLDS
    assert verdict(by_rate, "independently") == HOLDS
    by_momentum = drawn(lambda t: float(t.momentum > 0.9) + 0.01 * t.input_noise, variants)
    assert verdict(by_momentum, "learning rate") == FAILS
    assert verdict(by_momentum, "momentum") == FAILS
    two = {"learning_rate": (1e-6, 1e-2), "input_noise": (0.0, 1.0)}
    crossed = drawn(
        lambda t: float((t.input_noise > 0.5) == (t.learning_rate > 1e-4)), variants, 40, ranges=two
    )
    assert verdict(crossed, "independently") == FAILS


def test_hyperparameters_of_too_few_variants():
    two = drawn(lambda t: t.learning_rate, ["a", "b"])
    assert {finding.verdict for finding in findings(two)} == {OPEN}
    assert "variants with enough trials: 2, 3 are needed" in findings(two)[0].figures


def test_the_interval_of_a_mean_share_is_the_bootstraps():
    shares = [0.1, 0.2, 0.3, 0.6]
    mean, low, high = module.share_interval(shares)
    assert mean == pytest.approx(0.3)
    assert 0.1 < low < 0.2 < 0.4 < high < 0.6
    assert module.share_interval([0.2] * 4) == pytest.approx((0.2, 0.2, 0.2))
    assert module.share_interval([0.2] * 2) is None


def test_an_unfinished_study_decides_nothing():
    trials = [
        outcome(v, n, test=1.0 + (v == "FGR") + n / 1000, learning_rate=10.0 ** -(n + 1))
        for v in ("V", "FGR")
        for n in range(4)
    ]
    whole = study(trials, ("V", "FGR"), best=4, about={"task": "music"})
    verdicts = {f.claim: f.verdict for f in findings(whole)}
    assert verdicts["On music full gate recurrence (FGR) hurts"] == HOLDS
    part = whole._replace(outcomes=tuple(trials[:-1]))
    assert {f.verdict for f in findings(part)} == {OPEN}
