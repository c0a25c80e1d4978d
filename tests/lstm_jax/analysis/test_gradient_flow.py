"""Gradients at states, against a loop that changes one state of one step after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import analysis
from lstm_jax.analysis.gradient_flow import over_lag
from tests.cases import FEW, Case, assert_close
from tests.lstm_jax.analysis.conftest import LENGTHS, deep, problem_of

CELLS = [*FEW, Case("layer_norm_lstm"), Case("conv_lstm"), Case("lstmp", {"projection_size": 3})]


def loss(ys):
    weights = np.random.default_rng(9).standard_normal(ys.shape)
    return jnp.sum(weights * ys**2)


def changed(cells, params, xs, where, change):
    """The outputs of cells above one another, a step at a time, with one state changed."""
    states, ys = [cell.initial_state(xs.shape[1]) for cell in cells], []
    for time, x in enumerate(xs):
        for k, cell in enumerate(cells):
            states[k], x = cell.step(params[k], states[k], x)
            if (k, time) == where:
                states[k] = jax.tree.map(jnp.add, states[k], change)
                x = states[k].h
        ys.append(x)
    return jnp.stack(ys)


def by_loop(cells, params, xs, k, time):
    zeros = jax.tree.map(jnp.zeros_like, cells[k].initial_state(xs.shape[1]))
    return jax.jit(jax.grad(lambda c: loss(changed(cells, params, xs, (k, time), c))))(zeros)


@pytest.mark.parametrize("case", CELLS, ids=str)
def test_equal_the_loop(case):
    p = problem_of(case.cell())
    found = analysis.state_gradients(p.cell, p.params, p.xs, loss)
    for time in (0, 4, 6):
        wanted = by_loop([p.cell], [p.params], p.xs, 0, time)
        assert_close(jax.tree.map(lambda v, t=time: v[t], found), wanted, 1e-10)


def test_lower_layers_reach_the_loss_through_the_upper_ones():
    network = lj.stack(lj.lstm(3), lj.gru(4))
    p = problem_of(network)
    found = analysis.state_gradients(network, p.params, p.xs, loss)
    for k, time in ((0, 1), (0, 6), (1, 3)):
        wanted = by_loop(network.layers, p.params, p.xs, k, time)
        assert_close(jax.tree.map(lambda v, t=time: v[t], found[k]), wanted, 1e-10)


def test_padding_changes_nothing_and_gets_nothing():
    p = problem_of(lj.lstm(5))
    found = analysis.gradient_flow(p.cell, p.params, p.xs, lengths=LENGTHS)["lstm"]
    for row, length in enumerate(LENGTHS):
        own = jax.tree.map(lambda v, n=length: v[:n], p.xs)
        alone = analysis.gradient_flow(p.cell, p.params, own)["lstm"]
        for field, norms in alone.items():
            assert_close(found[field][:length, row], norms[:, row])
            assert not np.any(found[field][length:, row])


def test_names_every_layer_and_field():
    network = deep()
    p = problem_of(network)
    found = analysis.gradient_flow(network, p.params, p.xs, lengths=LENGTHS)
    assert list(found) == ["layer 1, forward", "layer 1, backward", "layer 2"]
    assert set(found["layer 1, backward"]) == {"h", "state"}
    both = found["layer 2"]
    assert_close(both["state"] ** 2, both["h"] ** 2 + both["c"] ** 2)
    assert all(np.all(fields["state"][0] > 0) for fields in found.values())


def test_the_default_loss_is_a_unit_vector_at_each_last_output():
    p = problem_of(lj.gru(5))
    flow = analysis.gradient_flow(p.cell, p.params, p.xs, lengths=LENGTHS)["gru"]["h"]
    assert_close(flow[LENGTHS - 1, np.arange(3)], np.ones(3))


def test_each_direction_is_held_from_where_it_ends():
    one = lj.lstm(6, forget_bias=6.0)
    network = lj.bidirectional(one, one)
    xs = np.random.default_rng(0).standard_normal((30, 3, 2))
    params = network.init(jax.random.key(0), 2)
    found = analysis.gradient_flow(network, params, 0.3 * xs)
    (alone,) = analysis.gradient_flow(one, params[1], 0.3 * xs[::-1]).values()
    assert_close(found["backward"]["state"], alone["state"])
    for fields in found.values():
        assert analysis.growth(fields["state"]).verdict == "held"
    lengths = np.array([30, 12, 1])
    cut = analysis.gradient_flow(network, params, 0.3 * xs, lengths=lengths)["backward"]["h"]
    assert np.all(np.asarray(cut)[lengths - 1, range(3)] > 0) and not np.any(cut[12:, 1])


def test_a_stack_that_ends_in_a_pair_reads_both():
    network = lj.stack(lj.lstm(4), lj.bidirectional(lj.gru(3), lj.lstm(2)))
    p = problem_of(network)
    found = analysis.gradient_flow(network, p.params, p.xs)
    assert_close(found["layer 2, forward"]["h"][-1], np.ones(3))
    assert_close(found["layer 2, backward"]["h"][-1], np.ones(3))
    assert np.all(found["layer 1"]["h"] > 0)


def test_dropout_is_on_with_a_key():
    network = lj.stack(lj.lstm(5), lj.lstm(5), dropout=0.5)
    p = problem_of(network)
    quiet, noisy = (
        analysis.state_gradients(network, p.params, p.xs, loss, key=key)[0].h
        for key in (None, jax.random.key(0))
    )
    assert np.abs(quiet - noisy).max() > 1e-3


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.8, "vanishing"), (0.99, "held"), (1.02, "held"), (1.2, "exploding")]
)
def test_growth(factor, verdict):
    lags = np.arange(40)[::-1, None]
    noise = np.exp(0.05 * np.random.default_rng(0).standard_normal((40, 3)))
    found = analysis.growth(3 * factor**lags * noise)
    assert found.verdict == verdict
    np.testing.assert_allclose(found.factor, factor, rtol=5e-3)
    np.testing.assert_allclose(found.total, factor**39, rtol=0.2)


def test_a_gradient_that_underflows_has_vanished():
    flow = np.array([[0.0], [1e-4], [1e-2], [1.0]])
    factor, total, verdict = analysis.growth(flow)
    assert_close(np.array([factor, total]), np.array([1e-2, 1e-6]))
    assert verdict == "vanishing"
    assert analysis.growth(flow * (flow == 1)) == (0.0, 0.0, "vanishing")
    assert_close(over_lag(flow), np.array([1.0, 1e-2, 1e-4, 0.0]))


def test_growth_wants_two_steps_of_whole_sequences():
    with pytest.raises(ValueError, match="flow has 1 steps; give two or more"):
        analysis.growth(np.ones((1, 2)))
    for flow in (np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[np.nan], [1.0]])):
        with pytest.raises(ValueError, match="flow has NaN, or zero at the last step"):
            analysis.growth(flow)


def test_a_gradient_that_overflows_has_exploded():
    assert analysis.growth(np.array([[np.inf], [1.0]])) == (np.inf, np.inf, "exploding")


def test_an_lstm_holds_what_an_rnn_loses():
    """A trained memory is not needed: a forget bias is enough."""
    xs = jax.random.normal(jax.random.key(0), (60, 4, 3))
    verdicts = {}
    for cell in (lj.rnn(16), lj.lstm(16, forget_bias=6.0), lj.lstm(16, forget_bias=-2.0)):
        flow = analysis.gradient_flow(cell, cell.init(jax.random.key(1), 3), 0.3 * xs)
        verdicts[cell] = analysis.growth(flow[cell.name]["state"]).verdict
    assert list(verdicts.values()) == ["vanishing", "held", "vanishing"]
