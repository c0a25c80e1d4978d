"""What the public docstrings promise: an example that runs, and a source for every cell."""

import inspect
import re
import textwrap
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import nnx

import lstm_jax as lj
from lstm_jax import linen
from lstm_jax import nnx as lj_nnx

DOCUMENTED = {
    **{name: getattr(lj, name) for name in lj.__all__ if inspect.getdoc(getattr(lj, name))},
    **{f"linen.{c.__name__}": c for c in (linen.Recurrent, linen.RNNCell)},
    **{f"nnx.{c.__name__}": c for c in (lj_nnx.Recurrent, lj_nnx.RNNCell)},
}
PLAIN_DATA = {"CELLS", "LSTMState", "RNNState"}


def example(thing: object) -> str:
    found = re.search(r"Example:\n((?:[ ]{2,}.*\n|\n)+)", inspect.getdoc(thing) + "\n")
    return textwrap.dedent(found[1]) if found else ""


@pytest.mark.parametrize("name", sorted(set(DOCUMENTED) - PLAIN_DATA))
def test_the_example_runs(name):
    cell = lj.lstm(8)
    flax_names = vars(linen) if name.startswith("linen") else vars(lj_nnx)
    scope = {
        **{"Recurrent": flax_names["Recurrent"], "RNNCell": flax_names["RNNCell"]},
        **{"lj": lj, "jax": jax, "jnp": jnp, "nn": nn, "nnx": nnx, "NamedTuple": NamedTuple},
        **{"cell": cell, "params": cell.init(jax.random.key(0), 32), "key": jax.random.key(1)},
        **{"xs": jax.random.normal(jax.random.key(2), (2, 6, 32)), "lengths": jnp.array([6, 3])},
    }
    code = example(DOCUMENTED[name])
    assert code, f"{name} has no example"
    exec(code, scope)
    made = [scope.get(part) for part in ("deep", "both", "layer", "forget", "state")]
    assert scope["cell"] is not cell or any(part is not None for part in made)


@pytest.mark.parametrize("name", sorted(lj.CELLS))
def test_every_cell_states_equation_arguments_result_and_source(name):
    text = inspect.getdoc(lj.CELLS[name])
    source = text.split("Source:")[-1] if "Source:" in text else ""
    if not source:
        source = inspect.getmodule(lj.CELLS[name]).__doc__.split("Source of all:")[1]
    assert "h' =" in text or "r' =" in text
    for part in ("Args:", "Returns:", "Raises:", "Example:"):
        assert part in text
    assert re.search(r"(19|20)\d\d|cuDNN", source)
