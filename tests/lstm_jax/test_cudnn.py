"""`method="cudnn"` without a GPU: JAX's own reference stands in for the library's one call.

The reference reads the same packed weights. What cuDNN leaves open is at its worst here: one
length out of 1..T spoils the whole batch, and the gradients of padding are NaN.
"""

import inspect
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.experimental import rnn

import lstm_jax as lj
from lstm_jax.recurrence import cudnn
from lstm_jax.recurrence.unroll import compiled
from tests.cases import HIDDEN, INPUTS, assert_close, problem, random_params
from tests.lstm_jax.test_gradients import weighted

pytestmark = pytest.mark.usefixtures("single_precision")
STEPS, ROWS = 7, 5


@jax.custom_vjp
def stand_in(x, h, c, weights, lengths):
    sizes = x.shape[-1], h.shape[-1], 1
    unpacked = rnn.unpack_lstm_weights(weights, *sizes, False)
    results = rnn.lstm_ref(x, h, c, *unpacked, lengths, *sizes, 0.0, False)
    right = (lengths >= 1).all() & (lengths <= x.shape[1]).all()
    return jax.tree.map(lambda v: jnp.where(right, v, jnp.nan), results)


def forward(x, h, c, weights, lengths):
    results, pull = jax.vjp(lambda *v: stand_in.fun(*v, lengths), x, h, c, weights)
    return results, (pull, lengths)


def backward(saved, cotangents):
    pull, lengths = saved
    dx, *others = pull(cotangents)
    padding = jnp.arange(dx.shape[1])[None, :] >= lengths[:, None]
    return jnp.where(padding[..., None], jnp.nan, dx), *others, None


stand_in.defvjp(forward, backward)


@pytest.fixture
def gpu(monkeypatch):
    """A machine that lets a request for cuDNN pass; nothing compiled for it stays."""
    monkeypatch.setattr(cudnn, "platform_obstacle", lambda: None)
    compiled.clear_cache()
    yield
    compiled.clear_cache()


@pytest.fixture
def library(monkeypatch, gpu):
    """What the stand-in was called with: shapes of x and of the weights."""
    calls = []

    def call(*arguments):
        x, _, _, weights, lengths = arguments
        assert {str(v.dtype) for v in arguments[:4]} == {"float32"} and lengths.dtype == jnp.int32
        sizes = x.shape[-1], HIDDEN, 1, False
        assert weights.shape == (rnn.get_num_params_in_lstm(*sizes),)
        calls.append(x.shape)
        return stand_in(*arguments)

    monkeypatch.setattr(cudnn, "call", call)
    return calls


def single(tree):
    return jax.tree.map(lambda v: np.asarray(v, np.float32), tree)


def prefix(lengths):
    return np.arange(STEPS)[:, None] < lengths


RNG = np.random.default_rng(5)
LENGTHS = np.array([STEPS, 0, 3, 1, 5])
HOLES = RNG.random((STEPS, ROWS)) < 0.6
HOLES[:, 1] = False
RESETS = RNG.random((STEPS, ROWS)) < 0.35
RESETS[0, 0] = RESETS[1, 0] = RESETS[-1, 0] = True
SETTINGS = {
    "plain": {},
    "reverse": {"reverse": True},
    "lengths": {"lengths": LENGTHS},
    "lengths reversed": {"lengths": LENGTHS, "reverse": True},
    "holes": {"mask": HOLES},
    "holes reversed": {"mask": HOLES, "reverse": True},
    "resets": {"resets": RESETS},
    "resets reversed": {"resets": RESETS, "reverse": True},
    "lengths and resets": {"lengths": LENGTHS, "resets": RESETS},
    "holes and resets reversed": {"mask": HOLES, "resets": RESETS, "reverse": True},
    "all at once": {"lengths": np.full(ROWS, STEPS), "resets": np.ones((STEPS, ROWS), bool)},
    "nothing": {"mask": np.zeros((STEPS, ROWS), bool), "resets": RESETS},
}


def variables_of(network, seed=0):
    xs = np.random.default_rng(seed).standard_normal((STEPS, ROWS, INPUTS))
    state = jax.eval_shape(lambda: network.initial_state(ROWS))
    rng = np.random.default_rng(seed + 1)
    state = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), state)
    return single((random_params(network, seed + 2), xs, state))


def differentiated(network, variables, method, **how):
    """((loss, (state, ys)), gradients of (params, xs, initial state)), compiled."""

    def loss(variables):
        params, xs, state = variables
        state, ys = lj.unroll(network, params, xs, state, method=method, **how)
        return weighted(state, ys), (state, ys)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))(variables)


def assert_equals_scan(network, **how):
    variables = variables_of(network)
    got = differentiated(network, variables, "cudnn", **how)
    assert_close(got, differentiated(network, variables, "scan", **how), 2e-5)
    return variables, got


@pytest.mark.parametrize("setting", SETTINGS)
def test_values_and_gradients(library, setting):
    how = SETTINGS[setting]
    network = lj.lstm(HIDDEN)
    (params, xs, state), wanted = assert_equals_scan(network, **how)
    wide = "resets" in how
    assert set(library) == {(ROWS, STEPS * (1 + wide), INPUTS + wide)}

    happens = prefix(how["lengths"]) if "lengths" in how else how.get("mask", np.ones_like(HOLES))
    spoiled = params, np.where(happens[..., None], xs, np.float32(np.nan)), state
    (_, (last, ys)), gradients = got = differentiated(network, spoiled, "cudnn", **how)
    assert_close(got, wanted, 1e-6)
    idle = ~happens.any(axis=0)
    for field, first in zip(last, state, strict=True):
        assert np.array_equal(np.asarray(field)[idle], first[idle])
    for padded in (ys, gradients[1]):
        assert not np.asarray(padded)[~happens].any()


def test_without_initial_state_and_outside_jit(library):
    p = problem(lj.lstm(HIDDEN))
    got, wanted = (
        lj.unroll(p.cell, p.params, p.xs, lengths=p.lengths, resets=p.resets, method=method)
        for method in ("cudnn", "scan")
    )
    assert_close(got, wanted, 1e-5)


def test_a_wipe_is_exact(library):
    """After it nothing is left of the state before, in values or in gradients."""
    network = lj.lstm(HIDDEN)
    params, xs, state = variables_of(network)
    resets = np.zeros((STEPS, ROWS), bool)
    resets[2] = True
    far = jax.tree.map(lambda v: 1e3 * v, state)

    def loss(state):
        state, ys = lj.unroll(network, params, xs, state, resets=resets, method="cudnn")
        return weighted(state, ys[2:]), (state, ys[2:])

    run = jax.value_and_grad(loss, has_aux=True)
    (_, found), gradient = run(far)
    assert all(not np.asarray(leaf).any() for leaf in gradient)
    (_, wanted), _ = run(jax.tree.map(np.zeros_like, state))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("setting", ["plain", "holes and resets reversed"])
def test_without_bias(library, setting):
    assert_equals_scan(lj.lstm(HIDDEN, use_bias=False), **SETTINGS[setting])


@pytest.mark.parametrize("remat", [3, 7])
@pytest.mark.parametrize("setting", ["lengths and resets", "holes and resets reversed"])
def test_remat(library, setting, remat):
    assert_equals_scan(lj.lstm(HIDDEN), **SETTINGS[setting], remat=remat)
    assert {steps for _, steps, _ in library} <= {6, 2, 14}  # 3 and 3 and 1 steps, or 7


def test_a_stack_with_dropout(library):
    deep = lj.stack(lj.lstm(HIDDEN), lj.lstm(HIDDEN), dropout=0.4, residual=True)
    assert_equals_scan(deep, lengths=LENGTHS, key=jax.random.key(3))


def test_both_directions_with_resets(library):
    both = lj.bidirectional(lj.lstm(HIDDEN), lj.lstm(HIDDEN))
    assert_equals_scan(lj.stack(both, lj.lstm(HIDDEN)), mask=HOLES, resets=RESETS)


def test_drop_connect(library):
    cell = lj.drop_connect(lj.lstm(HIDDEN), 0.5)
    _, ((_, noisy), _) = assert_equals_scan(cell, lengths=LENGTHS, key=jax.random.key(4))
    _, ((_, calm), _) = assert_equals_scan(cell, lengths=LENGTHS)
    assert np.abs(noisy[1] - calm[1]).max() > 1e-3


def test_no_steps(library):
    network = lj.lstm(HIDDEN)
    params, xs, state = variables_of(network)
    last, ys = lj.unroll(network, params, xs[:0], state, method="cudnn")
    assert_close(last, lj.LSTMState(*state), 0)
    assert ys.shape == (0, ROWS, HIDDEN) and not library


REFUSED = {
    "gru": (lj.gru(HIDDEN), ["gru", "plain LSTM"]),
    "peepholes": (lj.lstm(HIDDEN, peepholes="diagonal"), ["plain LSTM", "peepholes"]),
    "another constructor": (lj.peephole_lstm(HIDDEN), ["peephole_lstm", "plain LSTM"]),
    "clip": (lj.lstm(HIDDEN, cell_clip=1.0), ["plain LSTM", "cell_clip"]),
    "zoneout": (lj.zoneout(lj.lstm(HIDDEN), 0.1), ["zoneout(lstm)", "plain LSTM"]),
    "zoneout below": (
        lj.drop_connect(lj.zoneout(lj.lstm(HIDDEN), 0.1), 0.1), ["zoneout", "plain LSTM"]
    ),
    "dropout": (lj.variational_dropout(lj.lstm(HIDDEN)), ["variational_dropout", "plain LSTM"]),
    "dtype": (lj.lstm(HIDDEN, dtype=jnp.bfloat16), ["float32", "bfloat16"]),
    "heads": (lj.lstm(2 * HIDDEN, heads=2), ["plain LSTM", "heads"]),
}


def request(cell, params=None, xs=None):
    params = random_params(cell, 1) if params is None else params
    xs = np.ones((2, 3, INPUTS)) if xs is None else xs
    return lj.unroll(cell, params, xs, method="cudnn")


def assert_refuses(words, *arguments):
    with pytest.raises(ValueError) as caught:
        request(*arguments)
    text = str(caught.value)
    assert text.startswith('method "cudnn" cannot run ') and text.endswith('; use method="fused"')
    assert all(word in text for word in words) and "\n" not in text, text


@pytest.mark.parametrize("kind", REFUSED)
def test_other_cells_are_refused(library, kind):
    cell, words = REFUSED[kind]
    assert_refuses(words, cell)
    assert not library


def test_cells_of_your_own_are_refused(library):
    own = lj.lstm(HIDDEN)
    own = lj.Cell("own", HIDDEN, own.init, own.initial_state, own.equations)
    assert_refuses(["own", "plain LSTM"], own)


def test_quantized_kernels_are_refused(library):
    from lstm_jax.interop import quantize

    cell = lj.lstm(HIDDEN)
    assert_refuses(["quantized"], cell, quantize(cell, random_params(cell, 1)))


def test_empty_batches_are_refused(library):
    assert_refuses(["(2, 0, 4)"], lj.lstm(HIDDEN), None, np.ones((2, 0, INPUTS)))


def test_symbolic_batches_are_refused(library):
    cell = lj.lstm(HIDDEN)
    xs = jax.ShapeDtypeStruct((2, *export.symbolic_shape("b"), INPUTS), jnp.float32)
    with pytest.raises(ValueError, match=r'symbols .*b.*; use method="fused"'):
        export.export(jax.jit(lambda xs: request(cell, None, xs)))(xs)


def test_this_machine_is_refused():
    compiled.clear_cache()
    platform = jax.default_backend()
    if platform == "gpu":
        pytest.skip("there is a GPU")
    assert_refuses(["lstm", "NVIDIA GPU", platform], lj.lstm(HIDDEN))


def platform_of(monkeypatch, version, **binding):
    client = SimpleNamespace(platform_version=version)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(client=client)])
    monkeypatch.setattr(rnn, "gpu_rnn", SimpleNamespace(**binding))
    return cudnn.platform_obstacle()


def test_machines(monkeypatch):
    sizes = {"compute_rnn_workspace_reserve_space_sizes": lambda *sizes: (8, 8)}
    assert platform_of(monkeypatch, "PJRT C API\ncuda 12080", **sizes) is None
    assert "binding" in platform_of(monkeypatch, "cuda 12080")
    assert platform_of(monkeypatch, "PJRT C API\nrocm 60300", **sizes).endswith("rocm 60300")


@pytest.fixture
def sizes(monkeypatch, gpu):
    """JAX's real function up to the library: what it asks the sizes of a workspace for."""
    asked = []

    def compute(*sizes):
        asked.append(sizes)
        return 8, 8

    binding = SimpleNamespace(compute_rnn_workspace_reserve_space_sizes=compute)
    monkeypatch.setattr(rnn, "gpu_rnn", binding)
    return asked


PRECISIONS = {None: True, "default": True, "tensorfloat32": True, "bfloat16": True,
              "high": True, "highest": False, "float32": False, "F32_F32_F32": False,
              "TF32_TF32_F32": True}  # fmt: skip


@pytest.mark.parametrize(("setting", "tf32"), PRECISIONS.items())
def test_the_real_function_traces(sizes, setting, tf32):
    """Arguments, shapes and dtypes are right for it, and the precision is JAX's setting."""
    network = lj.lstm(HIDDEN)
    variables = variables_of(network)

    def loss(variables):
        params, xs, state = variables
        state, ys = lj.unroll(network, params, xs, state, **how, method="cudnn")
        return weighted(state, ys), (state, ys)

    how = SETTINGS["holes and resets reversed"]
    with jax.default_matmul_precision(setting):
        jaxpr, shapes = jax.make_jaxpr(jax.grad(loss, has_aux=True), return_shape=True)(variables)
    assert f"cudnn_allow_tf32={tf32}" in str(jaxpr)
    assert f"cudnn_allow_tf32={not tf32}" not in str(jaxpr)
    assert "rnn_fwd" in str(jaxpr) and "rnn_bwd" in str(jaxpr)
    assert set(sizes) == {(INPUTS + 1, HIDDEN, 1, ROWS, 2 * STEPS, 0.0, False, tf32)}
    gradient, (_, ys) = shapes
    assert jax.tree.map(np.shape, gradient) == jax.tree.map(np.shape, variables)
    assert ys.shape == (STEPS, ROWS, HIDDEN)


def test_the_real_function_names_its_arguments_as_we_order_them():
    names = list(inspect.signature(rnn.lstm).parameters)
    assert names == ["x", "h_0", "c_0", "weights", "seq_lengths", "input_size", "hidden_size",
                     "num_layers", "dropout", "bidirectional", "precision"]  # fmt: skip


def test_limits_of_the_real_function(sizes):
    network = lj.lstm(HIDDEN)
    params, xs, _ = variables_of(network)

    def total(xs):
        return lj.unroll(network, params, xs, method="cudnn")[1].sum()

    with pytest.raises(NotImplementedError, match="Batching rule"):
        jax.make_jaxpr(jax.vmap(total))(xs[None])
    with pytest.raises(NotImplementedError, match="Differentiation rule"):
        jax.make_jaxpr(jax.grad(lambda xs: jax.grad(total)(xs).sum()))(xs)


def test_there_is_no_forward_mode(library):
    assert isinstance(rnn.lstm, jax.custom_vjp) and isinstance(stand_in, jax.custom_vjp)
    network = lj.lstm(HIDDEN)
    params, xs, _ = variables_of(network)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda xs: lj.unroll(network, params, xs, method="cudnn")[1], (xs,), (xs,))
