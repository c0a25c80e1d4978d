"""One step of every cell against the equations; parameters and how they start."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import lstm_jax as lj
from tests import oracle
from tests.cases import CASES, DEFAULTS, Case, assert_close, fields, problem

D, H, P = 4, 5, 3
BASE = {"kernel": (D, 4 * H), "recurrent_kernel": (H, 4 * H), "bias": (4 * H,)}
THREE = {"kernel": (D, 3 * H), "recurrent_kernel": (H, 3 * H), "bias": (3 * H,)}
LAYER_NORM = {
    f"{part}_{kind}": (H,) if part == "cell" else (4 * H,)
    for part in ("input", "recurrent", "cell")
    for kind in ("scale", "offset")
}
SHAPES = {
    "rnn": {"kernel": (D, H), "recurrent_kernel": (H, H), "bias": (H,)},
    "lstm": BASE,
    "peephole_lstm": {**BASE, "peephole": (3, H)},
    "coupled_lstm": THREE,
    "gru": THREE,
    "gru_reset_after": {**THREE, "recurrent_bias": (H,)},
    "lstmp": {
        "kernel": (D, 4 * H),
        "recurrent_kernel": (2, 4 * H),
        "bias": (4 * H,),
        "projection": (H, 2),
    },
    "no_forget_lstm": THREE,
    "no_input_gate_lstm": THREE,
    "no_output_gate_lstm": THREE,
    "no_input_activation_lstm": BASE,
    "no_output_activation_lstm": BASE,
    "full_gate_recurrence_lstm": {**BASE, "gate_recurrent_kernel": (3 * H, 3 * H)},
    "layer_norm_lstm": {**BASE, **LAYER_NORM},
    "min_lstm": {"kernel": (D, 3 * H), "bias": (3 * H,)},
    "min_gru": {"kernel": (D, 2 * H), "bias": (2 * H,)},
    "conv_lstm": {
        "kernel": (3, 3, D, 4 * H),
        "recurrent_kernel": (3, 3, H, 4 * H),
        "bias": (4 * H,),
        "peephole": (3, H),
    },
}
GATED = [name for name, blocks in oracle.BLOCKS.items() if "f" in blocks and name != "min_lstm"]
KEY = jax.random.key(0)


def block(name, params, letter):
    """The part of the bias that belongs to a gate."""
    return np.asarray(oracle.by_letter(name, params.bias)[letter])


def test_every_cell_of_the_registry_is_under_test():
    assert set(lj.CELLS) == {case.name for case in DEFAULTS}
    assert all(lj.CELLS[name] is getattr(lj, name) for name in lj.CELLS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_step_equals_the_equations(case):
    p = problem(case.cell())
    state, y = jax.jit(p.cell.step)(p.params, p.state, p.xs[0])
    rows = [
        oracle.step(
            case.name,
            fields(p.params),
            {field: value[b] for field, value in fields(p.state).items()},
            p.xs[0, b],
            case.options,
        )[0]
        for b in range(3)
    ]
    wanted = {field: np.stack([row[field] for row in rows]) for field in rows[0]}
    assert_close(fields(state), wanted)
    assert_close(y, wanted["h"])


@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_fields_and_shapes(case):
    cell = case.cell()
    params, state = fields(cell.init(KEY, D)), fields(cell.initial_state(7))
    assert {name: value.shape for name, value in params.items()} == SHAPES[case.name]
    space = cell.initial_state(1).h.shape[1:-1]
    fresh = oracle.fresh_state(case.name, params, space)
    assert_close(state, {field: np.zeros((7, *v.shape)) for field, v in fresh.items()})
    assert (cell.name, cell.hidden_size) == (case.name, H)
    assert (cell.output_size, space) == (fresh["h"].shape[-1], (3, 2)[: len(space)])


def test_fields_that_are_off_are_none():
    off = lj.lstm(H, use_bias=False).init(KEY, D)
    assert off.bias is None and off.peephole is None
    reset_after = lj.gru_reset_after(H, use_bias=False).init(KEY, D)
    assert reset_after.bias is None and reset_after.recurrent_bias is None


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("lstm", 3),
        ("coupled_lstm", 2),
        ("no_forget_lstm", 2),
        ("no_input_gate_lstm", 2),
        ("no_output_gate_lstm", 2),
        ("full_gate_recurrence_lstm", 3),
        ("lstmp", 3),
    ],
)
def test_peepholes_have_a_row_for_each_gate(name, rows):
    assert lj.CELLS[name](H, peepholes="diagonal").init(KEY, D).peephole.shape == (rows, H)
    assert lj.CELLS[name](H, peepholes="full").init(KEY, D).peephole.shape == (rows, H, H)
    assert lj.CELLS[name](H).init(KEY, D).peephole is None


@pytest.mark.parametrize("name", GATED)
def test_forget_bias(name):
    case = Case(name)
    for value, cell in (1.0, case.cell(H)), (-2.5, case.cell(H, forget_bias=-2.5)):
        params = cell.init(KEY, D)
        for letter in oracle.BLOCKS[name]:
            wanted = np.full(H, value if letter == "f" else 0.0)
            assert_close(block(name, params, letter), wanted)


@pytest.mark.parametrize("name", ["gru", "gru_reset_after", "min_gru"])
def test_update_bias(name):
    for value, cell in (0.0, lj.CELLS[name](H)), (1.5, lj.CELLS[name](H, update_bias=1.5)):
        params = cell.init(KEY, D)
        for letter in oracle.BLOCKS[name]:
            assert_close(block(name, params, letter), np.full(H, value if letter == "z" else 0.0))


def test_input_bias_shuts_the_input_gates_at_first():
    for value, cell in (0.0, lj.no_forget_lstm(H)), (-3.0, lj.no_forget_lstm(H, input_bias=-3.0)):
        params = cell.init(KEY, D)
        for letter in "igo":
            wanted = np.full(H, value if letter == "i" else 0.0)
            assert_close(block("no_forget_lstm", params, letter), wanted)
    params = lj.no_forget_lstm(400, input_bias=lj.chrono(70)).init(KEY, 2)
    assert_spread(np.exp(-block("no_forget_lstm", params, "i")), 70)


def assert_spread(timescales, longest):
    """As many units at each time scale between 1 and longest - 1, linearly."""
    assert timescales.min() >= 1 - 1e-9 and timescales.max() <= longest - 1 + 1e-9
    uniform = stats.uniform(1, longest - 2)
    assert stats.kstest(timescales, uniform.cdf).pvalue > 0.01


@pytest.mark.parametrize("name", GATED)
def test_chrono_spreads_the_forget_gates_over_time_scales(name):
    cell = Case(name).cell(400, forget_bias=lj.chrono(70), recurrent_init="small_normal")
    params = cell.init(KEY, 2)
    assert_spread(np.exp(block(name, params, "f")), 70)
    if "i" in oracle.BLOCKS[name]:
        assert_close(block(name, params, "i"), -block(name, params, "f"))
    for letter in set(oracle.BLOCKS[name]) - set("if"):
        assert_close(block(name, params, letter), np.zeros(400))


@pytest.mark.parametrize(("name", "sign"), [("gru", -1), ("gru_reset_after", 1), ("min_gru", -1)])
def test_chrono_makes_gated_units_remember(name, sign):
    """The old state's weight is 1 - z in `gru` and `min_gru`, z in `gru_reset_after`."""
    cell = lj.CELLS[name](400, update_bias=lj.chrono(70))
    assert_spread(np.exp(sign * block(name, cell.init(KEY, 2), "z")), 70)


def test_chrono_makes_min_lstm_remember():
    params = lj.min_lstm(400, update_bias=lj.chrono(70)).init(KEY, 2)
    f, i = (1 / (1 + np.exp(-block("min_lstm", params, letter))) for letter in "fi")
    kept = f / (f + i)
    assert kept.min() >= 0.5 - 1e-9 and kept.mean() > 0.9 and kept.std() > 0.005


def test_recurrent_kernels_are_orthogonal_block_by_block():
    for cell in (lj.lstm(16), lj.gru(16)):
        blocks = np.split(np.asarray(cell.init(KEY, D).recurrent_kernel), cell_blocks(cell), axis=1)
        for u in blocks:
            assert_close(u.T @ u, np.eye(16), 1e-6)
        assert np.abs(blocks[0] - blocks[1]).max() > 0.1
    projected = lj.lstmp(16, projection_size=6).init(KEY, D).recurrent_kernel
    for u in np.split(np.asarray(projected), 4, axis=1):
        assert_close(u @ u.T, np.eye(6), 1e-6)


def cell_blocks(cell):
    return len(oracle.BLOCKS[cell.name])


def test_input_kernels_are_glorot_uniform_block_by_block():
    kernel = np.asarray(lj.lstm(60).init(KEY, 40).kernel)
    bound = np.sqrt(6 / (40 + 60))
    assert np.abs(kernel).max() <= bound
    assert stats.kstest(kernel.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01


def test_small_normal_and_initialisers_of_ones_own():
    small = np.asarray(lj.gru(40, recurrent_init="small_normal").init(KEY, 3).recurrent_kernel)
    assert 0 < small.std() <= 0.11 and stats.normaltest(small.ravel()).pvalue > 0.01
    cell = lj.lstm(6, kernel_init=jax.nn.initializers.constant(0.25))
    assert_close(cell.init(KEY, 3).kernel, np.full((3, 24), 0.25))


@pytest.mark.parametrize("case", DEFAULTS, ids=str)
def test_init_is_decided_by_the_key(case):
    cell = case.cell()
    one, again, other = (cell.init(jax.random.key(k), D) for k in (1, 1, 2))
    assert_close(one, again, 0)
    assert np.abs(one.kernel - other.kernel).max() > 0.1


class LeakyParams(NamedTuple):
    kernel: jax.Array
    recurrent_kernel: jax.Array
    leak: jax.Array


def leaky_cell(size):
    """A cell of the user's own: h' = leak h + (1 - leak) tanh(xW + hU)."""

    def equations(params, state, x, affine):
        n = jnp.tanh(affine(x, state.h, params.recurrent_kernel))
        leak = jnp.broadcast_to(params.leak, n.shape)
        return lj.RNNState(h=leak * state.h + (1 - leak) * n), {"n": n}

    def init(key, input_size):
        one, two = jax.random.split(key)
        return LeakyParams(
            jax.random.normal(one, (input_size, size)) / 4,
            jax.random.normal(two, (size, size)) / 4,
            jnp.full(size, 0.75),
        )

    return lj.Cell(
        "leaky", size, init, lambda rows: lj.RNNState(jnp.zeros((rows, size))), equations
    )


def test_a_cell_of_ones_own_gets_everything():
    p = problem(leaky_cell(H))
    more = dict(initial_state=p.state, lengths=p.lengths, resets=p.resets)
    kernel, recurrent_kernel, leak = map(np.asarray, p.params)
    h, outputs = np.asarray(p.state.h), np.zeros((6, 3, H))
    for t in range(6):
        h = np.where(p.resets[t][:, None] & (t < p.lengths)[:, None], 0, h)
        n = np.tanh(p.xs[t] @ kernel + h @ recurrent_kernel)
        happens = (t < p.lengths)[:, None]
        h = np.where(happens, leak * h + (1 - leak) * n, h)
        outputs[t] = np.where(happens, h, 0)

    def loss(params, xs, method):
        state, ys = lj.unroll(p.cell, params, xs, **more, method=method)
        return jnp.sum(jnp.sin(ys)) + jnp.sum(state.h), (state.h, ys)

    gradients, differentiate = {}, jax.jit(jax.grad(loss, (0, 1), has_aux=True), static_argnums=2)
    for method in ("scan", "fused"):
        gradients[method], (last, ys) = differentiate(p.params, p.xs, method)
        assert_close((last, ys), (h, outputs))
    assert_close(gradients["fused"], gradients["scan"], 1e-11)
    assert np.abs(gradients["fused"][0].leak).min() > 1e-4
    assert "n" in lj.gates(p.cell, p.params, p.xs)


def tied_cell():
    """One matrix used in every way there is: twice, transposed, scaled, and elementwise."""

    def equations(params, state, x, affine):
        u = params.recurrent_kernel
        first = jnp.tanh(affine(x, state.h, u))
        second = jnp.tanh(affine(first, state.h * first, u.T) + x)
        scaled = u / jnp.sqrt(jnp.sum(u * u))
        diagonal = jnp.broadcast_to(jnp.diag(u), first.shape)
        h = jnp.tanh(affine(x, second, scaled)) * diagonal + 0.5 * state.h
        return lj.RNNState(h=h), {"first": first}

    def init(key, input_size):
        kernel = jax.random.normal(key, (input_size, H))
        return LeakyParams(kernel, jnp.eye(H), jnp.ones(()))

    return lj.Cell("tied", H, init, lambda rows: lj.RNNState(jnp.zeros((rows, H))), equations)


def test_fused_finds_every_use_of_a_matrix():
    p = problem(tied_cell())
    more = dict(initial_state=p.state, lengths=p.lengths, resets=p.resets)

    def gradient(method):
        def loss(params, xs):
            state, ys = lj.unroll(p.cell, params, xs, **more, method=method)
            return jnp.sum(jnp.sin(ys)) + jnp.sum(state.h)

        return jax.jit(jax.grad(loss, (0, 1)))(p.params, p.xs)

    fused = gradient("fused")
    assert_close(fused, gradient("scan"), 1e-11)
    assert_close(fused[0].leak, np.zeros(()))


def test_a_bound_on_the_cell_state_may_be_an_integer_of_any_size():
    p = problem(lj.lstm(5))

    def states(bound):
        return lj.gates(lj.lstm(5, cell_clip=bound), p.params, 50 * p.xs)["c"]

    np.testing.assert_array_equal(states(2**70), states(None))
    np.testing.assert_array_equal(states(1), np.clip(states(1), -1, 1))
    assert (states(1) != states(None)).any()
