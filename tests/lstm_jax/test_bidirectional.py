"""bidirectional: a second cell over the reversed valid part."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from tests import oracle
from tests.cases import METHODS, Case, assert_close, fields, problem, random_params, unroll

PAIR = Case("gru"), Case("peephole_lstm")


def pair_of(forward, backward):
    """The pair, its parameters and states, and the oracle's view of both sides."""
    sides = problem(forward.cell(), 1), problem(backward.cell(3), 2)
    both = lj.bidirectional(sides[0].cell, sides[1].cell)
    sources = [(case.name, fields(side.params), case.options)
               for case, side in zip((forward, backward), sides, strict=True)]
    return both, sides, sources


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("names", [(), ("lengths", "resets"), ("mask", "resets"), ("resets",)],
                         ids="-".join)
def test_equals_the_numpy_loop(names, method):
    both, sides, sources = pair_of(*PAIR)
    arrays = {name: getattr(sides[0], name) for name in names}
    states = tuple(side.state for side in sides)

    got, ys = unroll(both, tuple(side.params for side in sides), sides[0].xs,
                     initial_state=states, **arrays, method=method)
    wanted, wanted_ys = oracle.bidirectional(
        *sources, sides[0].xs, tuple(map(fields, states)), **arrays
    )
    assert_close(tuple(map(fields, got)), wanted)
    assert_close(ys, wanted_ys)
    assert both.output_size == ys.shape[-1] == 8


@pytest.mark.parametrize("method", METHODS)
def test_packed_documents_do_not_leak(method):
    """Two documents in one row, then padding: as each alone, and no gradient across."""
    both, sides, _ = pair_of(*PAIR)
    params, xs = tuple(side.params for side in sides), sides[0].xs
    starts = np.zeros((6, 3), bool)
    starts[[0, 2, 5]] = True  # the last one starts in the padding

    def run(xs, **more):
        return unroll(both, params, xs, method=method, **more)[1]

    ys = run(xs, resets=starts, lengths=np.full(3, 5))
    assert_close(ys[:2], run(xs[:2]))
    assert_close(ys[2:5], run(xs[2:5]))
    assert_close(ys[5], np.zeros_like(ys[5]))

    @jax.jit
    @jax.grad
    def to_first_document(xs):
        return run(xs, resets=starts, lengths=np.full(3, 5))[:2].sum()

    to_xs = to_first_document(xs)
    assert np.array_equal(to_xs[2:], np.zeros((4, 3, 4)))
    assert np.abs(to_xs[:2]).max(axis=(1, 2)).min() > 1e-6


def test_a_segment_start_in_the_padding_is_no_reset():
    both, sides, _ = pair_of(*PAIR)
    params, states = (tuple(getattr(side, name) for side in sides) for name in ("params", "state"))
    starts = np.zeros((6, 3), bool)

    def run(starts):
        return unroll(both, params, sides[0].xs, initial_state=states, resets=starts,
                      lengths=np.full(3, 4))

    wanted = run(starts)
    starts[4:] = True
    assert_close(run(starts), wanted)


def test_init_makes_two_different_cells():
    both = lj.bidirectional(lj.lstm(5), lj.lstm(5))
    forward, backward = both.init(jax.random.key(0), 4)
    assert forward.kernel.shape == backward.kernel.shape == (4, 20)
    assert np.abs(forward.kernel - backward.kernel).max() > 0.1


def test_in_a_stack_the_second_layer_sees_both_directions():
    layers = lj.bidirectional(lj.gru(5), lj.gru(3)), lj.lstm(2)
    deep = lj.stack(*layers)
    p = problem(lj.rnn(1))
    params = random_params(deep, 1)
    states, ys = unroll(deep, params, p.xs, lengths=p.lengths, resets=p.resets)
    first, between = unroll(layers[0], params[0], p.xs, lengths=p.lengths, resets=p.resets)
    second, wanted = unroll(layers[1], params[1], between, lengths=p.lengths, resets=p.resets)
    assert_close(states, (first, second))
    assert_close(ys, wanted)
