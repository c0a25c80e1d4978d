"""stack: deep networks, dropout between layers, residual connections."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import METHODS, assert_close, problem, random_like, random_params, unroll

KEY = jax.random.key(3)


def three_layers(**options):
    return lj.stack(lj.lstm(5), lj.lstmp(6, projection_size=5), lj.gru(5), **options)


def by_hand(deep_layers, params, xs, states, residual=False, **more):
    finals, carried = [], xs
    for cell, layer, state in zip(deep_layers, params, states, strict=True):
        final, ys = unroll(cell, layer, carried, initial_state=state, **more)
        carried = ys + carried if residual and ys.shape == carried.shape else ys
        finals.append(final)
    return tuple(finals), carried


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_layers_feed_each_other(method, reverse):
    p, deep = problem(lj.rnn(1)), three_layers()
    params = random_params(deep, 1)
    states = random_like(deep.initial_state(3), 2)
    more = dict(lengths=p.lengths, resets=p.resets, reverse=reverse, method=method)
    got = unroll(deep, params, p.xs, initial_state=states, **more)
    layers = (lj.lstm(5), lj.lstmp(6, projection_size=5), lj.gru(5))
    assert_close(got, by_hand(layers, params, p.xs, states, **more))
    assert deep.output_size == 5


@pytest.mark.parametrize("method", METHODS)
def test_layers_of_frames_feed_each_other(method):
    """A convolutional LSTM below a bidirectional pair of them."""
    low, high = (lj.conv_lstm(size, image_size=(3, 2)) for size in (5, 2))
    p, deep = problem(low), lj.stack(low, lj.bidirectional(high, high))
    params = random_params(deep, 1)
    more = dict(lengths=p.lengths, resets=p.resets, method=method)
    state, ys = unroll(deep, params, p.xs, **more)
    below, between = unroll(low, params[0], p.xs, **more)
    above, wanted = unroll(lj.bidirectional(high, high), params[1], between, **more)
    assert_close((state, ys), ((below, above), wanted))
    assert deep.output_size == ys.shape[-1] == 4


def test_gradients_of_a_stack_are_the_same_in_both_methods():
    p, deep = problem(lj.rnn(1)), lj.stack(lj.lstm(5), lj.bidirectional(lj.gru(5), lj.gru(5)))
    params = random_params(deep, 1)

    def gradient(method):
        def loss(params, xs):
            state, ys = unroll(deep, params, xs, lengths=p.lengths, resets=p.resets,
                               method=method)
            return jnp.sum(jnp.sin(ys)) + sum(jnp.sum(leaf) for leaf in jax.tree.leaves(state))

        return jax.jit(jax.grad(loss, (0, 1)))(params, p.xs)

    assert_close(gradient("fused"), gradient("scan"), 1e-10)


def test_one_step_of_a_stack():
    p, deep = problem(lj.rnn(1)), three_layers()
    params, states = random_params(deep, 1), random_like(deep.initial_state(3), 2)
    wanted_state, wanted = unroll(deep, params, p.xs[:1], initial_state=states)
    state, y = jax.jit(deep.step)(params, states, p.xs[0])
    assert_close((state, y), (wanted_state, wanted[0]))


def test_residual_adds_a_layers_input_where_sizes_agree():
    p = problem(lj.rnn(1))
    layers = lj.lstm(5), lj.gru(5), lj.gru(5)
    deep = lj.stack(*layers, residual=True)
    params = random_params(deep, 1)
    states = deep.initial_state(3)
    got = unroll(deep, params, p.xs)
    assert_close(got, by_hand(layers, params, p.xs, states, residual=True))


def test_residual_keeps_the_padding_at_zero():
    p = problem(lj.rnn(1))
    deep = lj.stack(lj.lstm(4), lj.gru(4), residual=True)
    padded = np.where((np.arange(6)[:, None] < p.lengths)[..., None], p.xs, np.nan)
    _, ys = unroll(deep, random_params(deep, 1), padded, lengths=p.lengths)
    past = np.arange(6)[:, None] >= p.lengths
    assert past.any() and np.array_equal(np.asarray(ys)[past], np.zeros((past.sum(), 4)))


def passing_on(size):
    """A relu layer that hands its (positive) input on."""
    zeros = jax.tree.map(np.zeros_like, random_params(lj.rnn(size), 1))
    return zeros._replace(kernel=np.eye(size))


def test_dropout_is_between_layers_and_only_with_a_key():
    xs = 0.5 + np.random.default_rng(0).random((40, 8, 25))
    deep = lj.stack(lj.rnn(25, activation="relu"), lj.rnn(25, activation="relu"), dropout=0.25)
    params = (passing_on(25), passing_on(25))
    (first, _), quiet = unroll(deep, params, xs)
    assert_close(quiet, xs)
    (first, _), ys = unroll(deep, params, xs, key=KEY)
    assert_close(first.h, xs[-1])  # not before the first layer
    kept = np.asarray(ys) / xs  # and not after the last: 0.75^2 would be kept
    assert_close(np.where(kept > 0, 1 / 0.75, 0.0), kept)
    assert abs((kept > 0).mean() - 0.75) < 0.02


def test_equal_keys_give_equal_noise():
    p, deep = problem(lj.rnn(1)), three_layers(dropout=0.5)
    params = random_params(deep, 1)
    one, again, other = (unroll(deep, params, p.xs, key=jax.random.key(k))[1] for k in (1, 1, 2))
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


def test_two_gaps_get_different_noise():
    """Each gap between layers draws a mask of its own."""
    xs = 0.5 + np.random.default_rng(0).random((20, 4, 10))
    layers = [lj.rnn(10, activation="relu")] * 3
    params = (passing_on(10),) * 3
    _, ys = unroll(lj.stack(*layers, dropout=0.5), params, xs, key=KEY)
    assert abs((np.asarray(ys) > 0).mean() - 0.25) < 0.06


def test_parameters_and_states_are_tuples_with_an_entry_a_layer():
    deep = three_layers()
    params = deep.init(KEY, 4)
    assert [layer.kernel.shape for layer in params] == [(4, 20), (5, 24), (5, 15)]
    assert [state.h.shape for state in deep.initial_state(2)] == [(2, 5), (2, 5), (2, 5)]
    assert deep.initial_state(2)[1].c.shape == (2, 6)
