"""Networks taken apart: what each layer read and did."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax import analysis
from lstm_jax.analysis.layers import map_cells, rebuild, turn
from tests.cases import assert_close
from tests.lstm_jax.analysis.conftest import LENGTHS, deep, problem_of


def test_a_deep_network_is_its_layers():
    network = deep()
    p = problem_of(network)
    forward, backward, upper = analysis.layers(network, p.params, p.xs, lengths=LENGTHS)
    wanted = lj.gates(network, p.params, p.xs, lengths=LENGTHS)
    _, ys = lj.unroll(network, p.params, p.xs, lengths=LENGTHS)
    assert [own.name for own in (forward, backward, upper)] == [
        "layer 1, forward", "layer 1, backward", "layer 2",
    ]
    assert_close(forward.record, wanted[0][0])
    assert_close(upper.record, wanted[1])
    valid = upper.mask[..., None]
    back = jax.tree.map(lambda v: turn(v, LENGTHS), backward.record)
    assert_close(np.where(valid, back["h"], 0), np.where(valid, wanted[0][1]["h"], 0))
    assert_close(np.where(valid, upper.record["h"] + upper.xs, 0), np.asarray(ys))
    np.testing.assert_array_equal(upper.mask, np.arange(7)[:, None] < LENGTHS)


def test_states_before_lead_to_the_states_after():
    p = problem_of(lj.peephole_lstm(5))
    (layer,) = analysis.layers(p.cell, p.params, p.xs, p.state)
    for time in range(7):
        before = jax.tree.map(lambda v, t=time: v[t], layer.states_before())
        after, _ = p.cell.step(p.params, before, p.xs[time])
        for field in ("h", "c"):
            assert_close(getattr(after, field), layer.record[field][time])
    assert_close(jax.tree.map(lambda v: v[0], layer.states_before()), p.state)


def test_turn_leaves_the_padding_behind():
    xs = np.arange(12).reshape(4, 3)
    wanted = [[3, 0, 6, 9], [1, 4, 7, 10], [11, 8, 5, 2]]
    np.testing.assert_array_equal(turn(xs, np.array([2, 1, 4])).T, wanted)


def test_cells_are_visited_in_the_order_of_the_parameters():
    network = deep()
    sizes = map_cells(network, lambda cell, kernel: (cell.name, kernel), (("a", "b"), "c"))
    assert sizes == ((("lstm", "a"), ("gru", "b")), ("peephole_lstm", "c"))
    wider = rebuild(network, lambda cell: lj.rnn(2 * cell.hidden_size))
    assert wider.residual and wider.layers[0].output_size == 8 and wider.layers[1].output_size == 8


@pytest.mark.parametrize(("network", "memory"), [(lj.lstm, "c"), (lj.gru, "h")])
def test_the_memory_is_c_where_there_is_one(network, memory):
    p = problem_of(network(3))
    (layer,) = analysis.layers(p.cell, p.params, p.xs)
    assert (layer.memory, layer.name) == (memory, p.cell.name)
