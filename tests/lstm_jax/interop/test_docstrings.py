"""The examples of the package run."""

import inspect

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

import lstm_jax as lj
from lstm_jax import interop
from tests.cases import random_params
from tests.lstm_jax.test_docstrings import example

NEEDS = {
    **dict.fromkeys(("from_torch", "to_torch"), "torch"),
    **dict.fromkeys(("from_keras", "to_keras"), "keras"),
    **dict.fromkeys(("from_onnx", "to_onnx"), "onnx"),
    **dict.fromkeys(("load", "save"), "safetensors"),
    "from_equinox": "equinox",
    "from_haiku": "haiku",
}
ABBREVIATIONS = {"equinox": "eqx", "haiku": "hk"}
MORE = {
    "from_onnx": "onnx.save(to_onnx(cell, params), 'model.onnx')",
    "load": "save('model.safetensors', cell, params)",
    "from_haiku": "variables = {'lstm/linear': {'w': jnp.ones((5, 8)), 'b': jnp.ones(8)},"
    " 'lstm_1/linear': {'w': jnp.ones((4, 8)), 'b': jnp.ones(8)}}",
}


@pytest.mark.parametrize("name", interop.__all__)
def test_the_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(getattr(interop, name))
    for part in ("Args:", "Example:"):
        assert part in text
    scope = {**vars(interop), "lj": lj, "jax": jax, "jnp": jnp, "nn": nn}
    if name in NEEDS:
        library = pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
        scope |= {NEEDS[name]: library, ABBREVIATIONS.get(NEEDS[name], NEEDS[name]): library}
    cell, both = lj.lstm(8), lj.bidirectional(lj.lstm(64), lj.lstm(64))
    scope |= {"cell": cell, "both": both, "xs": jnp.ones((5, 2, 4), jnp.float32)}
    scope |= {"params": jax.tree.map(jnp.asarray, random_params(cell, 1)),
              "both_params": jax.tree.map(jnp.asarray, random_params(both, 1))}  # fmt: skip
    exec(MORE.get(name, ""), scope)
    code = example(getattr(interop, name))
    assert code
    with jax.numpy_rank_promotion("allow"):
        exec(code.replace(">>> ", ""), scope)
