"""`heads=`: the same as one matrix that is zero between heads, at the cost of the blocks alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lstm_jax as lj
from lstm_jax import linen
from lstm_jax import nnx as lj_nnx
from lstm_jax.types import HeadProduct
from tests import oracle
from tests.cases import METHODS, Case, assert_close, problem
from tests.lstm_jax.test_chunks import jaxprs_in
from tests.lstm_jax.test_gradients import gradient_of, loss_of

DENSE = [name for name in lj.CELLS if name not in (*oracle.WITHOUT_U, "conv_lstm")]
KEY = jax.random.key(0)


NEEDED = {"lstmp": {"projection_size": 6}}  # the default of five units a head is no multiple of 2


def with_heads(name, heads=2, **more):
    return Case(name, {"heads": heads, **NEEDED.get(name, {})}).cell(**more)


def without_heads(name):
    """The cell of the same sizes with one matrix."""
    return lj.CELLS[name](with_heads(name).hidden_size, **NEEDED.get(name, {}))


def entries(name, kernel, of):
    """The entries of a dense matrix where it holds those of a kernel of heads, in its shape."""
    numbered = 1 + np.arange(kernel.size).reshape(kernel.shape)
    places = oracle.block_diagonal(numbered, len(oracle.BLOCKS[name])).astype(int)
    found = np.zeros(kernel.size)
    found[places[places > 0] - 1] = np.asarray(of)[places > 0]
    return found.reshape(kernel.shape)


@pytest.mark.parametrize("name", DENSE)
def test_a_cell_with_heads_is_the_dense_cell_with_zeros_between_heads(name):
    p = problem(with_heads(name))
    kernel = p.params.recurrent_kernel
    matrix = oracle.block_diagonal(kernel, len(oracle.BLOCKS[name]))
    assert 0.45 < np.mean(matrix == 0) < 0.55
    dense = p._replace(cell=without_heads(name), params=p.params._replace(recurrent_kernel=matrix))
    loss, variables, masks = loss_of(dense, "scan", "gaps reversed")
    (value, outputs), (params, xs, state) = gradient_of(loss)(variables, masks)
    blocks = entries(name, kernel, params.recurrent_kernel)
    wanted = (value, outputs), (params._replace(recurrent_kernel=blocks), xs, state)
    for method in METHODS:
        loss, variables, masks = loss_of(p, method, "gaps reversed")
        assert_close(gradient_of(loss)(variables, masks), wanted, 1e-11)


@pytest.mark.parametrize("axes", [(), (3,), (2, 3)])
def test_the_product_is_that_of_its_equation(axes):
    heads, width, blocks, units = 3, 2, 4, 5
    rng = np.random.default_rng(1)
    a = rng.standard_normal((*axes, heads * width))
    kernel = rng.standard_normal((heads, width, blocks * units))
    z = np.zeros((*axes, blocks, heads, units))
    for g, head, j in np.ndindex(blocks, heads, units):
        for k in range(width):
            z[..., g, head, j] += a[..., head * width + k] * kernel[head, k, g * units + j]
    assert_close(HeadProduct(units)(a, kernel), z.reshape(*axes, -1))


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_reset_after"])
def test_units_see_the_state_of_their_own_head_alone(name):
    p = problem(with_heads(name, heads=3))

    def step(h):
        return p.cell.step(p.params, p.state._replace(h=h), p.xs[0])[0].h

    slopes = np.asarray(jax.jit(jax.jacobian(step))(p.state.h))
    slopes = np.stack([slopes[b, :, b] for b in range(3)]).reshape(3, 3, 5, 3, 5)
    for one, other in np.ndindex(3, 3):
        between = np.abs(slopes[:, one, :, other])
        assert between.min() > 0 if one == other else between.max() == 0


def products(jaxpr, loop=False):
    """(whether in a loop, shapes of both operands and of the result) of every product."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield loop, *(v.aval.shape for v in (*equation.invars, *equation.outvars))
        inside = loop or equation.primitive.name == "scan"
        for inner in jaxprs_in(equation):
            yield from products(inner, inside)


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_reset_after"])
def test_loops_multiply_blocks_alone_and_dU_is_one_product(name):
    p = problem(with_heads(name, heads=2, hidden_size=8), steps=7)
    loss, variables, masks = loss_of(p, "fused")
    found = list(products(jax.make_jaxpr(jax.grad(loss, has_aux=True))(variables, masks).jaxpr))
    kernels = [right for loop, _, right, _ in found if loop]
    assert kernels and all(len(shape) == 3 and shape[0] == 2 for shape in kernels)
    columns = {"lstm": [32], "gru": [8, 16], "gru_reset_after": [24]}[name]
    assert sorted({shape[2] for shape in kernels} & {*columns}) == columns
    assert {(2, n, 8) for n in columns} <= {*kernels}, "dz Uᵀ multiplies by the blocks of Uᵀ"
    steps = [out for loop, left, right, out in found
             if not loop and left[1:3] == right[1:3] == (7, 3) and len(left) == 4]  # fmt: skip
    assert sorted(steps) == [(2, n, 8) for n in columns], "dU sums over steps and rows at once"


def test_each_head_is_initialized_on_its_own():
    kernel = np.asarray(lj.lstm(12, heads=3).init(KEY, 4).recurrent_kernel)
    blocks = np.stack(np.split(kernel, 4, axis=2))
    assert blocks.shape == (4, 3, 4, 4)
    for u in blocks.reshape(-1, 4, 4):
        assert_close(u.T @ u, np.eye(4), 1e-6)
    assert np.abs(blocks[0, 0] - blocks[0, 1]).max() > 0.1
    assert np.abs(blocks[0, 0] - blocks[1, 0]).max() > 0.1
    projected = lj.lstmp(12, heads=3, projection_size=6).init(KEY, 4)
    assert projected.recurrent_kernel.shape == (3, 2, 16) and projected.projection.shape == (12, 6)
    widths = []

    def own(key, shape, dtype):
        widths.append(shape)
        return jnp.full(shape, len(widths), dtype)

    kernel = lj.gru(6, heads=2, recurrent_init=own).init(KEY, 4).recurrent_kernel
    assert widths == [(3, 3)] * 6
    assert_close(kernel[:, 0], np.repeat([[1, 2, 3], [4, 5, 6]], 3, axis=1))


def test_one_head_is_the_cell_without():
    assert lj.lstm(6, heads=1) == lj.lstm(6) and lj.lstm(6, heads=2) != lj.lstm(6)
    assert lj.lstm(6, heads=2) == lj.lstm(6, heads=2) != lj.lstm(6, heads=3)
    assert lj.lstm(6, heads=1).init(KEY, 4).recurrent_kernel.shape == (6, 24)


@pytest.mark.parametrize(
    "noise",
    [
        lambda cell: lj.drop_connect(cell, 0.4),
        lambda cell: lj.variational_dropout(cell, inputs=0.2, recurrent=0.4),
        lambda cell: lj.zoneout(cell, 0.3),
    ],
)
def test_noise(noise):
    """It is there, and the same with every method."""
    p = problem(noise(with_heads("gru")))
    runs = [
        lj.unroll(p.cell, p.params, p.xs, key=jax.random.key(seed), method=method)[1]
        for seed, method in ((1, "scan"), (1, "fused"), (2, "scan"))
    ]
    assert_close(runs[0], runs[1], 1e-11)
    assert np.abs(runs[0] - runs[2]).max() > 0.01


def test_dropped_connections_are_those_of_blocks():
    cell = lj.drop_connect(lj.rnn(6, heads=2), 0.5)
    params = jax.tree.map(np.ones_like, cell.init(KEY, 4))
    kernel = cell.prepare(params, KEY, cell.initial_state(1)).recurrent_kernel
    assert kernel.shape == (2, 3, 3) and set(np.unique(kernel)) == {0.0, 2.0}


def test_flax_layers():
    cell, xs = with_heads("lstm"), np.random.default_rng(2).standard_normal((3, 6, 4))
    layer = linen.Recurrent(cell)
    variables = layer.init(KEY, xs)
    params = lj_nnx.from_dict(cell, variables["params"]["network"])
    assert params.recurrent_kernel.shape == (2, 5, 20)
    wanted = lj.unroll(cell, params, xs.swapaxes(0, 1))[1].swapaxes(0, 1)
    assert_close(layer.apply(variables, xs)[1], wanted)
    module = lj_nnx.Recurrent(cell, 4, rngs=nnx.Rngs(0))
    core = module.network.to_core(cell)
    assert core.recurrent_kernel.shape == (2, 5, 20)
    assert_close(module(xs)[1], lj.unroll(cell, core, xs.swapaxes(0, 1))[1].swapaxes(0, 1))
