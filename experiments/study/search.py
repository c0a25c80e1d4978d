"""Random search: the trials of a study, drawn before any of them trains."""

from __future__ import annotations

import itertools
import zlib
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from experiments import command_line
from experiments.compare import cell_config
from experiments.config import make_network
from experiments.study.trials import HYPERPARAMETERS, Trial

LOGARITHMIC = frozenset({"hidden_size", "learning_rate", "momentum"})


class Population(NamedTuple):
    """Trials of one variant and one size: they train at once, in one program."""

    variant: str
    hidden_size: int
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """A directory's name, the same in every study of these trials."""
        return f"{self.variant}-{self.hidden_size}-{self.trials[0].number}"


def check(config: ConfigDict) -> None:
    """Raises `ConfigError` for a cell, a task or data that cannot be."""
    for name in config.cells:
        make_network(cell_config(config, name))
    command_line.build_task(cell_config(config, config.cells[0]))


def draw(config: ConfigDict) -> list[Trial]:
    """All trials, `config.study.trials` of each of `config.cells` (Greff et al. 2017, IV-B).

        hidden size    log-uniform, of `config.study.sizes` sizes at equal ratios
        learning rate  log-uniform
        momentum       1 - momentum log-uniform
        input noise    uniform

    A trial hangs on `config.seed`, its variant's name and its number alone, so that neither other
    variants nor the number of trials change it.
    """
    return [_draw(config, v, n) for v in config.cells for n in range(config.study.trials)]


def seed(trial: Trial, config: ConfigDict) -> int:
    """The seed of a trial's first parameters, its dropout and its noise."""
    return int(_generator(trial.variant, trial.number, config).integers(2**31))


def populations(config: ConfigDict, trials: list[Trial]) -> list[Population]:
    """The trials in groups that train at once, those that take longest first."""
    most, found = config.study.population, []
    by_size = sorted(trials, key=lambda t: (t.variant, t.hidden_size, t.number))
    for (variant, size), own in itertools.groupby(by_size, lambda t: (t.variant, t.hidden_size)):
        group = tuple(own)
        parts = [group[i : i + most] for i in range(0, len(group), most)]
        found += [Population(variant, size, part) for part in parts]
    return sorted(found, key=lambda p: (-p.hidden_size * len(p.trials), p.name))


def configuration(config: ConfigDict, population: Population) -> ConfigDict:
    """The configuration of a population's run."""
    own = cell_config(config, population.variant)
    with own.unlocked():
        own.cell.hidden_size = population.hidden_size
        own.members = tuple(
            (seed(t, config), t.learning_rate, t.momentum, t.input_noise)
            for t in population.trials
        )
    return own


def ranges(config: ConfigDict) -> dict[str, tuple[float, float]]:
    """The ends of those ranges that are searched."""
    ends = {name: tuple(config.study[name]) for name in HYPERPARAMETERS}
    return {name: (low, high) for name, (low, high) in ends.items() if low < high}


def sizes(config: ConfigDict) -> list[int]:
    """The hidden sizes that are drawn, smallest first."""
    low, high = config.study.hidden_size
    return sorted({round(size) for size in np.geomspace(low, high, config.study.sizes)})


def _draw(config: ConfigDict, variant: str, number: int) -> Trial:
    rng, study = _generator(variant, number, config), config.study
    rng.integers(2**31)  # the seed
    hidden_size = int(rng.choice(sizes(config)))
    rate = _log_uniform(rng, *study.learning_rate)
    least, most = study.momentum
    momentum = 1.0 - _log_uniform(rng, 1.0 - most, 1.0 - least)
    noise = rng.uniform(*study.input_noise)
    return Trial(variant, number, hidden_size, rate, momentum, float(noise))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _generator(variant: str, number: int, config: ConfigDict) -> np.random.Generator:
    return np.random.default_rng((config.seed, zlib.crc32(variant.encode()), number))
