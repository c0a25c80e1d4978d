"""The same weights in torch.nn: values and gradients, packed sequences, layers, directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from tests.cases import METHODS, assert_close, random_params

torch = pytest.importorskip("torch")
T, B, D, H = 7, 4, 3, 5
LENGTHS = np.array([7, 2, 5, 1])


def layer(module, suffix, like):
    """The parameters of one layer and direction, in our fields."""
    weights = {name[: -len(suffix)]: value.detach().numpy()
               for name, value in module.named_parameters() if name.endswith(suffix)}
    bias, recurrent_bias = weights["bias_ih"], weights["bias_hh"]
    if isinstance(module, torch.nn.GRU):
        reset_and_update = np.concatenate([recurrent_bias[: 2 * H], np.zeros(H)])
        more = {"bias": bias + reset_and_update, "recurrent_bias": recurrent_bias[2 * H :]}
    else:
        more = {"bias": bias + recurrent_bias}
    if "weight_hr" in weights:
        more["projection"] = weights["weight_hr"].T
    return like._replace(kernel=weights["weight_ih"].T, recurrent_kernel=weights["weight_hh"].T,
                         **more)


def torch_run(module, xs, weight):
    """Outputs, and gradients by name, of a packed batch."""
    inputs = torch.tensor(xs, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, enforce_sorted=False)
    ys, _ = torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], total_length=T)
    (ys * torch.tensor(weight)).sum().backward()
    gradients = {name: value.grad.numpy() for name, value in module.named_parameters()}
    return ys.detach().numpy(), inputs.grad.numpy(), gradients


def our_run(cell, params, xs, weight, method):
    def loss(params, xs):
        ys = lj.unroll(cell, params, xs, lengths=LENGTHS, method=method)[1]
        return jnp.vdot(weight, ys), ys

    (_, ys), gradients = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, xs)
    return ys, *gradients


SINGLE = {  # ours, torch's, the options of each
    "lstm": (lj.lstm, torch.nn.LSTM, {}, {}),
    "lstmp": (lj.lstmp, torch.nn.LSTM, {"projection_size": 2}, {"proj_size": 2}),
    "gru": (lj.gru_reset_after, torch.nn.GRU, {}, {}),
    "rnn": (lj.rnn, torch.nn.RNN, {}, {}),
    "relu": (lj.rnn, torch.nn.RNN, {"activation": "relu"}, {"nonlinearity": "relu"}),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SINGLE)
def test_one_layer(name, method):
    ours, theirs, options, their_options = SINGLE[name]
    cell = ours(H, **options)
    torch.manual_seed(1)
    module = theirs(D, H, **their_options).double()
    rng = np.random.default_rng(2)
    xs, weight = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, cell.output_size))
    wanted, wanted_to_xs, theirs = torch_run(module, xs, weight)
    params = layer(module, "_l0", random_params(cell, 0))
    ys, to_params, to_xs = our_run(cell, params, xs, weight, method)
    assert_close(ys, wanted)
    assert_close(to_xs, wanted_to_xs)
    assert_close(to_params.kernel, theirs["weight_ih_l0"].T)
    assert_close(to_params.recurrent_kernel, theirs["weight_hh_l0"].T)
    assert_close(to_params.bias, theirs["bias_ih_l0"])
    if name == "gru":
        assert_close(to_params.recurrent_bias, theirs["bias_hh_l0"][2 * H :])
    if name == "lstmp":
        assert_close(to_params.projection, theirs["weight_hr_l0"].T)


@pytest.mark.parametrize("method", METHODS)
def test_two_bidirectional_layers(method):
    both = lj.bidirectional(lj.lstm(H), lj.lstm(H))
    deep = lj.stack(both, both)
    torch.manual_seed(1)
    module = torch.nn.LSTM(D, H, num_layers=2, bidirectional=True).double()
    rng = np.random.default_rng(2)
    xs, weight = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, 2 * H))
    wanted, wanted_to_xs, theirs = torch_run(module, xs, weight)
    like = random_params(deep, 0)
    params = tuple(
        tuple(layer(module, f"_l{depth}{side}", like[depth][index])
              for index, side in enumerate(("", "_reverse")))
        for depth in range(2)
    )
    ys, to_params, to_xs = our_run(deep, params, xs, weight, method)
    assert_close(ys, wanted)
    assert_close(to_xs, wanted_to_xs)
    for depth in range(2):
        for index, side in enumerate(("", "_reverse")):
            got = to_params[depth][index]
            assert_close(got.kernel, theirs[f"weight_ih_l{depth}{side}"].T)
            assert_close(got.recurrent_kernel, theirs[f"weight_hh_l{depth}{side}"].T)
            assert_close(got.bias, theirs[f"bias_hh_l{depth}{side}"])
