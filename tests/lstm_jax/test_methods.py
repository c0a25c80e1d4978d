"""Which method runs which layer: "auto" by preference and obstacles, a request or its refusal."""

import dataclasses

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.recurrence import methods, scan
from tests.cases import INPUTS, assert_close, random_params


def fresh(cell):
    """The cell under an identity that was not compiled before."""
    return dataclasses.replace(cell, identity=object())


@pytest.fixture
def record(monkeypatch):
    """Two more methods, "swift" for LSTMs and "never"; who was asked about what, and who ran."""
    asked, ran = [], []

    def engine(name):
        def run(cell, *arguments):
            ran.append((name, cell.name))
            return scan.run(cell, *arguments)

        return run

    def not_for(name, *kinds):
        def obstacle(cell, params, state, inputs):
            del params, state
            asked.append((name, cell.name, jax.tree.map(lambda v: v.shape, inputs)))
            return f"{name} knows no such cell" if cell.name in kinds else None

        return obstacle

    added = {
        "swift": methods.of_inputs(engine("swift"), not_for("swift", "gru")),
        "never": methods.of_inputs(engine("never"), not_for("never", "lstm", "gru")),
        "scan": methods.of_inputs(engine("scan")),
        "fused": methods.of_inputs(engine("fused")),
    }
    for name, method in added.items():
        monkeypatch.setitem(methods.METHODS, name, method)
    monkeypatch.setitem(methods.PREFERENCE, "cpu", ("never", "swift", "fused"))
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    return asked, ran


XS = np.random.default_rng(0).standard_normal((6, 3, INPUTS))
LENGTHS = np.array([6, 0, 4])


def run(network, **how):
    return lj.unroll(network, random_params(network, 1), XS, lengths=LENGTHS, **how)


def test_auto_takes_the_first_without_obstacle(record):
    asked, ran = record
    got = run(fresh(lj.lstm(5)))
    assert ran == [("swift", "lstm")]
    assert asked == [("never", "lstm", (6, 3, 20)), ("swift", "lstm", (6, 3, 20))]
    assert_close(got, run(lj.lstm(5), method="scan"))


def test_auto_decides_for_each_layer(record):
    _, ran = record
    pair = lj.bidirectional(fresh(lj.gru(5)), fresh(lj.lstm(5)))
    run(lj.stack(fresh(lj.gru(5)), fresh(lj.lstm(5)), pair))
    assert ran == [("fused", "gru"), ("swift", "lstm"), ("fused", "gru"), ("swift", "lstm")]


@pytest.mark.parametrize("order", [(), ("never",)])
def test_auto_ends_with_fused(record, monkeypatch, order):
    _, ran = record
    monkeypatch.setitem(methods.PREFERENCE, "cpu", order)
    run(fresh(lj.lstm(5)))
    monkeypatch.setattr(jax, "default_backend", lambda: "abacus")
    run(fresh(lj.lstm(5)))
    assert ran == [("fused", "lstm")] * 2


def test_auto_asks_in_the_order_of_the_platform(record, monkeypatch):
    _, ran = record
    monkeypatch.setitem(methods.PREFERENCE, "gpu", ("scan", "swift"))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    run(fresh(lj.lstm(5)))
    assert ran == [("scan", "lstm")]


def test_a_request_is_served_or_refused(record, monkeypatch):
    _, ran = record
    monkeypatch.setitem(methods.PREFERENCE, "cpu", ("fused",))
    for method in ("swift", "scan"):
        run(fresh(lj.lstm(5)), method=method)
    assert ran == [("swift", "lstm"), ("scan", "lstm")]
    with pytest.raises(ValueError) as caught:
        run(lj.stack(fresh(lj.lstm(5)), fresh(lj.gru(5))), method="swift")
    assert str(caught.value) == (
        'method "swift" cannot run gru: swift knows no such cell; use method="fused"'
    )


def test_obstacles_see_the_noise(record):
    asked, _ = record
    cell = fresh(lj.zoneout(lj.lstm(5), 0.1))
    run(cell)
    run(cell, key=jax.random.key(0))
    with_noise = ((6, 3, 20), {"h": (6, 3, 5), "c": (6, 3, 5)})
    assert [shapes for _, _, shapes in asked] == [((6, 3, 20), None), with_noise]


def test_neither_gates_nor_no_steps_ask(record):
    asked, ran = record
    cell = fresh(lj.gru(5))
    lj.gates(cell, random_params(cell, 1), XS)
    lj.unroll(cell, random_params(cell, 1), XS[:0], method="never")
    assert not asked and ran == [("scan", "gru")]


def test_every_preference_is_a_method():
    assert set(methods.PREFERENCE) >= {"cpu", "gpu"}
    for order in methods.PREFERENCE.values():
        assert set(order) <= set(methods.METHODS)


def test_unmeasured_methods_are_not_preferred():
    """Until they are measured on a GPU, "auto" takes there what it takes on the CPU."""
    assert set(methods.PREFERENCE.values()) == {("fused",)}
