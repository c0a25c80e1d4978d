"""Networks at work, taken apart."""

import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import analysis
from tests.cases import problem, random_params

LENGTHS = np.array([7, 4, 1])


def deep():
    """A stack with a bidirectional layer below and a residual layer above."""
    both = lj.bidirectional(lj.lstm(2), lj.gru(2))
    return lj.stack(both, lj.peephole_lstm(4), residual=True)


def taken_apart(network, **options):
    """The layers of a network with random parameters, over random sequences of seven steps."""
    p = problem_of(network)
    return analysis.layers(network, p.params, p.xs, **options)


def problem_of(network):
    if isinstance(network, lj.Cell):
        return problem(network, steps=7)
    p = problem(lj.rnn(3), steps=7)  # for its inputs
    state = network.initial_state(len(LENGTHS))
    return p._replace(cell=network, params=random_params(network, seed=4), state=state)


@pytest.fixture
def layer():
    """One LSTM over padded sequences."""
    (found,) = taken_apart(lj.lstm(5), lengths=LENGTHS)
    return found
