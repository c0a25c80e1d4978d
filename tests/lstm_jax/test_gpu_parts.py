"""What the kernels of method="gpu" are made of: plans, packed arrays, traced steps, obstacles."""

import dataclasses
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop import quantize
from tests.cases import INPUTS, random_params

if jax.__version_info__ < (0, 10):
    pytest.skip("the kernels need jax 0.10 or newer", allow_module_level=True)

from lstm_jax.recurrence.gpu import device, obstacles, packing, plan

CHIP = device.HOPPER


def of_lstm(width):
    """Forwards one operand block to four results, backwards four to one."""
    return [plan.Product(1, 4, width)], [plan.Product(4, 1, width)]


@pytest.mark.parametrize(
    ("hidden_size", "heads", "batch", "itemsize", "wanted"),
    [
        (64, 1, 8, 2, ("block", 1, 64)),
        (128, 1, 16, 2, ("block", 1, 128)),
        (128, 1, 16, 4, ("cluster", 2, 64)),
        (256, 1, 16, 2, ("cluster", 4, 64)),
        (384, 1, 16, 2, ("cluster", 6, 64)),
        (768, 1, 16, 2, ("grid", 48, 16)),
        (768, 12, 16, 2, ("block", 1, 64)),
        (100, 1, 3, 2, ("block", 1, 128)),
    ],
)
def test_plans(hidden_size, heads, batch, itemsize, wanted):
    width = plan.padded(hidden_size // heads, itemsize)
    made = plan.make_plan(of_lstm(width)[0], hidden_size, heads, batch, itemsize, CHIP)
    assert (made.kind, made.slices, made.units) == wanted
    assert made.tiles * made.batch_tile >= batch > (made.tiles - 1) * made.batch_tile


@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize("batch", [1, 8, 20, 128])
@pytest.mark.parametrize("hidden_size", [2, 100, 128, 300, 512, 768, 1024, 1500, 4096])
def test_every_plan_fits_the_chip(hidden_size, batch, itemsize):
    """The sums are done here once more, by hand."""
    width = plan.padded(hidden_size, itemsize)
    for (product,) in of_lstm(width):
        made = plan.make_plan([product], hidden_size, 1, batch, itemsize, CHIP)
        if made is None:
            assert hidden_size * itemsize > 1500 or batch > 20
            continue
        assert made.slices * made.units == made.width == width
        assert made.units % 16 == 0 and width % made.chunk == 0
        assert made.kind != "grid" or made.slices * made.tiles <= CHIP.multiprocessors
        assert made.kind != "cluster" or made.slices <= CHIP.cluster
        rows, columns = math.ceil(4 * made.units / 64) * 64, product.inner * made.batch_tile
        used = (rows * width + columns * made.chunk) * itemsize + rows * columns * 4
        assert used <= CHIP.shared_memory and columns <= 256


@pytest.mark.parametrize(("multiprocessors", "slices"), [(132, 48), (40, 24), (20, None)])
def test_a_grid_runs_all_at_once(multiprocessors, slices):
    chip = CHIP._replace(multiprocessors=multiprocessors)
    made = plan.make_plan(of_lstm(768)[0], 768, 1, 8, 2, chip)
    assert (made and made.slices) == slices


LAYOUT = plan.Plan("grid", slices=2, units=16, batch_tile=8, tiles=2, heads=3, width=32, chunk=32)


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_packing_and_back(dtype):
    v = (np.random.default_rng(0).standard_normal((4, 11, 2 * 15)) > 0).astype(dtype)
    packed = packing.pack(jnp.asarray(v), LAYOUT, 15)
    assert packed.shape == (4, 16, 2, 3, 32)
    assert np.array_equal(packed[1, 7, 1, 2, :5], v[1, 7, 25:30])
    assert np.array_equal(packing.unpack(packed, 11, 30, 15), v)


class Blocks(NamedTuple):
    """A product by heads, written as loops over blocks of numbers."""

    inner: int
    outer: int
    units: int
    kernel: np.ndarray

    def __call__(self, a):
        """[inner, heads, units] to [outer, heads, units]."""
        wanted = np.zeros((self.outer, *a.shape[1:]))
        for head, matrix in enumerate(self.kernel):
            for q in range(self.inner):
                for p in range(self.outer):
                    rows, columns = (slice(k * self.units, (k + 1) * self.units) for k in (q, p))
                    wanted[p, head] += a[q, head] @ matrix[rows, columns]
        return wanted


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("inner", "outer"), [(1, 4), (3, 3), (4, 1)])
def test_a_packed_matrix_gives_the_product(inner, outer, transposed):
    """Each thread block's rows times each block of the operand; of the result the diagonal."""
    heads, units = 3, 5
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((heads, inner * units, outer * units))
    stored = kernel.swapaxes(1, 2) if transposed else kernel
    product = packing.product_of(jnp.asarray(stored, jnp.float32), heads * units, transposed)
    assert product == plan.Product(inner, outer, 32)
    packed = np.asarray(packing.pack_matrix(jnp.asarray(stored), product, LAYOUT, transposed))
    a = rng.standard_normal((inner, heads, units))
    padded = np.pad(a, [(0, 0), (0, 0), (0, 27)])
    got = np.zeros((outer, heads, 32))
    for head, part in np.ndindex(heads, 2):
        rows = packed[head, part][: inner * outer * 16].reshape(inner, outer, 16, 32)
        here = slice(16 * part, 16 * part + 16)
        got[:, head, here] = np.einsum("qpuk,qk->pu", rows, padded[:, head])
    np.testing.assert_allclose(got[..., :units], Blocks(inner, outer, units, kernel)(a), atol=1e-5)
    assert not got[..., units:].any()


def clause(cell, batch=3, steps=4):
    """The obstacle for a cell, as if on a GPU."""
    params = jax.tree.map(partial(jnp.asarray, dtype=cell.dtype), random_params(cell, 0))
    state = cell.initial_state(batch)
    shape = (steps, *state.h.shape[:-1], INPUTS)
    xs = jax.ShapeDtypeStruct(shape, cell.compute_dtype)
    inputs = jax.eval_shape(cell.inputs, params, xs, None)
    return obstacles.obstacle(cell, params, state, inputs)


@pytest.fixture
def interpreted():
    with device.interpreted():
        yield


def sums_over_units(params, state, x, affine):
    h = jnp.tanh(affine(x, state.h, params.recurrent_kernel))
    return lj.RNNState(h / h.sum(-1, keepdims=True)), {}


def scaled_by_sequence(params, state, x, affine):
    z = affine(x, state.h, params.recurrent_kernel)
    return lj.RNNState(jnp.tanh(z) * jnp.arange(z.shape[0])[:, None].astype(z.dtype)), {}


def every_other(params, state, x, affine):
    z = affine(x, state.h, params.recurrent_kernel)
    return lj.RNNState(jnp.tanh(jnp.concatenate([z[:, ::2], z[:, 1::2]], -1))), {}


def neighbour_in_the_batch(params, state, x, affine):
    z = affine(x, state.h, params.recurrent_kernel)
    return lj.RNNState(jnp.tanh(jnp.concatenate([z[1:], z[:1]]))), {}


def sorts(params, state, x, affine):
    return lj.RNNState(jnp.sort(affine(x, state.h, params.recurrent_kernel), -1)), {}


def cuts_a_block(params, state, x, affine):
    z = jnp.tanh(affine(x, state.h, params.recurrent_kernel))
    return lj.RNNState(jnp.concatenate([z[:, 2:], z[:, :2]], -1)), {}


def plain(params, state, x, affine):
    return lj.RNNState(jnp.tanh(affine(x, state.h, params.recurrent_kernel))), {}


def doubled(a, kernel):
    return 2 * (a @ kernel)


def own(equations):
    """A cell of these equations."""
    like = lj.rnn(5, dtype="float32")
    return lj.Cell("own", 5, like.init, like.initial_state, equations, dtype=jnp.float32)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (lambda: lj.lstm(5, dtype="float16"), "bfloat16 and float32, not in float16"),
        (lambda: lj.lstm(1, dtype="float32"), "2 units or more"),
        (lambda: lj.conv_lstm(5, image_size=(3, 2), dtype="float32"), "vectors"),
        (lambda: lj.min_gru(5, dtype="float32"), "no product with the state"),
        (lambda: lj.layer_norm_lstm(5, dtype="float32"), "'reduce_sum', which is not known to be"),
        (lambda: own(sums_over_units), "'reduce_sum', which is not known to be elementwise"),
        (lambda: own(sorts), "'sort', which is not known to be elementwise"),
        (lambda: own(scaled_by_sequence), "tell the sequences of a batch apart"),
        (lambda: own(every_other), "'slice' beyond whole gate blocks of a sequence"),
        (lambda: own(neighbour_in_the_batch), "'slice' beyond whole gate blocks of a sequence"),
        (lambda: dataclasses.replace(own(plain), product=doubled), "another than that of matrices"),
        (lambda: own(cuts_a_block), "cut a gate block, at unit 2"),
        (lambda: lj.lstmp(5, projection_size=7, dtype="float32"), "matrices of [5, 7, 20]"),
        (lambda: lj.lstmp(6, projection_size=2, heads=2, dtype="float32"), "heads and some have"),
        (lambda: lj.lstm(4096, dtype="float32"), "hidden size 4096 with a batch of 3 in float32"),
    ],
)
def test_obstacles_of_a_cell(interpreted, cell, words):
    assert words in clause(cell())


@pytest.mark.parametrize("mode", ["weights", "dynamic"])
def test_quantized_kernels_are_an_obstacle(interpreted, mode):
    cell = lj.lstm(5, dtype="float32")
    params = quantize(cell, jax.tree.map(jnp.float32, random_params(cell, 0)), mode)
    xs = np.zeros((4, 2, INPUTS), np.float32)
    with pytest.raises(ValueError, match="cannot run lstm: its kernels are quantized"):
        lj.unroll(cell, params, xs, method="gpu")


def test_obstacles_of_precision(interpreted):
    cell = lj.lstm(5, dtype="float32")
    assert clause(cell) is None
    with jax.default_matmul_precision("highest"):
        assert "in TF32, and jax_default_matmul_precision is highest" in clause(cell)
        assert clause(lj.lstm(5, dtype="bfloat16")) is None


class Gpu(NamedTuple):
    compute_capability: str
    device_kind: str = "NVIDIA Something"


def test_obstacles_of_a_machine(monkeypatch):
    cell = lj.lstm(5, dtype="float32")
    assert clause(cell) == "its kernels need a GPU, and JAX runs on cpu"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda *_: [Gpu("8.0")])
    assert "Hopper (compute capability 9.0), and NVIDIA Something has 8.0" in clause(cell)
    monkeypatch.setattr(obstacles, "JAX_NEEDED", (99, 0))
    assert clause(cell).startswith("its kernels need jax 0.10 or newer, and this is ")


def test_a_request_on_the_cpu_says_so():
    cell = lj.lstm(7, dtype="float32")
    xs = np.zeros((4, 2, INPUTS))
    with pytest.raises(ValueError, match='method "gpu" cannot run lstm: its kernels need a GPU'):
        lj.unroll(cell, random_params(cell, 0), xs, method="gpu")
