"""Studies whose answers are known, since their metrics are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.study.trials import Outcome, Study, Trial

RANGES = {
    "hidden_size": (20.0, 200.0),
    "learning_rate": (1e-6, 1e-2),
    "momentum": (0.0, 0.99),
    "input_noise": (0.0, 1.0),
}
LOGARITHMIC = frozenset({"hidden_size", "learning_rate", "momentum"})
NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "NP", "CIFG", "FGR")


def outcome(variant: str = "a", number: int = 0, **changes) -> Outcome:
    """A trial that came to a validation metric of 1 and a test metric of 2, but for changes."""
    settings = {"hidden_size": 50, "learning_rate": 1e-3, "momentum": 0.9, "input_noise": 0.5}
    trial = Trial(variant, number, **{k: changes.pop(k, v) for k, v in settings.items()})
    ended = {"parameters": 1000, "steps": 30, "diverged": False, "validation": 1.0, "test": 2.0}
    curve = ((10, 3.0), (20, 2.0), (30, 1.0))
    return Outcome(trial, **{k: changes.pop(k, v) for k, v in ended.items()}, curve=curve)


def study(outcomes: Sequence[Outcome], variants: Sequence[str] = ("a",), **changes) -> Study:
    """The study of these outcomes, the first variant the reference, all trials there."""
    count = max((o.trial.number + 1 for o in outcomes), default=1)
    facts = {
        "planned": dict.fromkeys(variants, count),
        "ranges": RANGES,
        "logarithmic": LOGARITHMIC,
        "reference": variants[0],
        "metric": "nll",
        "higher_is_better": False,
        "best": 2,
        "about": {"task": "music"},
    }
    return Study(outcomes=tuple(outcomes), **(facts | changes))


def of_tests(values: Mapping[str, Sequence[float]], **changes) -> Study:
    """A study in which the variants' trials have these test metrics, all of them compared."""
    outcomes = [
        outcome(variant, number, test=test, validation=test)
        for variant, tests in values.items()
        for number, test in enumerate(tests)
    ]
    best = max(len(tests) for tests in values.values())
    return study(outcomes, list(values), **({"best": best} | changes))


def drawn(
    metric: Callable[[Trial], float], variants: Sequence[str] = ("a",), trials: int = 24, **changes
) -> Study:
    """A random search whose metric depends on the settings in a known way."""
    rng = np.random.default_rng(0)
    outcomes = []
    for variant in variants:
        for number in range(trials):
            size, rate, momentum, noise = rng.random(4)
            rate, momentum = 10 ** (4 * rate - 6), 1 - 10 ** (-2 * momentum)
            trial = Trial(variant, number, round(20 * 10**size), rate, momentum, noise)
            value = metric(trial)
            settings = {k: getattr(trial, k) for k in RANGES}
            outcomes.append(outcome(variant, number, validation=value, test=value, **settings))
    return study(outcomes, variants, **({"best": trials // 4} | changes))
