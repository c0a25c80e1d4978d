"""unroll against the NumPy loop, and what time, padding and resets mean."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests import oracle
from tests.cases import (
    DEFAULTS,
    FEW,
    METHODS,
    SETTINGS,
    Case,
    arguments,
    assert_close,
    expected,
    fields,
    problem,
    unroll,
)


def run(p, method, setting="plain"):
    arrays, reverse = arguments(p, setting)
    return unroll(p.cell, p.params, p.xs, **arrays, reverse=reverse, method=method)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_equals_the_numpy_loop(case, method, setting):
    p = problem(case.cell())
    state, ys = run(p, method, setting)
    wanted_state, wanted_ys, _ = expected(case, p, setting)
    assert_close(fields(state), wanted_state)
    assert_close(ys, wanted_ys)


def test_auto_computes_the_same():
    p = problem(lj.lstm(5))
    assert_close(run(p, "auto", "lengths"), run(p, "scan", "lengths"))


@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_split_and_carry_equals_the_full_run(case):
    """The full run is that of the NumPy loop."""
    p = problem(case.cell(), steps=8)
    lengths = np.array([8, 3, 5])
    whole, ys, _ = oracle.unroll(case.name, fields(p.params), p.xs, fields(p.state), lengths,
                                 resets=p.resets)

    def half(part, lengths, state):
        return unroll(p.cell, p.params, p.xs[part], initial_state=state, lengths=lengths,
                      resets=p.resets[part])

    middle, first = half(slice(4), np.minimum(lengths, 4), p.state)
    last, second = half(slice(4, None), np.maximum(lengths - 4, 0), middle)
    assert_close(fields(last), whole)
    assert_close(np.concatenate([first, second]), ys)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", FEW, ids=str)
def test_no_steps_return_the_initial_state(case, method):
    p = problem(case.cell(), steps=2)
    state, ys = unroll(p.cell, p.params, p.xs[:0], initial_state=p.state, method=method)
    assert_close(state, p.state)
    assert ys.shape == (0, 3, p.cell.output_size)
    still, zeros = unroll(p.cell, p.params, p.xs, initial_state=p.state,
                          lengths=np.zeros(3, int), resets=np.ones((2, 3), bool), method=method)
    assert_close(still, p.state)
    assert_close(zeros, np.zeros_like(zeros))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", FEW, ids=str)
def test_one_step_is_step(case, method):
    p = problem(case.cell(), steps=1)
    state, ys = unroll(p.cell, p.params, p.xs, initial_state=p.state, method=method)
    wanted, y = jax.jit(p.cell.step)(p.params, p.state, p.xs[0])
    assert_close(state, wanted)
    assert_close(ys[0], y)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", FEW, ids=str)
def test_two_thousand_steps(case, method):
    p = problem(case.cell(), steps=2000, rows=2)
    state, ys = run(p, method)
    wanted_state, wanted_ys, _ = expected(case, p, "plain")
    assert_close(fields(state), wanted_state, 1e-9)
    assert_close(ys, wanted_ys, 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_reset_forgets_the_initial_state_too(method):
    p = problem(lj.gru(5))
    starts = np.zeros((6, 3), bool)
    starts[2] = True
    state, ys = unroll(p.cell, p.params, p.xs, initial_state=p.state, resets=starts,
                       method=method)
    fresh_state, fresh_ys = unroll(p.cell, p.params, p.xs[2:], method=method)
    assert_close(state, fresh_state)
    assert_close(ys[2:], fresh_ys)


@pytest.mark.parametrize("method", METHODS)
def test_lengths_are_a_mask(method):
    p = problem(lj.lstm(5))
    prefix = np.arange(6)[:, None] < p.lengths
    by_lengths = unroll(p.cell, p.params, p.xs, lengths=p.lengths, method=method)
    assert_close(unroll(p.cell, p.params, p.xs, mask=prefix, method=method), by_lengths)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", FEW, ids=str)
def test_vmap_over_sequences_and_over_parameters(case, method):
    p = problem(case.cell())
    first, second = p, problem(case.cell(), seed=10)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), first.params, second.params)

    def one(params, xs, length):  # a single sequence [T, D]
        state, ys = lj.unroll(p.cell, params, xs[:, None], lengths=length[None], method=method)
        return jax.tree.map(lambda leaf: leaf[0], state), ys[:, 0]

    over_rows = jax.vmap(one, in_axes=(None, 1, 0), out_axes=(0, 1))
    over_both = jax.jit(jax.vmap(over_rows, in_axes=(0, None, None)))
    got = over_both(stacked, p.xs, p.lengths)
    for member, params in enumerate((first.params, second.params)):
        wanted = unroll(p.cell, params, p.xs, lengths=p.lengths, method=method)
        assert_close(jax.tree.map(lambda leaf, m=member: leaf[m], got), wanted)


@pytest.mark.parametrize("method", METHODS)
def test_a_cell_built_again_is_not_compiled_again(method):
    p = problem(lj.peephole_lstm(5))
    traces = []

    @partial(jax.jit, static_argnums=0)
    def run_it(cell, params, xs):
        traces.append(cell)
        return lj.unroll(cell, params, xs, method=method)

    run_it(lj.peephole_lstm(5), p.params, p.xs)
    run_it(lj.peephole_lstm(5, peepholes="diagonal"), p.params, p.xs)
    assert len(traces) == 1 and run_it._cache_size() == 1
    run_it(lj.lstm(5, peepholes="full"), problem(lj.lstm(5, peepholes="full")).params, p.xs)
    assert len(traces) == 2


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_compiled_in_a_second_call_outside_jit(method):
    p = problem(lj.gru(5), steps=9)
    compilations = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    lj.unroll(lj.gru(5), p.params, p.xs, lengths=p.lengths, method=method)
    first = len(compilations)
    lj.unroll(lj.gru(5), p.params, p.xs, lengths=p.lengths, method=method)
    assert first > 0 and len(compilations) == first


def test_cells_are_equal_by_factory_and_arguments():
    assert lj.lstm(5) == lj.lstm(5) and hash(lj.lstm(5)) == hash(lj.lstm(5))
    assert lj.zoneout(lj.lstm(5), 0.1) == lj.zoneout(lj.lstm(5), 0.1)
    assert lj.stack(lj.lstm(5), lj.gru(5)) == lj.stack(lj.lstm(5), lj.gru(5))
    assert lj.lstm(5) != lj.lstm(6)
    assert lj.lstm(5) != lj.coupled_lstm(5)
    assert lj.lstm(5) != lj.lstm(5, cell_clip=0.4)
    assert lj.lstm(5) != lj.lstm(5, dtype=jnp.bfloat16)
    assert lj.rnn(5) != lj.rnn(5, activation="relu")
    assert lj.lstmp(5) != lj.lstmp(5, projection_size=3)
    assert lj.no_forget_lstm(5) != lj.no_forget_lstm(5, activations="1997")
    assert lj.min_gru(5) != lj.min_gru(5, log_space=True)
    assert lj.zoneout(lj.lstm(5), 0.1) != lj.zoneout(lj.lstm(5), 0.2)


@pytest.mark.parametrize("case", [Case("lstm"), Case("min_gru")], ids=str)
def test_forward_mode_goes_through_scan(case):
    p, tangent = problem(case.cell()), problem(case.cell(), seed=5).xs

    def final(xs):
        return unroll(p.cell, p.params, xs, method="scan")[0].h

    _, slope = jax.jit(lambda *along: jax.jvp(final, *along))((p.xs,), (tangent,))
    step = 1e-5
    difference = (final(p.xs + step * tangent) - final(p.xs - step * tangent)) / (2 * step)
    assert_close(slope, difference, 1e-7)
