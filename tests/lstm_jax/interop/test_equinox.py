"""The same weights in Equinox."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop.equinox import from_equinox
from tests.cases import assert_close

eqx = pytest.importorskip("equinox", reason="Equinox is not installed")

XS = np.random.default_rng(0).standard_normal((6, 3, 4))


def with_random_biases(cell, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda v: jnp.asarray(rng.standard_normal(v.shape)) if eqx.is_array(v) else v, cell
    )


def theirs(cell, xs):
    """Outputs of a cell of Equinox over [T, B, D], and its gradients."""
    fresh = jnp.zeros((xs.shape[1], cell.hidden_size))
    fresh = (fresh, fresh) if isinstance(cell, eqx.nn.LSTMCell) else fresh

    def body(state, x):
        state = jax.vmap(cell)(x, state)
        return state, jax.tree.leaves(state)[0]

    return jax.lax.scan(body, fresh, xs)[1]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell"])
def test_values_and_gradients(kind, use_bias):
    """The conversion is linear: their gradients, converted, are ours."""
    with jax.numpy_rank_promotion("allow"):
        cell = getattr(eqx.nn, kind)(4, 5, use_bias=use_bias, key=jax.random.key(1))
        cell = with_random_biases(cell, 2)
        weight = np.random.default_rng(3).standard_normal((6, 3, 5))
        ys = theirs(cell, XS)
        gradient = eqx.filter_grad(lambda cell: jnp.vdot(weight, theirs(cell, XS)))(cell)
    network, params = from_equinox(cell)
    assert_close(lj.unroll(network, params, XS)[1], ys)
    ours = jax.grad(lambda p: jnp.vdot(weight, lj.unroll(network, p, XS)[1]))(params)
    assert_close(ours, from_equinox(gradient)[1], 1e-10)


def test_a_list_is_a_stack():
    with jax.numpy_rank_promotion("allow"):
        cells = [
            with_random_biases(eqx.nn.GRUCell(4, 5, key=jax.random.key(4)), 5),
            with_random_biases(eqx.nn.LSTMCell(5, 3, key=jax.random.key(6)), 7),
        ]
        ys = theirs(cells[1], theirs(cells[0], XS))
    assert_close(lj.unroll(*from_equinox(cells), XS)[1], ys)


def test_others_are_refused():
    with pytest.raises(TypeError, match=r"source is a Linear; give eqx.nn.LSTMCell"):
        from_equinox(eqx.nn.Linear(2, 2, key=jax.random.key(0)))
