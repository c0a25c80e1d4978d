"""RNN, LSTM and GRU nodes read by `from_onnx`: ONNX's own tests, ONNX Runtime, and a plain loop."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop.onnx import from_onnx

onnx = pytest.importorskip("onnx", reason="reads and writes models")
T, B, D, H = 5, 4, 3, 4
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
NAMES = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
LENGTHS = np.array([5, 1, 3, 4], np.int32)


def backend_cases():
    """The tests of recurrent nodes that come with onnx; making those of all nodes takes seconds."""
    np.random.seed(0)  # noqa: NPY002  some of them draw their inputs
    node = importlib.import_module("onnx.backend.test.case.node")
    for name in ("lstm", "gru", "rnn"):
        importlib.import_module(f"onnx.backend.test.case.node.{name}")
    found = {case.name + case.model.graph.node[0].op_type: case for case in node._NodeTestCases}
    return [case for case in found.values() if case.model.graph.node[0].op_type in GATES]


BACKEND = backend_cases()


def test_onnx_brings_its_tests():
    assert len(BACKEND) >= 18


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize("case", BACKEND, ids=lambda case: case.name)
def test_backend_node(case):
    for inputs, outputs in case.data_sets:
        got = from_onnx(case.model)(*inputs)
        for a, b in zip(got, outputs, strict=True):
            np.testing.assert_allclose(a, b, rtol=case.rtol, atol=case.atol)


def model_of(operator, arrays, attributes, constants=(), opset=18):
    """A model with one node, some of whose inputs are constants."""
    helper = onnx.helper
    given = [name if name in arrays else "" for name in NAMES]
    given = given if operator == "LSTM" else given[:6]
    while not given[-1]:
        given.pop()
    outputs = ["Y", "Y_h", "Y_c"] if operator == "LSTM" else ["Y", "Y_h"]
    kinds = {"sequence_lens": onnx.TensorProto.INT32}
    node = helper.make_node(operator, given, outputs, name="node", hidden_size=H, **attributes)
    graph = helper.make_graph(
        [node],
        "test",
        [helper.make_tensor_value_info(k, kinds.get(k, onnx.TensorProto.FLOAT), v.shape)
         for k, v in arrays.items() if k not in constants],
        [helper.make_tensor_value_info(o, onnx.TensorProto.FLOAT, None) for o in outputs],
        [onnx.numpy_helper.from_array(arrays[k].astype(np.float32), k) for k in constants],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def random_arrays(operator, directions, rich, seed=0):
    """Inputs of a node: all of them where it is to be rich."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape)

    gates = GATES[operator]
    arrays = {"X": normal(T, B, D), "W": normal(directions, gates * H, D),
              "R": 0.6 * normal(directions, gates * H, H)}
    if rich:
        arrays |= {"B": normal(directions, 2 * gates * H), "sequence_lens": LENGTHS,
                   "initial_h": normal(directions, B, H)}
        if operator == "LSTM":
            arrays |= {"initial_c": normal(directions, B, H), "P": normal(directions, 3 * H)}
    return arrays


FUNCTIONS = {
    "Sigmoid": lambda z, a, b: 1 / (1 + np.exp(-z)),
    "Tanh": lambda z, a, b: np.tanh(z),
    "Relu": lambda z, a, b: np.maximum(z, 0),
    "Affine": lambda z, a, b: a * z + b,
    "LeakyRelu": lambda z, a, b: np.where(z >= 0, z, a * z),
    "ThresholdedRelu": lambda z, a, b: np.where(z >= a, z, 0),
    "ScaledTanh": lambda z, a, b: a * np.tanh(b * z),
    "HardSigmoid": lambda z, a, b: np.minimum(np.maximum(a * z + b, 0), 1),
    "Elu": lambda z, a, b: np.where(z >= 0, z, a * (np.exp(z) - 1)),
    "Softsign": lambda z, a, b: z / (1 + np.abs(z)),
    "Softplus": lambda z, a, b: np.log(1 + np.exp(z)),
}
NUMBERS = {"Affine": "ab", "LeakyRelu": "a", "ThresholdedRelu": "a", "ScaledTanh": "ab",
           "HardSigmoid": "ab", "Elu": "a"}
USUAL = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}


def oracle(operator, arrays, attributes):
    """Row by row and step by step, as the operator specification writes the equations."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    batch_first = attributes.get("layout", 0)
    x = arrays["X"].swapaxes(0, 1) if batch_first else arrays["X"]
    names = attributes.get("activations", USUAL[operator] * directions)
    alphas = iter(attributes.get("activation_alpha", []))
    betas = iter(attributes.get("activation_beta", []))
    chosen = []
    for name in names:
        a = next(alphas) if "a" in NUMBERS.get(name, "") else None
        b = next(betas) if "b" in NUMBERS.get(name, "") else None
        of_memory = operator == "LSTM" and len(chosen) % 3 == 2
        clip = np.inf if of_memory else attributes.get("clip", np.inf)  # as ONNX Runtime has it
        chosen.append(lambda z, name=name, a=a, b=b, clip=clip: FUNCTIONS[name](
            np.clip(z, -clip, clip), a, b))

    count, gates = len(names) // directions, GATES[operator]
    y = np.zeros((T, directions, B, H))
    ends = np.zeros((2, directions, B, H))
    bias = arrays.get("B", np.zeros((directions, 2 * gates * H)))
    peephole = arrays.get("P", np.zeros((directions, 3 * H)))
    for d in range(directions):
        w, r, p = arrays["W"][d], arrays["R"][d], np.split(peephole[d], 3)
        functions = chosen[d * count : (d + 1) * count]
        backwards = d == 1 or attributes.get("direction") == "reverse"
        for row in range(B):
            start = [arrays.get(k) for k in ("initial_h", "initial_c")]
            start = [v.swapaxes(0, 1) if batch_first and v is not None else v for v in start]
            state = [np.zeros(H) if v is None else v[d, row] for v in start]
            steps = range(arrays.get("sequence_lens", [T] * B)[row])
            for t in reversed(steps) if backwards else steps:
                state = step(operator, w @ x[t, row], r, np.split(bias[d], 2), p, state, functions,
                             attributes)
                y[t, d, row] = state[0]
            ends[:, d, row] = state
    if batch_first:
        y, ends = y.transpose(2, 0, 1, 3), ends.swapaxes(1, 2)
    return (y, *ends) if operator == "LSTM" else (y, ends[0])


def step(operator, wx, r, bias, p, state, functions, attributes):
    h, c = state
    wb, rb = bias
    if operator == "RNN":
        return [functions[0](wx + r @ h + wb + rb), c]
    if operator == "LSTM":
        f, g, out = functions
        i, o, forget, cell = np.split(wx + r @ h + wb + rb, 4)
        i = f(i + p[0] * c)
        forget = 1 - i if attributes.get("input_forget") else f(forget + p[2] * c)
        c = forget * c + i * g(cell)
        return [f(o + p[1] * c) * out(c), c]
    f, g = functions
    (xz, xr, xh), (rz, rr, rh) = np.split(wx + wb, 3), np.split(r, 3)
    bz, br, bh = np.split(rb, 3)
    z, reset = f(xz + rz @ h + bz), f(xr + rr @ h + br)
    if attributes.get("linear_before_reset"):
        n = g(xh + reset * (rh @ h + bh))
    else:
        n = g(xh + rh @ (reset * h) + bh)
    return [(1 - z) * n + z * h, c]


ODD = {  # one for each activation, other ones backwards
    "RNN": dict(activations=["LeakyRelu", "Affine"], activation_alpha=[0.2, 0.7],
                activation_beta=[0.3]),
    "LSTM": dict(activations=["HardSigmoid", "ScaledTanh", "Softsign",
                              "Sigmoid", "Elu", "Softplus"],
                 activation_alpha=[0.3, 1.2, 0.8], activation_beta=[0.4, 0.7]),
    "GRU": dict(activations=["Sigmoid", "ThresholdedRelu", "Softsign", "Relu"],
                activation_alpha=[0.1]),
}
COMBINATIONS = [
    (operator, attributes, rich)
    for operator, more in (("RNN", {"activations": ["Relu"]}), ("LSTM", {"input_forget": 1}),
                           ("GRU", {"linear_before_reset": 1}))
    for attributes, rich in (
        ({}, False),
        (more, True),
        ({"direction": "reverse"}, True),
        ({"direction": "bidirectional", "clip": 0.8, **ODD[operator]}, True),
        ({"direction": "reverse", "clip": 0.5, **more}, True),
    )
]


def label(value):
    return value if isinstance(value, str) else "-".join(value) if isinstance(value, dict) else None


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize(("operator", "attributes", "rich"), COMBINATIONS, ids=label)
def test_as_onnx_runtime(operator, attributes, rich):
    runtime = pytest.importorskip("onnxruntime", reason="the other implementation")
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    arrays = random_arrays(operator, directions, rich)
    arrays = {k: v if k == "sequence_lens" else v.astype(np.float32) for k, v in arrays.items()}
    model = model_of(operator, arrays, attributes)
    session = runtime.InferenceSession(model.SerializeToString())
    for a, b in zip(from_onnx(model)(**arrays), session.run(None, arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize(("operator", "attributes", "rich"), COMBINATIONS, ids=label)
def test_as_a_loop_batch_first(operator, attributes, rich):
    attributes = attributes | {"layout": 1}
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    arrays = random_arrays(operator, directions, rich)
    for name in ("X", "initial_h", "initial_c"):
        if name in arrays:
            arrays[name] = arrays[name].swapaxes(0, 1)
    got = from_onnx(model_of(operator, arrays, attributes))(*arrays.values())
    for a, b in zip(got, oracle(operator, arrays, attributes), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)  # alpha and clip are float32 there


CONSTANT = ("W", "R", "B", "P")
NETWORKS = {
    "rnn": ("RNN", {"activations": ["Relu"]}, lambda: lj.rnn(H, activation="relu")),
    "lstm": ("LSTM", {}, lambda: lj.lstm(H, peepholes="diagonal")),
    "coupled": ("LSTM", {"input_forget": 1}, lambda: lj.coupled_lstm(H, peepholes="diagonal")),
    "gru": ("GRU", {}, lambda: lj.gru(H)),
    "reset after": ("GRU", {"linear_before_reset": 1}, lambda: lj.gru_reset_after(H)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_constant_weights_become_a_network(name):
    operator, attributes, make = NETWORKS[name]
    cell = make()  # under the settings of this test
    arrays = random_arrays(operator, 2, True)
    arrays = {k: v.astype(np.float32) if k in CONSTANT else v for k, v in arrays.items()}
    constants = [k for k in CONSTANT if k in arrays]
    attributes = attributes | {"direction": "bidirectional"}
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * 2
    model = from_onnx(model_of(operator, arrays, attributes, constants))
    network, params = model.networks["node"]
    assert network == lj.bidirectional(cell, cell)
    start = network.initial_state(B)
    start = tuple(
        s._replace(**{f: arrays[f"initial_{f}"][d] for f in s._fields})
        for d, s in enumerate(start)
    )
    _, ys = lj.unroll(network, params, arrays["X"], start, lengths=LENGTHS)
    wanted = oracle(operator, arrays, attributes)[0]
    np.testing.assert_allclose(ys, wanted.transpose(0, 2, 1, 3).reshape(T, B, 2 * H), atol=1e-7)


def test_other_equations_are_no_network():
    arrays = random_arrays("LSTM", 1, True)
    constants = [k for k in CONSTANT if k in arrays]
    assert from_onnx(model_of("LSTM", arrays, {}, constants)).networks
    assert not from_onnx(model_of("LSTM", arrays, {"clip": 0.5}, constants)).networks
    assert not from_onnx(model_of("LSTM", arrays, {})).networks


@pytest.mark.parametrize("attributes", [{}, {"input_forget": 1, "clip": 0.9}], ids=["usual", "odd"])
def test_gradients_as_finite_differences(attributes):
    arrays = random_arrays("LSTM", 1, True)
    model = from_onnx(model_of("LSTM", arrays, attributes, ["R"]))
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((T, 1, B, H))
    wanted = [name for name in arrays if name != "sequence_lens"]

    @jax.jit
    def loss(values):
        y, _, c = model(**values, sequence_lens=LENGTHS)
        return jnp.vdot(weight, y) + c.sum()

    values = {name: jnp.asarray(arrays[name]) for name in wanted}
    gradient = jax.jit(jax.grad(loss))(values)
    for name in wanted:
        way = jnp.asarray(rng.standard_normal(values[name].shape))
        ahead, back = (loss(values | {name: values[name] + e * way}) for e in (1e-6, -1e-6))
        np.testing.assert_allclose(jnp.vdot(gradient[name], way), (ahead - back) / 2e-6, rtol=1e-6)


def test_errors():
    arrays = random_arrays("LSTM", 1, False)

    def read(**attributes):
        return from_onnx(model_of("LSTM", arrays, attributes))

    with pytest.raises(ValueError, match="activations has 'Swish'; ONNX specifies Relu"):
        read(activations=["Swish", "Tanh", "Tanh"])(*arrays.values())
    with pytest.raises(ValueError, match="Affine has no default; give activation_alpha"):
        read(activations=["Affine", "Tanh", "Tanh"])(*arrays.values())
    with pytest.raises(ValueError, match="activations has 1 names; give 3 for each direction"):
        read(activations=["Tanh"])(*arrays.values())
    with pytest.raises(ValueError, match="direction is 'sideways'"):
        read(direction="sideways")(*arrays.values())
    with pytest.raises(ValueError, match="input 'X' has shape .* takes \\(5, 4, 3\\)"):
        read()(arrays["X"][:3], arrays["W"], arrays["R"])
    with pytest.raises(ValueError, match="W has shape"):
        from_onnx(model_of("LSTM", arrays | {"W": arrays["W"][:, :8]}, {}))(
            arrays["X"], arrays["W"][:, :8], arrays["R"])
    with pytest.raises(TypeError, match="input 'R' is missing"):
        read()(arrays["X"], arrays["W"])
    with pytest.raises(TypeError, match="there is no input 'initial'"):
        read()(*arrays.values(), initial=0)
    with pytest.raises(TypeError, match="model is a int"):
        from_onnx(3)
    strange = model_of("LSTM", arrays, {})
    strange.graph.node[0].op_type = "GridSample"
    with pytest.raises(ValueError, match=r"node 'node' \(GridSample\): .* it knows .*LSTM"):
        from_onnx(strange)
