"""One step at a time: the same as a whole sequence, with the state in one array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import CASES, assert_close, problem, random_params


def make_deep():
    return lj.stack(lj.lstm(4), lj.full_gate_recurrence_lstm(4), lj.gru(3), residual=True)


def run(network, params, xs, state):
    stream = lj.stream(network, params)
    packed, ys = stream.pack(state), []
    for x in xs:
        packed, y = stream.step(packed, x)
        ys.append(y)
    return stream.unpack(packed), jnp.stack(ys)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_steps_are_the_whole_sequence(case):
    cell = case.cell()
    given = problem(cell, 1)
    got = run(cell, given.params, given.xs, given.state)
    assert_close(got, lj.unroll(cell, given.params, given.xs, given.state))


def test_stacks_and_mixed_precision():
    """h in bfloat16 and c in float32 survive in one array, each as it was."""
    deep = lj.stack(lj.lstm(4, dtype=jnp.bfloat16), make_deep())
    xs = np.random.default_rng(2).standard_normal((5, 2, 4)).astype(np.float32)
    params = random_params(deep, 3)
    got = run(deep, params, xs, deep.initial_state(2))
    wanted = lj.unroll(deep, params, xs)
    assert_close(got, wanted, 1e-2)
    assert got[0][0].h.dtype == jnp.bfloat16 and got[0][0].c.dtype == jnp.float32


def test_the_fresh_state_and_its_fields():
    deep = make_deep()
    stream = lj.stream(deep, random_params(deep, 4))
    fresh = stream.initial_state(3)
    assert fresh.shape == (3, 4 + 4 + 4 + 4 + 12 + 3) and not fresh.any()
    numbers = jnp.arange(fresh.size, dtype=fresh.dtype).reshape(fresh.shape)
    unpacked = stream.unpack(numbers)
    assert jax.tree.structure(unpacked) == jax.tree.structure(deep.initial_state(3))
    np.testing.assert_array_equal(unpacked[0].c, numbers[:, 4:8])
    np.testing.assert_array_equal(stream.pack(unpacked), numbers)


def test_the_second_step_does_not_compile():
    stream = lj.stream(lj.lstm(4), random_params(lj.lstm(4), 5))
    state, _ = stream.step(stream.initial_state(), np.ones((1, 4)))
    stream.step(state, np.zeros((1, 4)))
    assert stream.step._cache_size() == 1


def test_a_bidirectional_network_needs_whole_sequences():
    both = lj.bidirectional(lj.lstm(4), lj.lstm(4))
    stream = lj.stream(both, random_params(both, 6))
    with pytest.raises(ValueError, match="needs the whole sequence; use unroll"):
        stream.step(stream.initial_state(), np.ones((1, 4)))
