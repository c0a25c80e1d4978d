"""Networks in words, and back."""

import json

import jax
import jax.numpy as jnp
import pytest

import lstm_jax as lj
from lstm_jax.interop.describe import describe, rebuild
from tests.cases import CASES

NETWORKS = {
    "chrono": lambda: lj.gru(4, update_bias=lj.chrono(50)),
    "precision": lambda: lj.lstm(4, dtype=jnp.bfloat16, param_dtype="float32"),
    "zoneout": lambda: lj.zoneout(lj.lstm(4), {"c": 0.5, "h": 0.05}),
    "noise in noise": lambda: lj.drop_connect(
        lj.variational_dropout(lj.lstmp(4), inputs=0.2, recurrent=0.1), 0.5
    ),
    "stack": lambda: lj.stack(lj.lstm(3), lj.gru(3), dropout=0.3, residual=True),
    "pairs": lambda: lj.stack(lj.bidirectional(lj.lstm(3), lj.rnn(2)), lj.stack(lj.lstm(2))),
}


def through_json(network):
    return rebuild(json.loads(json.dumps(describe(network))))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_cell_comes_back(case):
    """Equal cells do not recompile, and equality looks at every option."""
    assert through_json(case.cell()) == case.cell()
    assert through_json(case.cell(hidden_size=6)) != case.cell()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_come_back(name):
    assert through_json(NETWORKS[name]()) == NETWORKS[name]()


def test_initializers_that_are_functions_are_left_out():
    cell = lj.lstm(3, kernel_init=jax.nn.initializers.normal(2.0), recurrent_init="small_normal")
    assert through_json(cell) == lj.lstm(3, recurrent_init="small_normal")


def test_a_cell_of_ones_own_cannot_be_told():
    own = lj.Cell("mine", 3, lambda key, size: None, lambda b: None, lambda *_: None)
    with pytest.raises(ValueError, match="mine is a cell of your own"):
        describe(lj.stack(lj.lstm(3), own))


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"kind": "os.system"}, "kind is 'os.system'; known are rnn, lstm"),
        ({}, "kind is 'None'"),
        ({"kind": "lstm", "arguments": []}, "no description of a lstm"),
        ({"kind": "lstm", "arguments": [3], "options": {"leak": 1}}, "unknown option 'leak'"),
        ({"kind": "gru", "arguments": [0], "options": {}}, "hidden_size is 0"),
    ],
)
def test_what_is_no_description_is_refused(description, message):
    with pytest.raises(ValueError, match=message):
        rebuild(description)
