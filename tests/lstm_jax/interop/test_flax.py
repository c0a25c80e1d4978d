"""The same weights in Flax's own cells, Linen and NNX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import lstm_jax as lj
from lstm_jax import linen as our_linen
from lstm_jax import nnx as our_nnx
from lstm_jax.interop.flax import from_flax, to_flax
from tests.cases import assert_close, random_params

T, B, D, H = 6, 3, 4, 5
XS = np.random.default_rng(0).standard_normal((B, T, D))
LENGTHS = np.array([6, 2, 4])
MAJOR = np.swapaxes(XS, 0, 1)
DOUBLE = {"param_dtype": jnp.float64}
LINEN = {
    "lstm": lambda: nn.LSTMCell(H, **DOUBLE),
    "optimized lstm": lambda: nn.OptimizedLSTMCell(H, **DOUBLE),
    "gru": lambda: nn.GRUCell(H, **DOUBLE),
    "mgu": lambda: nn.MGUCell(H, **DOUBLE),
    "simple": lambda: nn.SimpleCell(H, **DOUBLE),
    "relu": lambda: nn.SimpleCell(H, activation_fn=nn.relu, **DOUBLE),
}
NNX = {
    "lstm": lambda: nnx.LSTMCell(D, H, rngs=nnx.Rngs(0), **DOUBLE),
    "optimized lstm": lambda: nnx.OptimizedLSTMCell(D, H, rngs=nnx.Rngs(0), **DOUBLE),
    "gru": lambda: nnx.GRUCell(D, H, rngs=nnx.Rngs(0), **DOUBLE),
    "simple": lambda: nnx.SimpleCell(D, H, rngs=nnx.Rngs(0), dtype=jnp.float64, **DOUBLE),
    "relu": lambda: nnx.SimpleCell(
        D, H, activation_fn=nnx.relu, rngs=nnx.Rngs(0), dtype=jnp.float64, **DOUBLE
    ),
}


@pytest.fixture(autouse=True)
def lenient():
    """Flax's own layers promote ranks."""
    with jax.numpy_rank_promotion("allow"):
        yield


def random_variables(module, seed=1, xs=XS):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), xs))
    return jax.tree.map(lambda v: jnp.asarray(rng.standard_normal(v.shape)), shapes)


def randomize(module, seed=1):
    rng = np.random.default_rng(seed)
    graph, state = nnx.split(module)
    fill = lambda v: jnp.asarray(rng.standard_normal(v.shape)) if is_weight(v) else v  # noqa: E731
    return nnx.merge(graph, jax.tree.map(fill, state))


def is_weight(v):
    return jnp.issubdtype(v.dtype, jnp.floating)


def swap(ys):
    return np.swapaxes(ys, 0, 1)


@pytest.mark.parametrize("name", LINEN)
def test_linen_values_states_and_gradients(name):
    """The conversion is linear: their gradients, converted, are ours."""
    module = nn.RNN(LINEN[name](), return_carry=True)
    variables = random_variables(module)
    weight = np.random.default_rng(2).standard_normal((B, T, H))

    def theirs(v, xs):
        carry, ys = module.apply(v, xs, seq_lengths=LENGTHS)
        valid = (np.arange(T) < LENGTHS[:, None])[..., None]
        return jnp.sum(jnp.where(valid, weight * ys, 0)), (carry, jnp.where(valid, ys, 0))

    found = jax.jit(jax.grad(theirs, (0, 1), has_aux=True))(variables, XS)
    (gradient, to_xs), (carry, ys) = found
    network, params = from_flax(module, variables)

    def ours(p, xs):
        state, ys = lj.unroll(network, p, xs, lengths=LENGTHS)
        return jnp.vdot(swap(weight), ys), (state, ys)

    found = jax.jit(jax.grad(ours, (0, 1), has_aux=True))(params, MAJOR)
    (own, our_to_xs), (state, our_ys) = found
    assert_close(our_ys, swap(ys), 1e-11)
    assert_close(np.asarray(our_to_xs), swap(to_xs), 1e-10)
    assert_close(tuple(state)[::-1], carry if "lstm" in name else (carry,), 1e-11)
    if name != "mgu":  # whose one gate is two here
        assert_close(own, from_flax(module, gradient)[1], 1e-10)


@pytest.mark.parametrize("name", NNX)
def test_nnx_values(name):
    cell = randomize(NNX[name]())
    carry, ys = nnx.RNN(cell, rngs=nnx.Rngs(0), return_carry=True)(jnp.asarray(XS))
    for module in (cell, nnx.RNN(cell, rngs=nnx.Rngs(0))):
        state, our_ys = lj.unroll(*from_flax(module), MAJOR)
        assert_close(our_ys, swap(ys), 1e-11)
        assert_close(tuple(state)[::-1], carry if "lstm" in name else (carry,), 1e-11)


@pytest.mark.parametrize("keep_order", [False, True])
def test_backwards(keep_order):
    options = {"reverse": True, "keep_order": keep_order}
    module = nn.RNN(LINEN["gru"](), **options)
    variables = random_variables(module)
    run = nnx.RNN(randomize(NNX["lstm"]()), rngs=nnx.Rngs(0), **options)
    for got, wanted in (
        (from_flax(module, variables), module.apply(variables, XS)),
        (from_flax(run), run(jnp.asarray(XS))),
    ):
        ys = lj.unroll(*got, MAJOR, reverse=True)[1]
        assert_close(ys if keep_order else ys[::-1], swap(wanted), 1e-11)


@pytest.mark.parametrize("make", [
    lambda: nn.OptimizedLSTMCell(H, dtype=jnp.bfloat16),
    lambda: nnx.GRUCell(D, H, dtype=jnp.bfloat16, param_dtype=jnp.float32, rngs=nnx.Rngs(0)),
], ids=["linen", "nnx"])  # fmt: skip
def test_half_precision(make):
    module = make()
    variables = None
    if isinstance(module, nn.Module):
        variables = module.init(jax.random.key(0), (jnp.zeros((B, H)),) * 2, jnp.zeros((B, D)))
    network, params = from_flax(module, variables)
    assert network.dtype == jnp.bfloat16
    assert {v.dtype for v in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


def test_bidirectional():
    module = nn.Bidirectional(nn.RNN(LINEN["lstm"]()), nn.RNN(LINEN["gru"]()))
    variables = random_variables(module)
    network, params = from_flax(module, variables)
    assert_close(lj.unroll(network, params, MAJOR)[1], swap(module.apply(variables, XS)), 1e-11)
    runs = [nnx.RNN(randomize(NNX[name](), k), rngs=nnx.Rngs(0))
            for k, name in enumerate(("gru", "lstm"))]  # fmt: skip
    both = nnx.Bidirectional(*runs, rngs=nnx.Rngs(0))
    assert_close(lj.unroll(*from_flax(both), MAJOR)[1], swap(both(jnp.asarray(XS))), 1e-11)


def networks():
    return {
        "rnn": lj.rnn(H, activation="relu"),
        "no bias": lj.lstm(H, use_bias=False),
        "gru": lj.gru_reset_after(H),
        "heads": lj.lstm(6, heads=3),
        "gru without bias": lj.gru_reset_after(H, use_bias=False),
        "pair": lj.bidirectional(lj.lstm(H), lj.rnn(3)),
        "deep": lj.stack(
            lj.bidirectional(lj.lstm(2), lj.lstm(2)), lj.drop_connect(lj.lstm(3), 0.5)
        ),
    }


@pytest.mark.parametrize("name", networks())
def test_to_linen_and_back(name):
    network = networks()[name]
    params = random_params(network, 3)
    module, variables = to_flax(network, params)
    wanted = lj.unroll(network, params, MAJOR)[1]
    assert_close(swap(module.apply(variables, XS)), wanted, 1e-11)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), XS))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda v: v.shape, shapes)
    assert_close(lj.unroll(*from_flax(module, variables), MAJOR)[1], wanted, 1e-11)


@pytest.mark.parametrize("name", sorted(networks().keys() - {"gru"}))
def test_to_nnx(name):
    network = networks()[name]
    params = random_params(network, 3)
    module = to_flax(network, params, api="nnx")
    assert_close(swap(module(jnp.asarray(XS))), lj.unroll(network, params, MAJOR)[1], 1e-11)


def test_our_own_modules():
    layer = our_linen.Recurrent(lj.stack(lj.gru(3), lj.lstm(2)))
    variables = random_variables(layer)
    got = lj.unroll(*from_flax(layer, variables), MAJOR)[1]
    assert_close(got, swap(layer.apply(variables, XS)[1]))
    module = our_nnx.Recurrent(lj.peephole_lstm(3), D, rngs=nnx.Rngs(0))
    assert_close(lj.unroll(*from_flax(module), MAJOR)[1], swap(module(XS)[1]))


def test_what_no_cell_here_does_is_refused():
    residual = nn.SimpleCell(H, residual=True)
    with pytest.raises(ValueError, match="residual=True"):
        from_flax(residual, {"params": {}})
    with pytest.raises(ValueError, match="gate_fn or activation_fn of its own; lstm has sigmoid"):
        from_flax(nn.LSTMCell(H, gate_fn=nn.hard_sigmoid), {"params": {}})
    with pytest.raises(ValueError, match="activation_fn of its own; rnn has tanh or relu"):
        from_flax(nnx.SimpleCell(D, H, activation_fn=nnx.gelu, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="reset_gate=False, and all GRUs here have"):
        from_flax(nn.MGUCell(H, reset_gate=False), {"params": {}})
    with pytest.raises(TypeError, match="ConvLSTMCell, which does not say how large its frames"):
        from_flax(nn.ConvLSTMCell(H, (3, 3)), {"params": {}})
    for kind, run in ((nn, nn.RNN(nn.GRUCell(H))), (nnx, nnx.RNN(NNX["gru"](), rngs=nnx.Rngs(0)))):
        with pytest.raises(ValueError, match="merge_fn of its own"):
            from_flax(kind.Bidirectional(run, run, merge_fn=jnp.add), {"params": {}})
    with pytest.raises(TypeError, match="module is a Linear"):
        from_flax(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="variables lack 'if'; give those of the RNN"):
        from_flax(nn.RNN(nn.LSTMCell(H)), {"params": {"cell": {"ii": {"kernel": XS[0]}}}})
    with pytest.raises(ValueError, match="variables are missing; give those of the RNN"):
        from_flax(nn.RNN(nn.GRUCell(H)))


def test_what_flax_cannot_say_is_refused():
    gru = lj.gru_reset_after(H)
    with pytest.raises(ValueError, match="recurrent_bias is not zero; give api='linen'"):
        to_flax(gru, random_params(gru, 4), api="nnx")
    with pytest.raises(ValueError, match="Flax has no gru; it can express rnn, lstm, gru_reset"):
        to_flax(lj.gru(H), random_params(lj.gru(H), 4))
    with pytest.raises(ValueError, match="api is 'haiku'; give 'linen' or 'nnx'"):
        to_flax(lj.lstm(H), random_params(lj.lstm(H), 4), api="haiku")
