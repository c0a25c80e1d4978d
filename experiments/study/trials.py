"""What a study is made of: settings that were drawn, and what training with them came to."""

from __future__ import annotations

from typing import NamedTuple


class Trial(NamedTuple):
    """One training of one variant with settings of its own.

    Attributes:
        variant: its name in `config.cells`.
        number: which of the variant's trials, from 0.
        hidden_size: units of each layer.
        learning_rate: of the optimizer.
        momentum: of the optimizer; of Adam its β₁.
        input_noise: standard deviation of the noise on the network's inputs while training.
    """

    variant: str
    number: int
    hidden_size: int
    learning_rate: float
    momentum: float
    input_noise: float


class Outcome(NamedTuple):
    """What came of a trial.

    Attributes:
        trial: the trial.
        parameters: how many the model has.
        steps: how many it trained.
        diverged: whether it ended because its loss or gradient was no longer finite.
        validation: the best metric on the validation split, None if it never was finite.
        test: the metric of those parameters on the test split, None where that is not finite.
        curve: (step, metric on the validation split), at each evaluation.
    """

    trial: Trial
    parameters: int
    steps: int
    diverged: bool
    validation: float | None
    test: float | None
    curve: tuple[tuple[int, float], ...]


HYPERPARAMETERS = ("hidden_size", "learning_rate", "momentum", "input_noise")


class Study(NamedTuple):
    """All outcomes so far, and what one has to know to read them.

    Attributes:
        outcomes: of the trials that are finished.
        planned: how many trials each variant is to have.
        ranges: the smallest and the largest value of each hyperparameter that was searched.
        logarithmic: the hyperparameters whose logarithm was drawn uniformly; of the momentum it is
            that of 1 − momentum.
        reference: the variant that the others are compared with; the first.
        metric: the name of what is compared.
        higher_is_better: whether a larger metric is the better one.
        best: how many of a variant's trials, the best by validation, are compared.
        about: what the report says about how this was found: task, device, versions, seconds.
    """

    outcomes: tuple[Outcome, ...]
    planned: dict[str, int]
    ranges: dict[str, tuple[float, float]]
    logarithmic: frozenset[str]
    reference: str
    metric: str
    higher_is_better: bool
    best: int
    about: dict[str, str]
