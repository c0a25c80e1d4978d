"""Gradients of "fused" against autodiff through "scan" and against finite differences."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import (
    DEFAULTS,
    FEW,
    METHODS,
    VARIANTS,
    Case,
    arguments,
    assert_close,
    expected,
    fields,
    problem,
    random_like,
)


def weighted(state, ys):
    """A random weighting of every output and every number of the final state."""
    leaves = [ys, *jax.tree.leaves(state)]
    rng = np.random.default_rng(99)
    return sum(jnp.vdot(rng.standard_normal(leaf.shape), leaf) for leaf in leaves)


def loss_of(p, method, setting="plain", **more):
    """loss((params, xs, initial state), masks) -> the loss and (state, ys)."""
    arrays, reverse = arguments(p, setting)

    def loss(variables, masks):
        params, xs, initial_state = variables
        state, ys = lj.unroll(p.cell, params, xs, initial_state=initial_state, **masks,
                              reverse=reverse, method=method, **more)
        return weighted(state, ys), (state, ys)

    masks = {name: value for name, value in arrays.items() if name != "initial_state"}
    return loss, (p.params, p.xs, p.state), masks


def gradient_of(loss):
    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def happening(p, setting):
    arrays, _ = arguments(p, setting)
    if "mask" in arrays:
        return arrays["mask"]
    return np.arange(len(p.xs))[:, None] < arrays["lengths"]


@pytest.mark.parametrize(
    ("case", "setting"),
    [*product(DEFAULTS, ["lengths", "gaps reversed"]), *product(VARIANTS, ["gaps reversed"])],
    ids=str,
)
def test_gradients(case, setting):
    """Fused equals scan, finite differences, and does not see what the padding holds."""
    p = problem(case.cell())
    (loss, variables, masks), happens = loss_of(p, "fused", setting), happening(p, setting)
    fused, scan = gradient_of(loss), gradient_of(loss_of(p, "scan", setting)[0])

    (value, outputs), gradient = fused(variables, masks)
    assert_close(((value, outputs), gradient), scan(variables, masks), 1e-10)
    state, ys, _ = expected(case, p, setting)
    assert_close(fields(outputs[0]), state)
    assert_close(outputs[1], ys)

    assert_slope(lambda variables: fused(variables, masks)[0][0], variables, gradient)

    valid = np.expand_dims(happens, tuple(range(2, p.xs.ndim)))
    spoiled = (p.params, np.where(valid, p.xs, np.nan), p.state)
    for differentiate in (fused, scan):
        assert_close(differentiate(spoiled, masks), ((value, outputs), gradient), 1e-10)
    assert np.array_equal(gradient[1][~happens], np.zeros_like(gradient[1][~happens]))


def assert_slope(value, variables, gradient, step=1e-5):
    """The gradient along a random direction is the central difference."""
    direction = random_like(jax.tree.map(np.zeros_like, variables), seed=7, scale=1)
    ahead, behind = (
        value(jax.tree.map(lambda v, d, s=sign: v + s * step * d, variables, direction))
        for sign in (1, -1)
    )
    slope = sum(map(np.vdot, jax.tree.leaves(gradient), jax.tree.leaves(direction)))
    assert_close(slope, np.asarray((ahead - behind) / (2 * step)), 1e-6)


def second_gradient_of(p, method):
    """The gradient of the gradient's slope along a random direction, with lengths."""
    direction = random_like(jax.tree.map(np.zeros_like, (p.params, p.xs, p.state)), seed=8)
    loss, variables, masks = loss_of(p, method, "lengths")

    def slope(variables):
        gradient = jax.grad(loss, has_aux=True)(variables, masks)[0]
        return sum(map(jnp.vdot, jax.tree.leaves(gradient), jax.tree.leaves(direction)))

    return jax.jit(jax.grad(slope))(variables)


@pytest.mark.parametrize(
    "case", FEW + [Case("rnn"), Case("layer_norm_lstm"), Case("conv_lstm")], ids=str
)
def test_gradients_of_gradients(case):
    p = problem(case.cell(), steps=3)
    assert_close(second_gradient_of(p, "fused"), second_gradient_of(p, "scan"), 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_without_steps_the_gradient_is_that_of_the_initial_state(method):
    p = problem(lj.lstm(5), steps=1)
    loss, (params, xs, state), _ = loss_of(p, method)
    _, gradient = gradient_of(loss)((params, xs[:0], state), {})
    rng = np.random.default_rng(99)
    rng.standard_normal((0, 3, 5))
    assert_close(gradient[2], type(state)(*(rng.standard_normal((3, 5)) for _ in state)))
    assert_close(gradient[0], jax.tree.map(np.zeros_like, params))


@pytest.mark.parametrize("case", [Case("lstm"), Case("gru")], ids=str)
def test_two_thousand_steps(case):
    p = problem(case.cell(), steps=2000, rows=1)
    results = [gradient_of(loss_of(p, method)[0])((p.params, p.xs, p.state), {})
               for method in METHODS]
    assert_close(results[0], results[1], 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_reset_stops_the_gradient(method):
    p = problem(lj.full_gate_recurrence_lstm(5))
    starts = np.zeros((6, 3), bool)
    starts[2] = True

    def last(xs, state):
        return lj.unroll(p.cell, p.params, xs, initial_state=state, resets=starts,
                         method=method)[1][-1].sum()

    to_xs, to_state = jax.jit(jax.grad(last, (0, 1)))(p.xs, p.state)
    assert np.abs(to_xs[2:]).max(axis=(1, 2)).min() > 1e-6
    assert np.array_equal(to_xs[:2], np.zeros((2, 3, 4)))
    assert_close(to_state, jax.tree.map(np.zeros_like, p.state), 0)


@pytest.mark.parametrize("case", FEW + [Case("conv_lstm")], ids=str)
def test_rematerialised_chunks_change_nothing(case):
    """Seven steps in chunks of three: the last one is not full."""
    p = problem(case.cell(), steps=7)
    plain, variables, masks = loss_of(p, "scan", "gaps reversed")
    wanted = gradient_of(plain)(variables, masks)
    for method in METHODS:
        chunked, *_ = loss_of(p, method, "gaps reversed", remat=3)
        assert_close(gradient_of(chunked)(variables, masks), wanted, 1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_rematerialisation_saves_memory(method):
    """Four times as long takes about twice the memory, and far less than without chunks."""
    cell = lj.lstm(16)
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), 2))

    def bytes_needed(steps, remat):
        def final(params, xs):
            state, _ = lj.unroll(cell, params, xs, method=method, remat=remat)
            return state.h.sum()

        xs = jax.ShapeDtypeStruct((steps, 8, 2), jnp.float64)
        compiled = jax.jit(jax.grad(final)).lower(params, xs).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    short, long = bytes_needed(2_500, 50), bytes_needed(10_000, 100)
    assert long < 3 * short
    assert 4 * long < bytes_needed(10_000, None)
