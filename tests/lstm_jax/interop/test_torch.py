"""The same weights in PyTorch: values, states and gradients, there and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop.quantization import quantize
from lstm_jax.interop.torch import from_torch, to_torch
from tests.cases import INPUTS, METHODS, assert_close, random_params

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

T, B, D, H = 7, 4, 3, 5
LENGTHS = np.array([7, 2, 5, 1])
XS = np.random.default_rng(0).standard_normal((T, B, D))
MODULES = {
    "rnn": lambda: torch.nn.RNN(D, H),
    "relu, no bias": lambda: torch.nn.RNN(D, H, nonlinearity="relu", bias=False),
    "lstm": lambda: torch.nn.LSTM(D, H),
    "lstm, no bias": lambda: torch.nn.LSTM(D, H, bias=False),
    "lstmp": lambda: torch.nn.LSTM(D, H, proj_size=2),
    "gru": lambda: torch.nn.GRU(D, H),
    "gru, no bias": lambda: torch.nn.GRU(D, H, bias=False),
    "deep lstm": lambda: torch.nn.LSTM(D, H, num_layers=3),
    "deep bidirectional gru": lambda: torch.nn.GRU(D, H, num_layers=2, bidirectional=True),
    "deep bidirectional lstmp": lambda: torch.nn.LSTM(
        D, H, num_layers=2, bidirectional=True, proj_size=2
    ),
    "bidirectional relu": lambda: torch.nn.RNN(D, H, nonlinearity="relu", bidirectional=True),
}


def make(name):
    torch.manual_seed(3)
    return MODULES[name]().double()


def run_torch(module, weight):
    """Outputs, final states and gradients of a packed batch."""
    inputs = torch.tensor(XS, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, enforce_sorted=False)
    ys, states = module(packed)
    ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, total_length=T)
    (ys * torch.tensor(weight[..., : ys.shape[-1]])).sum().backward()
    gradients = {name: value.grad for name, value in module.named_parameters()}
    states = states if isinstance(states, tuple) else (states,)
    return ys.detach().numpy(), [s.detach().numpy() for s in states], inputs.grad.numpy(), gradients


def run_ours(network, params, weight, method):
    def loss(params, xs):
        state, ys = lj.unroll(network, params, xs, lengths=LENGTHS, method=method)
        return jnp.vdot(weight[..., : ys.shape[-1]], ys), (state, ys)

    (_, out), gradients = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, XS)
    return *out, *gradients


def cells_of(state):
    """The states of all cells, in PyTorch's order: layer by layer, forward and backward."""
    if hasattr(state, "h"):
        return [state]
    return [cell for part in state for cell in cells_of(part)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODULES)
def test_values_states_and_gradients(name, method):
    """Gradients of weights go through the conversion as the weights do: it is linear.

    The two biases that PyTorch adds up have the same gradient, which the sum would count twice.
    """
    module, weight = make(name), np.random.default_rng(1).standard_normal((T, B, 2 * H))
    ys, states, d_xs, gradients = run_torch(module, weight)
    network, params = from_torch(module)
    state, our_ys, d_params, our_d_xs = run_ours(network, params, weight, method)
    assert_close(our_ys, ys, 1e-12)
    for field, wanted in zip("hc", states, strict=False):
        got = np.stack([getattr(cell, field) for cell in cells_of(state)])
        assert_close(got, wanted, 1e-12)
    assert_close(our_d_xs, d_xs, 1e-12)
    once = {name: without_the_sum(name, value) for name, value in gradients.items()}
    assert_close(d_params, from_torch(once)[1], 1e-12)


def without_the_sum(name, gradient):
    """Zero for what bias_hh shares with bias_ih: all but the part of a GRU's n."""
    if "bias_hh" not in name:
        return gradient
    shared = 2 * H if len(gradient) == 3 * H else len(gradient)
    return torch.cat([torch.zeros(shared), gradient[shared:]])


@pytest.mark.parametrize("name", MODULES)
def test_there_and_back(name):
    module = make(name)
    network, params = from_torch(module)
    again = to_torch(network, params, batch_first=True)
    assert type(again) is type(module) and again.batch_first and not again.training
    inputs = torch.tensor(XS)
    wanted, got = module(inputs)[0], again(inputs.swapaxes(0, 1))[0]
    assert_close(got.detach().numpy().swapaxes(0, 1), wanted.detach().numpy(), 1e-12)
    assert_close(from_torch(again)[1], params, 0)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind):
    torch.manual_seed(4)
    theirs = getattr(torch.nn, kind)(D, H).double()
    cell, params = from_torch(theirs)
    theirs_state, state = None, cell.initial_state(B)
    for x in XS:
        theirs_state = theirs(torch.tensor(x), theirs_state)
        state, y = cell.step(params, state, jnp.asarray(x))
        h = theirs_state[0] if kind == "LSTMCell" else theirs_state
        assert_close(y, h.detach().numpy(), 1e-12)


def test_a_relu_cell_and_dropout_between_layers():
    cell = from_torch(torch.nn.RNNCell(D, H, nonlinearity="relu"))[0]
    assert cell.recipe.options["activation"] == "relu"
    assert from_torch(torch.nn.LSTM(D, H, num_layers=2, dropout=0.3))[0].dropout == 0.3
    deep = lj.stack(lj.lstm(H), lj.lstm(H), dropout=0.25)
    assert to_torch(deep, random_params(deep, 5)).dropout == 0.25
    one = lj.stack(lj.lstm(H), dropout=0.25)
    assert to_torch(one, random_params(one, 5)).dropout == 0


def test_state_dicts_with_a_prefix_and_arrays_in_place_of_tensors():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(5, D)
            self.encoder = torch.nn.ModuleDict({"rnn": torch.nn.GRU(D, H)})
            self.decoder = torch.nn.LSTM(D, H)

    model = Model()
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    network, params = from_torch(arrays, prefix="encoder.rnn.")
    assert network.name == "gru_reset_after" and params.kernel.dtype == jnp.float32
    assert_close(params, from_torch(model.encoder["rnn"])[1], 0)
    with pytest.raises(ValueError, match=r"prefix is '', but .* under 'decoder.', 'encoder.rnn.'"):
        from_torch(arrays)
    with pytest.raises(ValueError, match="the state dict has none at all"):
        from_torch({"weight": arrays["embed.weight"]})


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("rnn", 4, {"heads": 4}),
        ("lstm", 6, {"heads": 2}),
        ("gru_reset_after", 6, {"heads": 3}),
        ("lstmp", 8, {"heads": 2, "projection_size": 6}),
    ],
)
def test_heads_become_one_matrix(name, size, options):
    cell = lj.CELLS[name](size, **options)
    pair = lj.bidirectional(cell, cell)
    params, xs = random_params(pair, 11), np.random.default_rng(12).standard_normal((T, B, INPUTS))
    got = to_torch(pair, params)(torch.tensor(xs))[0]
    assert_close(got.detach().numpy(), lj.unroll(pair, params, xs)[1], 1e-12)


def test_bfloat16_stays_bfloat16():
    module = torch.nn.LSTM(D, H).bfloat16()
    network, params = from_torch(module)
    assert params.kernel.dtype == jnp.bfloat16
    again = to_torch(network, params)
    assert again.weight_hh_l0.dtype == torch.bfloat16
    assert torch.equal(again.weight_hh_l0, module.weight_hh_l0)


def test_single_precision_and_states_to_start_from(single_precision):
    torch.manual_seed(8)
    module = torch.nn.LSTM(D, H, num_layers=2)
    network, params = from_torch(module)
    start = np.random.default_rng(9).standard_normal((2, 2, B, H)).astype(np.float32)
    ys, final = module(torch.tensor(XS, dtype=torch.float32), tuple(map(torch.tensor, start)))
    begin = tuple(lj.LSTMState(h, c) for h, c in zip(*start, strict=True))
    state, got = lj.unroll(network, params, XS.astype(np.float32), begin)
    assert got.dtype == jnp.float32
    assert_close(got, ys.detach().numpy(), 1e-6)
    for k, layer in enumerate(state):
        assert_close(layer.c, final[1][k].detach().numpy(), 1e-6)


def test_an_unknown_nonlinearity_is_refused():
    state = torch.nn.RNN(D, H).state_dict()
    assert from_torch(state, nonlinearity="relu")[0].recipe.options["activation"] == "relu"
    with pytest.raises(ValueError, match="nonlinearity is 'sin'; give 'tanh' or 'relu'"):
        from_torch(state, nonlinearity="sin")


def test_kernels_in_int8_are_refused():
    cell = lj.lstm(H)
    with pytest.raises(ValueError, match="PyTorch has no kernels in int8"):
        to_torch(cell, quantize(cell, random_params(cell, 10)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("weight_hh_l0"), "weight_hh of layer 0 is missing under it"),
        (lambda s: s.pop("bias_hh_l1"), "bias_hh of layer 1 is missing under it"),
        (lambda s: s.pop("bias_ih_l0_reverse"), "bias_ih of layer 0, reverse, is missing"),
        (lambda s: [s.pop(k) for k in [*s] if k.endswith("l1_reverse")],
         "bias_hh, bias_ih, weight_hh, weight_ih of layer 1, reverse, is missing"),
        (lambda s: [s.pop(k) for k in [*s] if "_l0" in k], "weight_ih of layer 0 is missing"),
        (lambda s: [s.pop(k) for k in [*s] if not k.endswith("reverse")], "of layer 0 is missing"),
        (lambda s: s.update(bias_hh_l0=s["bias_hh_l0"][:1]), r"\[20\] and bias_hh \[1\]; give eq"),
        (lambda s: s.update(weight_ih_l1=s["weight_ih_l1"][:, :-1]),
         "layer 1 takes 9 inputs, and the layer below it has 10 outputs"),
        (lambda s: s.update(weight_ih_l0=s["weight_ih_l0"][:-1]), "has 1, 3 or 4 blocks of rows"),
        (lambda s: s.update(bias_ih_l0=s["bias_ih_l0"][:1], bias_hh_l0=s["bias_hh_l0"][:1]),
         r"bias of lstm would have shape \[1\], and \[20\] is wanted"),
    ],
)  # fmt: skip
def test_state_dicts_that_do_not_fit(change, message):
    state = torch.nn.LSTM(D, H, num_layers=2, bidirectional=True).state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        from_torch(state)


def test_other_modules_are_refused():
    with pytest.raises(TypeError, match=r"source is a Linear; give nn.RNN"):
        from_torch(torch.nn.Linear(3, 3))


REFUSED = {
    "peepholes": (lambda: lj.lstm(H, peepholes="diagonal"), "PyTorch has no peepholes"),
    "vanilla": (lambda: lj.peephole_lstm(H), "PyTorch has no peephole_lstm; it can express rnn"),
    "coupled": (lambda: lj.coupled_lstm(H), "PyTorch has no coupled_lstm"),
    "reset before": (lambda: lj.gru(H), "PyTorch has no gru; it can express"),
    "clip": (lambda: lj.lstm(H, cell_clip=1.0), "PyTorch does not clip c"),
    "zoneout": (lambda: lj.zoneout(lj.lstm(H), 0.1), "PyTorch has no zoneout"),
    "sizes": (lambda: lj.stack(lj.lstm(H), lj.lstm(H + 1)), r"has lstm\(5\), lstm\(6\);"),
    "kinds": (lambda: lj.bidirectional(lj.lstm(H), lj.rnn(H)), "layers that are alike"),
    "directions": (
        lambda: lj.stack(lj.bidirectional(lj.rnn(H), lj.rnn(H)), lj.rnn(H)), "alike",
    ),
    "residual": (lambda: lj.stack(lj.lstm(H), lj.lstm(H), residual=True), "no residual stacks"),
    "wide": (lambda: lj.lstmp(H, projection_size=H), "projection_size is 5; give a smaller one"),
    "pairs of stacks": (
        lambda: lj.bidirectional(lj.stack(lj.rnn(H)), lj.stack(lj.rnn(H))), "pairs of cells alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_cannot_say_is_refused(name):
    network, message = REFUSED[name][0](), REFUSED[name][1]
    with pytest.raises(ValueError, match=message):
        to_torch(network, random_params(network, 6))


def test_noise_that_is_off_without_a_key_is_no_hindrance():
    cell = lj.drop_connect(lj.variational_dropout(lj.lstm(H), inputs=0.1), 0.5)
    params = random_params(cell, 7)
    got = to_torch(cell, params)(torch.tensor(np.ones((2, 1, 4))))[0]
    assert_close(got.detach().numpy(), lj.unroll(cell, params, np.ones((2, 1, 4)))[1], 1e-12)
