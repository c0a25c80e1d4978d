"""Noise: what it touches, how large it is, and that it is off without a key."""

import itertools

import jax
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import (
    FEW,
    METHODS,
    Case,
    assert_close,
    fields,
    problem,
    random_params,
    unroll,
)

KEY = jax.random.key(4)
NOISY = {
    "zoneout": lambda cell: lj.zoneout(cell, 0.3),
    "drop_connect": lambda cell: lj.drop_connect(cell, 0.3),
    "variational": lambda cell: lj.variational_dropout(cell, inputs=0.3, recurrent=0.2),
}
HAVE_U = [case for case in FEW if case.name != "min_lstm"]


@pytest.mark.parametrize(("case", "kind"), [
    (Case("peephole_lstm"), "drop_connect"),
    (Case("full_gate_recurrence_lstm"), "zoneout"),
    (Case("gru"), "variational"),
    (Case("lstmp"), "variational"),
    (Case("conv_lstm"), "variational"),
    (Case("conv_lstm"), "zoneout"),
], ids=str)
def test_equal_keys_equal_noise_in_every_method(case, kind):
    p = problem(NOISY[kind](case.cell()))
    more = dict(initial_state=p.state, lengths=p.lengths, resets=p.resets)

    def loss(params, xs, key, method):
        state, ys = lj.unroll(p.cell, params, xs, key=key, method=method, **more)
        return (ys**3).sum() + sum(leaf.sum() for leaf in jax.tree.leaves(state)), ys

    run = jax.jit(jax.grad(loss, (0, 1), has_aux=True), static_argnums=3)
    scan, again, other = (run(p.params, p.xs, jax.random.key(k), "scan") for k in (1, 1, 2))
    assert_close(scan, again, 0)
    assert np.abs(scan[1] - other[1]).max() > 1e-3
    assert_close(run(p.params, p.xs, jax.random.key(1), "fused"), scan, 1e-11)


@pytest.mark.parametrize("kind", ["drop_connect", "variational"])
@pytest.mark.parametrize("case", HAVE_U, ids=str)
def test_without_a_key_dropout_is_off(case, kind):
    p = problem(case.cell())
    assert_close(unroll(NOISY[kind](p.cell), p.params, p.xs, initial_state=p.state),
                 unroll(p.cell, p.params, p.xs, initial_state=p.state))


@pytest.mark.parametrize("kind", NOISY)
def test_parameters_stay_those_of_the_cell(kind):
    plain, noisy = lj.lstm(5), NOISY[kind](lj.lstm(5))
    assert_close(noisy.init(KEY, 4), plain.init(KEY, 4), 0)
    assert (noisy.output_size, noisy.hidden_size) == (5, 5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", [Case("peephole_lstm"), Case("gru")], ids=str)
def test_zoneout_takes_the_expectation_at_evaluation(case, method):
    p = problem(case.cell())
    step = jax.jit(p.cell.step)
    state, outputs = p.state, []
    for x in p.xs:
        new, _ = step(p.params, state, x)
        state = jax.tree.map(lambda old, fresh: 0.3 * old + 0.7 * fresh, state, new)
        outputs.append(state.h)
    got, ys = unroll(lj.zoneout(p.cell, 0.3), p.params, p.xs, initial_state=p.state,
                     method=method)
    assert_close(fields(got), fields(state))
    assert_close(ys, np.stack(outputs))


def test_zoneout_keeps_units_at_random_with_a_key():
    cell = lj.lstm(40)
    p = problem(cell, rows=50, steps=2)
    noisy = lj.zoneout(cell, 0.3)
    first, _ = unroll(noisy, p.params, p.xs[:1], initial_state=p.state, key=KEY)
    new, _ = jax.jit(cell.step)(p.params, p.state, p.xs[0])
    masks = []
    for field in ("h", "c"):
        old, fresh, got = (np.asarray(getattr(s, field)) for s in (p.state, new, first))
        masks.append(got == old)
        assert_close(np.where(masks[-1], old, fresh), got)
        assert abs(masks[-1].mean() - 0.3) < 0.04
    assert abs((masks[0] & masks[1]).mean() - 0.09) < 0.03  # h and c independently

    _, ys = unroll(noisy, p.params, p.xs, initial_state=p.state, key=KEY)
    kept_again = np.isclose(ys[1], ys[0], atol=1e-12)
    kept_before = np.isclose(ys[0], p.state.h, atol=1e-12)
    assert abs((kept_again & kept_before).mean() - 0.09) < 0.03  # anew at each step


def test_zoneout_is_drawn_anew_at_each_of_many_steps():
    p = problem(lj.rnn(40), rows=5, steps=9)
    _, ys = unroll(lj.zoneout(p.cell, 0.5), p.params, p.xs, key=KEY)
    kept = np.isclose(ys[1:], ys[:-1], rtol=0, atol=1e-12)
    for one, other in itertools.combinations(kept, 2):
        assert 0.3 < (one == other).mean() < 0.7


def relu_layer(kernel, recurrent_kernel):
    cell = lj.rnn(len(kernel), activation="relu")
    zeros = jax.tree.map(np.zeros_like, random_params(cell, 0))
    return cell, zeros._replace(kernel=kernel, recurrent_kernel=recurrent_kernel)


def test_drop_connect_drops_entries_of_u_once_for_all_steps_and_rows():
    weights = 0.5 + np.random.default_rng(0).random((30, 30))
    cell, params = relu_layer(weights, weights)
    noisy = lj.drop_connect(cell, 0.25)
    rows = np.eye(30)
    through_w, _ = unroll(noisy, params, rows[None], key=KEY)
    assert_close(through_w.h, weights)

    start, silence = lj.RNNState(rows), np.zeros((2, 30, 30))
    _, ys = unroll(noisy, params, silence, initial_state=start, key=KEY)
    dropped = np.asarray(ys[0])  # one row for each row of U
    assert_close(dropped, np.where(dropped > 0, weights / 0.75, 0.0))
    assert abs((dropped > 0).mean() - 0.75) < 0.05
    assert_close(ys[1], dropped @ dropped)


def test_drop_connect_touches_only_the_recurrent_kernel():
    """With U = 0 nothing is left to drop, whatever the other kernels are."""
    cell = lj.full_gate_recurrence_lstm(5, peepholes="full")
    p = problem(cell)
    params = p.params._replace(recurrent_kernel=np.zeros((5, 20)))
    assert_close(
        unroll(lj.drop_connect(cell, 0.5), params, p.xs, initial_state=p.state, key=KEY),
        unroll(cell, params, p.xs, initial_state=p.state),
    )


def test_variational_dropout_drops_the_same_inputs_at_all_steps():
    cell, params = relu_layer(np.eye(30), np.zeros((30, 30)))
    xs = 0.5 + np.random.default_rng(0).random((5, 20, 30))
    noisy = lj.variational_dropout(cell, inputs=0.25, recurrent=0.0)
    kept = np.asarray(unroll(noisy, params, xs, key=KEY)[1]) / xs
    assert_close(kept, np.where(kept > 0, 1 / 0.75, 0.0))
    assert_close(kept, np.broadcast_to(kept[:1], kept.shape))
    assert abs((kept > 0).mean() - 0.75) < 0.05
    assert np.abs(kept[0, 0] - kept[0, 1]).max() > 1  # each row its own


def test_variational_dropout_drops_the_same_units_at_all_steps():
    cell, params = relu_layer(np.zeros((30, 30)), np.eye(30))
    start = lj.RNNState(0.5 + np.random.default_rng(0).random((20, 30)))
    noisy = lj.variational_dropout(cell, inputs=0.0, recurrent=0.25)
    _, ys = unroll(noisy, params, np.zeros((3, 20, 30)), initial_state=start, key=KEY)
    kept = np.asarray(ys[0]) / start.h
    assert_close(kept, np.where(kept > 0, 1 / 0.75, 0.0))
    assert abs((kept > 0).mean() - 0.75) < 0.05
    assert_close(ys[2], start.h * kept**3)
    assert np.abs(kept[0] - kept[1]).max() > 1


def test_noise_is_seeded_for_each_layer_of_a_stack():
    """Two equal layers of a stack do not share their masks."""
    cell, params = relu_layer(np.eye(30), np.zeros((30, 30)))
    noisy = lj.variational_dropout(cell, inputs=0.5, recurrent=0.0)
    xs = np.ones((1, 20, 30))
    _, ys = unroll(lj.stack(noisy, noisy), (params, params), xs, key=KEY)
    assert abs((np.asarray(ys) > 0).mean() - 0.25) < 0.06


def test_noise_composes():
    cell = lj.zoneout(lj.drop_connect(lj.lstm(5), 0.3), 0.2)
    p = problem(cell)
    once, again = (unroll(cell, p.params, p.xs, key=KEY)[1] for _ in range(2))
    quiet = unroll(cell, p.params, p.xs)[1]
    only_zoneout = unroll(lj.zoneout(lj.lstm(5), 0.2), p.params, p.xs)[1]
    assert np.array_equal(once, again) and np.abs(once - quiet).max() > 1e-3
    assert_close(quiet, only_zoneout)


def test_a_rate_of_zero_changes_nothing():
    p = problem(lj.lstm(5), steps=3)
    wanted = unroll(p.cell, p.params, p.xs)
    for noisy in (lj.zoneout(p.cell, 0.0), lj.drop_connect(p.cell, 0.0),
                  lj.variational_dropout(p.cell, inputs=0.0, recurrent=0.0)):
        assert_close(unroll(noisy, p.params, p.xs, key=KEY), wanted)


@pytest.mark.parametrize("kind", sorted(NOISY))
def test_chunks_do_not_change_the_noise(kind):
    p = problem(NOISY[kind](lj.lstm(5)), steps=7)
    whole = unroll(p.cell, p.params, p.xs, key=KEY)
    assert_close(unroll(p.cell, p.params, p.xs, key=KEY, remat=3), whole)
