"""Bad input raises one sentence that names the argument, what came and what is wanted."""

import ast
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

CELL = lj.lstm(5)
CONV = lj.conv_lstm(5, image_size=(3, 2))
FRAMES = np.random.default_rng(1).standard_normal((6, 3, 2, 5, 4))
XS = np.random.default_rng(0).standard_normal((6, 3, 4))


def unroll(xs=XS, cell=CELL, **more):
    params = cell.init(jax.random.key(0), 4)
    return lj.unroll(cell, params, xs, **more)


def state(rows, size=5):
    return lj.LSTMState(np.zeros((rows, size)), np.zeros((rows, size)))


BAD = {  # what is called, and words that the sentence must have
    "rank of xs": (lambda: unroll(XS[0]), ["xs", "(3, 4)", "[time, batch, features]"]),
    "features of xs": (lambda: unroll(XS[..., :3]), ["xs", "3", "4"]),
    "integers": (lambda: unroll(np.ones((6, 3, 4), int)), ["xs", "int64", "float"]),
    "booleans": (lambda: unroll(np.ones((6, 3, 4), bool)), ["xs", "bool", "float"]),
    "lengths too long": (lambda: unroll(lengths=np.array([6, 7, 1])), ["lengths", "7", "6"]),
    "lengths negative": (lambda: unroll(lengths=np.array([6, -1, 1])), ["lengths", "-1", "0"]),
    "lengths of another batch": (lambda: unroll(lengths=np.array([6, 1])), ["lengths", "2", "3"]),
    "lengths not whole": (lambda: unroll(lengths=np.array([6.0, 1, 1])), ["lengths", "float64"]),
    "lengths and a mask": (
        lambda: unroll(lengths=np.ones(3, int), mask=np.ones((6, 3), bool)), ["lengths", "mask"]
    ),
    "shape of the mask": (lambda: unroll(mask=np.ones((3, 6), bool)), ["mask", "(3, 6)", "(6, 3)"]),
    "mask not boolean": (lambda: unroll(mask=np.ones((6, 3))), ["mask", "float64", "bool"]),
    "shape of resets": (
        lambda: unroll(resets=np.ones((3, 6), bool)), ["resets", "(3, 6)", "(6, 3)"]
    ),
    "resets not boolean": (lambda: unroll(resets=np.ones((6, 3))), ["resets", "float64", "bool"]),
    "state of another batch": (lambda: unroll(initial_state=state(2)), ["initial_state", "2", "3"]),
    "state of another size": (
        lambda: unroll(initial_state=state(3, 6)), ["initial_state", "6", "5"]
    ),
    "state of another cell": (
        lambda: unroll(initial_state=lj.RNNState(np.zeros((3, 5)))),
        ["initial_state", "RNNState", "LSTMState"],
    ),
    "method": (lambda: unroll(method="fussed"), ["method", "fussed", "fused"]),
    "remat": (lambda: unroll(remat=0), ["remat", "0"]),
    "remat negative": (lambda: unroll(remat=-3), ["remat", "-3"]),
    "hidden size negative": (lambda: lj.lstm(-1), ["hidden_size", "-1"]),
    "hidden size zero": (lambda: lj.gru(0), ["hidden_size", "0"]),
    "hidden size not whole": (lambda: lj.gru(2.5), ["hidden_size", "2.5"]),
    "projection size": (lambda: lj.lstmp(4, projection_size=-2), ["projection_size", "-2"]),
    "input size": (lambda: lj.lstm(4).init(jax.random.key(0), -4), ["input_size", "-4"]),
    "heads zero": (lambda: lj.lstm(4, heads=0), ["lstm: heads", "0", "positive integer"]),
    "heads not whole": (lambda: lj.rnn(4, heads=2.0), ["rnn: heads", "2.0", "positive integer"]),
    "heads that do not divide": (
        lambda: lj.gru(8, heads=3), ["gru: heads", "3", "hidden_size (8)", "a number that does"]
    ),
    "heads and the projection": (
        lambda: lj.lstmp(6, heads=2), ["lstmp: heads", "2", "projection_size (3)", "that does"]
    ),
    "heads without U": (lambda: lj.min_gru(4, heads=2), ["min_gru", "unknown option 'heads'"]),
    "heads of frames": (
        lambda: lj.conv_lstm(4, image_size=(2, 2), heads=2), ["conv_lstm", "unknown option 'heads'"]
    ),
    "peepholes": (lambda: lj.lstm(4, peepholes="diag"), ["peepholes", "diag", "diagonal"]),
    "activation": (lambda: lj.rnn(4, activation="rely"), ["activation", "rely", "relu"]),
    "activations": (
        lambda: lj.no_forget_lstm(4, activations="1998"), ["activations", "1998", "1997"]
    ),
    "initialiser": (
        lambda: lj.lstm(4, recurrent_init="orthogonl"),
        ["recurrent_init", "orthogonl", "orthogonal"],
    ),
    "cell clip": (lambda: lj.lstm(4, cell_clip=-1.0), ["cell_clip", "-1"]),
    "zoneout rate": (lambda: lj.zoneout(CELL, 1.5), ["rate", "1.5"]),
    "drop_connect rate": (lambda: lj.drop_connect(CELL, -0.5), ["rate", "-0.5"]),
    "drop_connect without U": (
        lambda: lj.drop_connect(lj.min_gru(4), 0.5), ["min_gru", "recurrent_kernel"]
    ),
    "variational rate": (
        lambda: lj.variational_dropout(CELL, inputs=2.0, recurrent=0.1), ["inputs", "2.0"]
    ),
    "stack's dropout": (lambda: lj.stack(CELL, CELL, dropout=1.5), ["dropout", "1.5"]),
    "stack of nothing": (lambda: lj.stack(), ["stack", "layer"]),
    "chrono": (lambda: lj.chrono(1), ["T_max", "1"]),
    "frames for a vector": (lambda: unroll(FRAMES), ["(6, 3, 2, 5, 4)", "[time, batch, features]"]),
    "vectors for a frame": (
        lambda: unroll(cell=CONV), ["xs", "(6, 3, 4)", "[time, batch, 3, 2, features]"]
    ),
    "frames of another size": (
        lambda: unroll(FRAMES, CONV), ["xs", "(6, 3, 2, 5, 4)", "[time, batch, 3, 2, features]"]
    ),
    "channels of frames": (
        lambda: unroll(FRAMES[:, :, :, :2, :3].repeat(2, 2)[:, :, :3], CONV),
        ["xs", "3", "[time, batch, 3, 2, 4]"],
    ),
    "size of frames": (
        lambda: lj.conv_lstm(4, image_size=8), ["image_size", "8", "(height, width)"]
    ),
    "side of frames": (lambda: lj.conv_lstm(4, image_size=(8, 0)), ["image_size", "0"]),
    "window": (lambda: lj.conv_lstm(4, image_size=(8, 8), kernel_size=0), ["kernel_size", "0"]),
    "reversed pair": (
        lambda: unroll(cell=lj.bidirectional(CELL, CELL), reverse=True), ["reverse"]
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_in_one_sentence(kind):
    call, words = BAD[kind]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and len(message) < 250


@pytest.mark.parametrize(("typed", "meant"), [
    ("lsmt", "lstm"), ("peephole-lstm", "peephole_lstm"), ("GRU", "gru"), ("mingru", "min_gru"),
])
def test_an_unknown_cell_gets_the_nearest_name(typed, meant):
    with pytest.raises((KeyError, ValueError)) as caught:
        lj.CELLS[typed]
    message = str(caught.value)
    assert typed in message and f"did you mean {meant!r}?" in message and "\n" not in message
    assert lj.CELLS.get(typed) is None and typed not in lj.CELLS


def test_bad_shapes_are_found_while_tracing_too():
    with pytest.raises(ValueError, match="xs"):
        jax.jit(unroll)(XS[..., :3])


def test_lengths_that_are_traced_are_taken_as_they_are():
    """Nothing can be said of traced values: longer than T is then as long as T."""
    run = jax.jit(lambda lengths: unroll(lengths=lengths)[1])
    assert np.array_equal(run(jnp.array([6, 9, 1])), run(jnp.array([6, 6, 1])))


SOURCE = Path(lj.__file__).parent
ALLOWED = {"jax", "flax", "chex", "numpy", "lstm_jax"}  # jax itself needs numpy
ALLOWED |= set(sys.stdlib_module_names)


def imports_at_module_level(file):
    """Names of the top-level packages that a file imports when it is imported."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def test_the_library_imports_jax_flax_and_chex_alone():
    files = list(SOURCE.rglob("*.py"))
    assert len(files) > 10
    for file in files:
        assert set(imports_at_module_level(file)) <= ALLOWED, file


def test_import_loads_no_experiment_dependency():
    unwanted = ["torch", "matplotlib", "ml_collections", "tensorboardX", "grain", "experiments"]
    code = f"import lstm_jax, sys; print([m for m in {unwanted} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=SOURCE.parent)
    assert done.stdout.strip() == "[]"
