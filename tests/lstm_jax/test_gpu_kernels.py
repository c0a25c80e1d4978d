"""The kernels of method="gpu" against "scan", in interpret mode on the CPU."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import (
    CASES,
    SETTINGS,
    Case,
    arguments,
    assert_close,
    problem,
    random_like,
    random_params,
)
from tests.lstm_jax.test_gradients import gradient_of, loss_of

if jax.__version_info__ < (0, 10):
    pytest.skip("the kernels need jax 0.10 or newer", allow_module_level=True)

from lstm_jax.recurrence.gpu import device, plan, sweeps

UNFIT = ("layer_norm_lstm", "min_lstm", "min_gru", "conv_lstm")
SHARED = ("lstmp", "full_gate_recurrence_lstm", "peephole_lstm")  # a matrix that heads share
KERNELED = [
    case for case in CASES
    if case.name not in UNFIT and not ("heads" in case.options and case.name in SHARED)
]
ON_GPU = jax.default_backend() == "gpu"
SEVERAL = [Case("lstm"), Case("gru"), Case("full_gate_recurrence_lstm")]
CLUSTERS = Path(__file__).parent / "gpu_clusters.py"


@pytest.fixture(autouse=True)
def interpreted():
    """On a GPU the kernels run on it."""
    with contextlib.nullcontext() if ON_GPU else device.interpreted():
        yield


@pytest.fixture
def plans(monkeypatch):
    """Every plan that is made."""
    made = []

    def recorded(*arguments):
        made.append(plan.make_plan(*arguments))
        return made[-1]

    monkeypatch.setattr(sweeps, "make_plan", recorded)
    return made


def same_as_scan(cell, setting="gaps reversed", tolerance=1e-5, **size):
    """Values, final states and all gradients."""
    p = problem(cell, **size)
    loss, variables, masks = loss_of(p, "gpu", setting)
    wanted = gradient_of(loss_of(p, "scan", setting)[0])(variables, masks)
    assert_close(gradient_of(loss)(variables, masks), wanted, 2e-2 if ON_GPU else tolerance)


@pytest.mark.parametrize("case", KERNELED, ids=str)
def test_equals_scan(case):
    same_as_scan(case.cell(dtype="float32"))


@pytest.mark.parametrize("setting", SETTINGS)
def test_masks_resets_and_directions(setting):
    same_as_scan(lj.peephole_lstm(6, dtype="float32"), setting)


def test_padding_is_not_seen():
    p = problem(lj.gru(6, dtype="float32"))
    loss, (params, xs, state), masks = loss_of(p, "gpu", "lengths")
    padded = np.where(np.arange(len(xs))[:, None, None] < p.lengths[:, None], xs, np.nan)
    run = gradient_of(loss)
    assert_close(run((params, padded, state), masks), run((params, xs, state), masks), 0)


def test_several_tiles_of_a_batch(plans):
    same_as_scan(lj.lstm(6, dtype="float32"), rows=19)
    assert {(made.tiles, made.batch_tile) for made in plans} == {(3, 8)}


def test_heads_run_side_by_side(plans):
    same_as_scan(lj.lstm(12, heads=3, dtype="float32"), rows=9)
    assert {(made.kind, made.heads, made.tiles) for made in plans} == {("block", 3, 2)}


def test_a_deep_network_of_both_directions():
    pair = lj.bidirectional(lj.rnn(5, dtype="float32"), lj.lstm(4, dtype="float32"))
    network = lj.stack(lj.gru(5, dtype="float32"), pair, dropout=0.3)
    params, xs = random_params(network, 1), problem(lj.gru(5)).xs
    lengths, key = np.array([6, 0, 3]), jax.random.key(1)

    def run(method):
        return lj.unroll(network, params, xs, lengths=lengths, key=key, method=method)

    assert_close(run("gpu"), run("scan"), 1e-5)


class WarmParams(NamedTuple):
    """Those of a cell of one's own, a scalar among them."""

    kernel: jax.Array
    recurrent_kernel: jax.Array
    warmth: jax.Array


def warm(params, state, x, affine):
    """Functions that the kernels know in other words, and a state that is passed around."""
    a, b, c = jnp.split(affine(x, state.h, params.recurrent_kernel), 3, axis=-1)
    gate = jax.nn.sigmoid(a + params.warmth)
    size = jnp.sqrt(jax.nn.softplus(b)) + jnp.expm1(-jnp.abs(c))
    c = jnp.where(c > 0, state.c * gate, -state.c) + params.warmth
    return lj.LSTMState(gate * jax.nn.silu(size) + jnp.square(c), c), {}


def own_cell(dtype):
    def init(key, inputs):
        del key
        shapes = ((inputs, 15), (5, 15), ())
        return WarmParams(*(jnp.zeros(shape, dtype) for shape in shapes))

    def fresh(batch):
        return lj.LSTMState(*(jnp.full((batch, 5), 0.1, dtype) for _ in range(2)))

    return lj.Cell("warm", 5, init, fresh, warm, dtype=jnp.dtype(dtype))


def test_a_cell_of_ones_own():
    same_as_scan(own_cell("float32"))


@pytest.mark.parametrize("noise", [lambda c: lj.zoneout(c, 0.3), lambda c: lj.drop_connect(c, 0.3)])
def test_noise(noise):
    cell = noise(lj.lstm(5, dtype="float32"))
    p = problem(cell)

    def run(method):
        return lj.unroll(cell, p.params, p.xs, key=jax.random.key(7), method=method)

    assert_close(run("gpu"), run("scan"), 1e-5)


@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_bfloat16_is_as_near_to_the_truth_as_scan(case):
    """The kernel rounds operands and what it writes, scan every number on the way."""
    p = problem(case.cell(), steps=12)
    arrays, reverse = arguments(p, "gaps reversed")
    names = {name: v for name, v in arrays.items() if name != "initial_state"}

    def outputs(dtype, method):
        cell = case.cell(dtype=dtype)
        _, ys = lj.unroll(cell, p.params, p.xs, **names, reverse=reverse, method=method)
        return np.asarray(ys, np.float64)

    truth = outputs("float64", "scan")
    errors = [np.abs(outputs("bfloat16", m) - truth).mean() for m in ("gpu", "scan")]
    assert 1e-6 < errors[0] < 1.2 * errors[1] < 0.05


def test_gradients_in_bfloat16():
    p = problem(lj.peephole_lstm(6, dtype="bfloat16"))
    (loss, variables, masks), exact = loss_of(p, "gpu", "lengths"), lj.peephole_lstm(6)
    wanted = gradient_of(loss_of(p._replace(cell=exact), "scan", "lengths")[0])(variables, masks)
    got = gradient_of(loss)(variables, masks)
    assert_close(jax.tree.map(lambda v: np.asarray(v, np.float64), got), wanted, 0.03)


def test_gradients_of_gradients():
    p = problem(lj.peephole_lstm(4, dtype="float32"), steps=3)
    direction = random_like(jax.tree.map(np.zeros_like, (p.params, p.xs, p.state)), 5)

    def second(method):
        loss, variables, masks = loss_of(p, method, "gaps reversed")

        def slope(variables):
            gradient = jax.grad(loss, has_aux=True)(variables, masks)[0]
            return sum(map(jnp.vdot, jax.tree.leaves(gradient), jax.tree.leaves(direction)))

        return jax.jit(jax.grad(slope))(variables)

    assert_close(second("gpu"), second("scan"), 1e-4)


def test_members_run_in_turn():
    """vmap over parameters: no two kernels at once, which might wait for each other's blocks."""
    cell = lj.lstm(5, dtype="float32")
    params = jax.tree.map(lambda *v: np.stack(v), *(random_params(cell, k) for k in range(3)))
    xs = np.random.default_rng(0).standard_normal((4, 2, 4))

    def run(method):
        return jax.vmap(lambda params: lj.unroll(cell, params, xs, method=method)[1])(params)

    assert_close(run("gpu"), run("scan"), 1e-5)


@pytest.mark.skipif(
    jax.__version_info__ < (0, 12) and not ON_GPU,
    reason="interpret mode has clusters from jax 0.12 on",
)
def test_clusters():
    """Those of `gpu_clusters.py`, in a process of its own.

    Blocks that wait for one another hold a thread of XLA each, of which it has as many as there are
    cores, or as NPROC says.
    """
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CLUSTERS)]
    done = subprocess.run(
        line, env=os.environ | {"NPROC": "16"}, capture_output=True, text=True, timeout=300,
        cwd=CLUSTERS.parents[2], check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "6 passed" in done.stdout


HOPPER = device.Device(device.HOPPER, False)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (lambda dtype: lj.lstm(64, dtype=dtype), "block"),
        (lambda dtype: lj.lstm(768, heads=12, dtype=dtype), "block"),
        (lambda dtype: lj.rnn(100, activation="relu", dtype=dtype), "block"),
        (lambda dtype: lj.lstm(256, cell_clip=3.0, dtype=dtype), "cluster"),
        (lambda dtype: lj.gru(256, dtype=dtype), "cluster"),
        (lambda dtype: lj.lstmp(256, dtype=dtype), "cluster"),
        (lambda dtype: lj.peephole_lstm(768, dtype=dtype), "grid"),
        (lambda dtype: lj.coupled_lstm(768, dtype=dtype), "grid"),
        (lambda dtype: own_cell(dtype), "block"),
        (lambda dtype: lj.zoneout(lj.gru_reset_after(768, dtype=dtype), 0.1), "grid"),
    ],
)
def test_lowers_for_hopper(monkeypatch, plans, single_precision, cell, kind, dtype):
    """Mosaic GPU takes the kernels, with their layouts and barriers; what runs it is a GPU."""
    monkeypatch.setattr(sweeps, "current", lambda: HOPPER)
    network, steps = cell(dtype), 3
    params = jax.eval_shape(lambda: network.init(jax.random.key(0), 8))
    xs = jax.ShapeDtypeStruct((steps, 16, 8), jnp.dtype(dtype))
    mask = jax.ShapeDtypeStruct((steps, 16), bool)

    def loss(params, xs, mask):
        _, ys = lj.unroll(network, params, xs, mask=mask, resets=mask, method="gpu")
        return ys.astype(jnp.float32).sum()

    gradient = jax.jit(jax.grad(loss, (0, 1)))
    text = gradient.trace(params, xs, mask).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("custom_call @mosaic_gpu") == 2
    assert {made.kind for made in plans} == {kind}

