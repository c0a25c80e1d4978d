"""gates: every gate and state over time."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from tests import oracle
from tests.cases import CASES, SETTINGS, Case, arguments, assert_close, expected, problem

gates = jax.jit(lj.gates, static_argnames=("cell", "reverse"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gates_equal_the_numpy_loop(case):
    p, setting = problem(case.cell()), "gaps reversed"
    arrays, reverse = arguments(p, setting)
    got = gates(p.cell, p.params, p.xs, **arrays, reverse=reverse)
    *_, trace = expected(case, p, setting)
    assert set(got) >= set(trace)
    for name, wanted in trace.items():
        assert_close(np.asarray(got[name])[p.mask], wanted[p.mask])


def test_nothing_but_blocks_and_state_fields_is_named():
    for name, blocks in oracle.BLOCKS.items():
        p = problem(Case(name).cell())
        found = jax.eval_shape(lambda p=p: lj.gates(p.cell, p.params, p.xs))
        assert set(found) == {*blocks, *p.state._fields}


def test_settings_cover_what_unroll_takes():
    used = {name for names, _ in SETTINGS.values() for name in names}
    assert used == {"initial_state", "lengths", "mask", "resets"}


def test_gates_can_be_jitted_and_differentiated():
    p = problem(Case("lstm").cell())

    @jax.jit
    def openness(xs):
        return lj.gates(p.cell, p.params, xs)["f"].mean()

    step, direction = 1e-5, np.random.default_rng(1).standard_normal(p.xs.shape)
    ahead, behind = openness(p.xs + step * direction), openness(p.xs - step * direction)
    slope = np.vdot(jax.jit(jax.grad(openness))(p.xs), direction)
    assert_close(slope, np.asarray((ahead - behind) / (2 * step)), 1e-7)
