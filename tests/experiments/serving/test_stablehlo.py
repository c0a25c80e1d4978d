"""StableHLO files: any batch and length, and no project needed to run them."""

import json
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.serving import stablehlo
from lstm_jax.interop.quantization import quantize
from tests.experiments.serving.served import MODELS, inputs, served

NEEDS_ONLY_JAX = """
import json, sys
import jax, numpy as np
from jax import export
whole, step = (export.deserialize(bytearray(open(name, "rb").read())) for name in sys.argv[1:])
given = np.array(json.loads(sys.stdin.read()), np.int32)
state = np.zeros((given.shape[1], whole.in_avals[2].shape[1]), np.float32)
outputs = whole.call(given, np.full(given.shape[1], len(given), np.int32), state)[1]
stepwise = []
for symbols in given:
    state, output = step.call(state, symbols)
    stepwise.append(output.tolist())
assert not {"lstm_jax", "flax", "experiments"} & set(sys.modules)
print(json.dumps([outputs.tolist(), stepwise]))
"""


@pytest.mark.parametrize("name", MODELS)
def test_files_compute_what_the_model_does(name, tmp_path):
    own, given = served(name), inputs(MODELS[name]())
    paths = stablehlo.write(own, tmp_path)
    assert len(paths) == 1 + own.streams
    whole = stablehlo.read(paths[0])
    for steps, rows, lengths in [(7, 3, [7, 1, 4]), (2, 2, [2, 1])]:
        part = given[:steps, :rows]
        arguments = part, np.array(lengths, np.int32), own.fresh(rows) + 0.3
        for found, wanted in zip(whole(*arguments), own.whole(*arguments), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("mode", ["weights", "dynamic"])
def test_quantized_kernels_stay_small(mode, tmp_path):
    own, given = served("embedded"), inputs(MODELS["embedded"]())
    small = own._replace(params=quantize(own.network, own.params, mode))
    whole = stablehlo.read(stablehlo.write(small, tmp_path)[0])
    arguments = given, np.array([7, 7, 7], np.int32), own.fresh(3)
    np.testing.assert_allclose(whole(*arguments)[1], small.whole(*arguments)[1], atol=1e-6)
    assert float(jnp.abs(whole(*arguments)[1] - own.whole(*arguments)[1]).max()) > 1e-4


def test_jax_alone_runs_them(tmp_path):
    own, given = served("one-hot"), inputs(MODELS["one-hot"]())
    paths = stablehlo.write(own, tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", NEEDS_ONLY_JAX, *map(str, paths)],
        cwd=tmp_path, input=json.dumps(given.tolist()), capture_output=True, text=True, check=True,
    )  # fmt: skip
    outputs, stepwise = json.loads(ran.stdout)
    wanted = own.whole(given, np.full(3, 7), own.fresh(3))[1]
    np.testing.assert_allclose(outputs, wanted, atol=1e-5)
    np.testing.assert_allclose(stepwise, wanted, atol=1e-5)
