"""A batch that is spread over two devices stays so, and nothing is computed twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CELLS = ("lstm", "peephole_lstm", "gru", "gru_reset_after")
PROGRAM = '''
import json, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
import lstm_jax as lj
from lstm_jax.recurrence import layer
from tests.cases import random_like

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
layer.CACHE_BYTES, layer.CHUNK_ROWS = 1, 4 * 8  # chunks of four steps of eight rows

mesh = Mesh(np.array(jax.devices()), ("batch",), axis_types=(AxisType.Auto,))
over_rows, everywhere = NamedSharding(mesh, P(None, "batch")), NamedSharding(mesh, P())
rng = np.random.default_rng(0)
xs = rng.standard_normal((12, 8, 6)).astype(np.float32)
weights = rng.standard_normal((12, 8, 16)).astype(np.float32)

def single(tree):
    return jax.tree.map(lambda v: np.asarray(v, np.float32), tree)

for name in sys.argv[1:]:
    cell = lj.CELLS[name](16)
    params = single(random_like(cell.init(jax.random.key(0), 6), 1))

    def loss(params, xs, method):
        state, ys = lj.unroll(cell, params, xs, method=method)
        return jnp.vdot(weights, ys) + state.h.sum(), ys

    step = jax.jit(jax.grad(loss, (0, 1), has_aux=True), static_argnums=2)
    here = jax.device_put(params, everywhere), jax.device_put(xs, over_rows)
    compiled = step.lower(*here, "auto").compile()
    wanted = single(step(params, xs, "scan"))
    got = compiled(*here)
    (_, dxs), ys = got
    pairs = zip(jax.tree.leaves(single(got)), jax.tree.leaves(wanted), strict=True)
    print(json.dumps({
        "error": float(max(np.abs(a - b).max() / max(1, np.abs(b).max()) for a, b in pairs)),
        "sharded": [v.sharding.is_equivalent_to(over_rows, 3) for v in (dxs, ys)],
        "devices": sorted({s.device.id for s in dxs.addressable_shards}),
        "text": compiled.as_text(),
    }))
'''


@pytest.fixture(scope="module")
def results():
    """Of each cell, what a process with two devices sees."""
    root = Path(__file__).parents[2]
    line = [sys.executable, "-c", PROGRAM, *CELLS]
    quick = " --xla_backend_optimization_level=0"  # of LLVM's work; XLA's own is done in full
    flags = os.environ.get("XLA_FLAGS", "") + quick
    environment = {**os.environ, "PYTHONPATH": str(root), "XLA_FLAGS": flags}
    done = subprocess.run(line, capture_output=True, text=True, cwd=root, env=environment)
    assert done.returncode == 0, done.stderr
    return dict(zip(CELLS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_two_devices_compute_what_one_does(name, results):
    assert results[name]["error"] < 1e-5


@pytest.mark.parametrize("name", CELLS)
def test_the_outputs_and_the_inputs_gradient_stay_spread_over_the_batch(name, results):
    assert results[name]["sharded"] == [True, True]
    assert results[name]["devices"] == [0, 1]


@pytest.mark.parametrize("name", CELLS)
def test_devices_exchange_nothing_but_sums(name, results):
    text = results[name]["text"]
    assert "all-reduce" in text  # of the parameters' gradients
    assert not {op for op in ("all-gather", "all-to-all", "collective-permute") if op in text}
