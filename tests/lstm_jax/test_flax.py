"""The Flax modules hold the core's parameters and compute what it computes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

import lstm_jax as lj
import lstm_jax.linen
import lstm_jax.nnx
from tests.cases import Case, assert_close, problem, random_like

NETWORKS = {
    "cell": lambda: lj.full_gate_recurrence_lstm(5, peepholes="diagonal"),
    "without bias": lambda: lj.gru(5, use_bias=False),
    "stack": lambda: lj.stack(
        lj.bidirectional(lj.gru(5), lj.layer_norm_lstm(3)), lj.lstmp(4, projection_size=2)
    ),
}
CELLS = [Case("peephole_lstm"), Case("gru_reset_after"), Case("lstmp"), Case("conv_lstm")]
KEY = jax.random.key(3)


def batch():
    """Batch-major inputs with lengths and resets, and the same time-major."""
    p = problem(lj.rnn(1))
    ahead = {"lengths": p.lengths, "resets": p.resets}
    turned = {"lengths": p.lengths, "resets": p.resets.T}
    return p.xs, ahead, p.xs.swapaxes(0, 1), turned


def core_fields(network, params):
    """Nested dictionaries by field and layer name, written down independently of the modules."""
    if isinstance(network, lj.Cell):
        return {name: value for name, value in params._asdict().items() if value is not None}
    if hasattr(network, "layers"):
        names, parts = [f"layers_{k}" for k in range(len(network.layers))], network.layers
    else:
        names, parts = ["forward", "backward"], (network.forward, network.backward)
    return {n: core_fields(part, p) for n, part, p in zip(names, parts, params, strict=True)}


def put(module, tree):
    """Writes nested dictionaries into the nnx parameters of the same names."""
    for name, value in tree.items():
        if isinstance(value, dict):
            put(getattr(module, name), value)
        else:
            assert getattr(module, name)[...].shape == value.shape
            getattr(module, name)[...] = jnp.asarray(value)


@pytest.mark.parametrize("kind", NETWORKS)
def test_parameters_move_between_core_linen_and_nnx(kind):
    network = NETWORKS[kind]()
    time_major, ahead, xs, turned = batch()
    params = random_like(network.init(KEY, 4), 1)
    state, ys = lj.unroll(network, params, time_major, **ahead)
    wanted = state, ys.swapaxes(0, 1)

    variables = {"params": {"network": core_fields(network, params)}}
    linen = lstm_jax.linen.Recurrent(network)
    assert_close(linen.apply(variables, xs, **turned), wanted)
    fresh = linen.init(KEY, xs)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, variables)

    module = lstm_jax.nnx.Recurrent(network, 4, rngs=nnx.Rngs(0))
    put(module.network, core_fields(network, params))
    assert_close(module(xs, **turned), wanted)
    assert_close(module.network.to_core(network), params, 0)

    linen = lstm_jax.linen.Recurrent(network, time_major=True)
    assert_close(linen.apply(variables, time_major, **ahead), (state, ys))
    major = lstm_jax.nnx.Recurrent(network, 4, rngs=nnx.Rngs(0), time_major=True)
    put(major.network, core_fields(network, params))
    assert_close(major(time_major, **ahead), (state, ys))


def test_mask_reverse_and_initial_state_reach_the_core():
    p = problem(lj.lstm(5))
    more = {"initial_state": p.state, "reverse": True}
    state, ys = lj.unroll(p.cell, p.params, p.xs, mask=p.mask, **more)
    wanted, xs = (state, ys.swapaxes(0, 1)), p.xs.swapaxes(0, 1)
    linen = lstm_jax.linen.Recurrent(p.cell, method="scan", remat=2)
    variables = {"params": {"network": core_fields(p.cell, p.params)}}
    assert_close(linen.apply(variables, xs, mask=p.mask.T, **more), wanted)
    module = lstm_jax.nnx.Recurrent(p.cell, 4, rngs=nnx.Rngs(0), method="scan", remat=2)
    put(module.network, core_fields(p.cell, p.params))
    assert_close(module(xs, mask=p.mask.T, **more), wanted)


@pytest.mark.parametrize("case", CELLS, ids=str)
def test_cells_drop_into_flax_rnn(case):
    p = problem(case.cell())
    xs = p.xs.swapaxes(0, 1)
    state, ys = lj.unroll(p.cell, p.params, p.xs)
    wanted, fields = (state, ys.swapaxes(0, 1)), core_fields(p.cell, p.params)

    linen = nn.RNN(lstm_jax.linen.RNNCell(p.cell), return_carry=True)
    shapes = jax.eval_shape(linen.init, KEY, xs)
    variables = place(shapes, fields)
    assert_close(linen.apply(variables, xs), wanted)

    inside = lstm_jax.nnx.RNNCell(p.cell, 4, rngs=nnx.Rngs(0))
    put(inside.network, fields)
    assert_close(nnx.RNN(inside, return_carry=True)(xs), wanted)


def place(shapes, fields):
    """The variables of a module with one set of parameters, at the place that holds them."""
    if set(shapes) == set(fields):
        return fields
    ((name, inner),) = shapes.items()
    return {name: place(inner, fields)}


def test_cells_drop_into_flax_bidirectional():
    sides = problem(lj.gru(5), 1), problem(lj.lstm(3), 2)
    both = lj.bidirectional(sides[0].cell, sides[1].cell)
    xs = sides[0].xs.swapaxes(0, 1)
    lengths = np.array([6, 2, 4])
    _, wanted = lj.unroll(both, tuple(s.params for s in sides), sides[0].xs, lengths=lengths)
    happens = np.arange(6) < lengths[:, None]
    cells = [lstm_jax.nnx.RNNCell(side.cell, 4, rngs=nnx.Rngs(0)) for side in sides]
    for cell, side in zip(cells, sides, strict=True):
        put(cell.network, core_fields(side.cell, side.params))
    got = nnx.Bidirectional(*map(nnx.RNN, cells))(xs, seq_lengths=lengths)
    assert_close(got[happens], wanted.swapaxes(0, 1)[happens])

    linen = nn.Bidirectional(*(nn.RNN(lstm_jax.linen.RNNCell(side.cell)) for side in sides))
    shapes = jax.eval_shape(linen.init, KEY, xs)["params"]
    variables = {"params": {
        name: place(shapes[name], core_fields(side.cell, side.params))
        for name, side in zip(("forward_rnn", "backward_rnn"), sides, strict=True)
    }}
    got = linen.apply(variables, xs, seq_lengths=lengths)
    assert_close(got[happens], wanted.swapaxes(0, 1)[happens])


def test_dropout_needs_its_stream():
    network = lj.stack(lj.lstm(5), lj.zoneout(lj.lstm(5), 0.2), dropout=0.5)
    _, _, xs, _ = batch()
    linen = lstm_jax.linen.Recurrent(network)
    variables = linen.init(KEY, xs)

    def noisy(seed):
        rngs = {"dropout": jax.random.key(seed)}
        return linen.apply(variables, xs, deterministic=False, rngs=rngs)

    assert_close(noisy(1), noisy(1), 0)
    assert np.abs(noisy(1)[1] - noisy(2)[1]).max() > 1e-3
    quiet = linen.apply(variables, xs, rngs={"dropout": KEY})
    assert_close(quiet, linen.apply(variables, xs), 0)

    module = lstm_jax.nnx.Recurrent(network, 4, rngs=nnx.Rngs(0))
    one, again, other = (module(xs, rngs=nnx.Rngs(dropout=seed))[1] for seed in (1, 1, 2))
    assert np.array_equal(one, again) and np.abs(one - other).max() > 1e-3
    assert_close(module(xs), module(xs), 0)


def test_nnx_trains():
    """Gradients reach every parameter, through nnx's own transformations."""
    network = NETWORKS["stack"]()
    _, _, xs, turned = batch()
    module = lstm_jax.nnx.Recurrent(network, 4, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(module, optax.adam(0.01), wrt=nnx.Param)

    @nnx.jit
    def train(module, optimizer):
        def loss(module):
            return jnp.square(module(xs, **turned)[1] - 0.3).mean()

        value, gradient = nnx.value_and_grad(loss)(module)
        optimizer.update(module, gradient)
        return value, gradient

    first, gradient = train(module, optimizer)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))
    losses = [train(module, optimizer)[0] for _ in range(20)]
    assert losses[-1] < 0.8 * first


def test_step_decodes_as_the_sequence_does():
    network = lj.stack(lj.lstm(5), lj.gru(3))
    _, _, xs, _ = batch()
    module = lstm_jax.nnx.Recurrent(network, 4, rngs=nnx.Rngs(0))
    linen = lstm_jax.linen.Recurrent(network)
    params = module.network.to_core(network)
    variables = {"params": {"network": core_fields(network, params)}}
    _, wanted = module(xs)
    one = two = network.initial_state(3)
    for t in range(2):
        one, y = module.step(one, xs[:, t])
        two, z = linen.apply(variables, two, xs[:, t], method="step")
        assert_close(y, wanted[:, t])
        assert_close(z, wanted[:, t])
