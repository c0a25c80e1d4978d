"""The examples of the docstrings run."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import analysis
from tests.lstm_jax.test_docstrings import example

FUNCTIONS = [name for name in analysis.__all__ if inspect.isfunction(getattr(analysis, name))]


@pytest.fixture(scope="module")
def names():
    """What the examples speak of."""
    cell, xs = lj.lstm(16), jax.random.normal(jax.random.key(0), (12, 4, 8))
    params = cell.init(jax.random.key(1), 8)
    (layer,) = analysis.layers(cell, params, xs)
    text = 'say "a" (b'
    jacobians = analysis.jacobians(layer, 4)
    return {
        **{"lj": lj, "jax": jax, "jnp": jnp, "analysis": analysis, "cell": cell, "params": params},
        **{"xs": xs, "layer": layer, "J": jacobians, "text": text, "flow": np.ones((12, 4))},
        "features": {"line": jnp.arange(12)},
        "c": layer.record["c"][:, 0],
        "curves": analysis.Curves([1, 2], [2.0, 1.0], [2.0, 1.5]),
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_runs(name, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = example(getattr(analysis, name))
    assert "analysis." in code
    if name == "plot_initialization":
        names = names | {"flow": np.ones((3, 3, 12, 4))}
    if name in ("plot_text", "trackers"):
        names = names | {"text": '"ab" (c\nd)'[:10] + "ef"}
    exec(code, dict(names))
