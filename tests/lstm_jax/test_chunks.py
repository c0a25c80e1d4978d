"""Running "fused" in chunks of time: the same values, gradients and noise, whatever the length."""

import dataclasses

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.recurrence import layer
from lstm_jax.types import cast
from tests.cases import (
    HIDDEN,
    INPUTS,
    ROWS,
    Case,
    assert_close,
    expected,
    fields,
    problem,
    unroll,
)
from tests.lstm_jax.test_gradients import happening, loss_of

RUNS = [  # in chunks of four, eleven steps leave a tail of three
    (Case("rnn"), 11, "gaps reversed"),
    (Case("peephole_lstm"), 11, "gaps reversed"),
    (Case("gru"), 11, "lengths"),
    (Case("min_lstm"), 12, "gaps reversed"),
    (Case("full_gate_recurrence_lstm"), 12, "lengths"),
]


def chunks_of(monkeypatch, size):
    """Has the input part of `size` steps of `ROWS` rows fill a chunk."""
    monkeypatch.setattr(layer, "CACHE_BYTES", 1)
    monkeypatch.setattr(layer, "CHUNK_ROWS", size * ROWS)


def uncompiled(cell):
    """The cell under an identity that was not compiled before, with chunks of another length."""
    return dataclasses.replace(cell, identity=object())


def jaxprs_in(equation):
    """The jaxprs inside an equation of a jaxpr, such as the body of a loop."""
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield inner


def loops(jaxpr):
    """The scans of a jaxpr in order, each as its length and the scans inside it."""
    found = []
    for equation in jaxpr.eqns:
        inside = [loop for inner in jaxprs_in(equation) for loop in loops(inner)]
        name = equation.primitive.name
        found += [(equation.params["length"], inside)] if name == "scan" else inside
    return found


def differentiated(p, method, setting, **more):
    """The loss, outputs and gradient, and the loops that they took."""
    loss, variables, masks = loss_of(p, method, setting, **more)
    traced = jax.jit(jax.value_and_grad(loss, has_aux=True)).trace(variables, masks)
    return traced.lower().compile()(variables, masks), loops(traced.jaxpr.jaxpr)


@pytest.mark.parametrize(("case", "steps", "setting"), RUNS, ids=str)
def test_chunks_change_no_value_and_no_gradient(case, steps, setting, monkeypatch):
    """Nor do they see what the padding holds."""
    chunks_of(monkeypatch, 4)
    p = problem(uncompiled(case.cell()), steps=steps)
    spoiled = np.where(happening(p, setting)[..., None], p.xs, np.nan)
    got, chunked = differentiated(p._replace(xs=spoiled), "fused", setting)
    wanted, whole = differentiated(p, "scan", setting)

    assert whole == [(steps, [])] * 2
    order = [(3, [(4, [])])] if steps == 12 else [(2, [(4, [])]), (3, [])]
    order = order[::-1] if "reversed" in setting else order
    assert chunked == order + order[::-1]

    assert_close(got, wanted, 1e-10)
    state, ys, _ = expected(case, p, setting)
    assert_close(fields(got[0][1][0]), state)
    assert_close(got[0][1][1], ys)


def test_noise_is_the_same_in_chunks_of_any_length(monkeypatch):
    results = []
    for size in 4, 5:
        chunks_of(monkeypatch, size)
        p = problem(uncompiled(lj.zoneout(lj.rnn(HIDDEN), 0.4)), steps=11)
        result, found = differentiated(p, "fused", "lengths reversed", key=jax.random.key(3))
        assert (2, [(size, [])]) in found
        results.append(result)
    assert_close(*results, 1e-11)
    for seed in 3, 4:
        _, ys = unroll(p.cell, p.params, p.xs, initial_state=p.state, lengths=p.lengths,
                       reverse=True, key=jax.random.key(seed), method="scan")
        assert np.allclose(ys, results[0][0][1][1], rtol=0, atol=1e-10) == (seed == 3)


def test_rematerialised_parts_are_run_in_chunks(monkeypatch):
    """Twenty-five steps backwards: three, and two parts of 3 + 4 + 4 each."""
    chunks_of(monkeypatch, 4)
    p = problem(uncompiled(lj.rnn(HIDDEN)), steps=25)
    got, found = differentiated(p, "fused", "gaps reversed", remat=11)
    assert found[:2] == [(3, []), (2, [(3, []), (2, [(4, [])])])]
    assert_close(got, differentiated(p, "scan", "gaps reversed")[0], 1e-10)


def length(cell, steps, rows=ROWS):
    """The length that is chosen for a chunk of a sequence."""
    params = cast(problem(cell).params, cell.compute_dtype)
    return layer.chunk_length(cell, params, np.zeros((steps, rows, INPUTS), cell.compute_dtype))


@pytest.mark.parametrize(
    ("steps", "wanted", "chosen"),
    [(12, 4, 4), (10, 4, 5), (100, 30, 25), (22, 8, 11), (12, 7, 6), (7, 4, 7), (11, 4, 4)],
)
def test_a_chunk_is_the_nearest_divisor_within_a_factor_of_two(
    steps, wanted, chosen, monkeypatch
):
    chunks_of(monkeypatch, wanted)
    assert length(lj.lstm(HIDDEN), steps) == chosen


def test_a_chunk_fills_the_cache_and_has_rows_enough(monkeypatch):
    """Three rows of an LSTM's input part take 3·4H·8 bytes, of a GRU's 3·3H·8."""
    monkeypatch.setattr(layer, "CACHE_BYTES", 6 * 3 * 20 * 8 + 7)
    monkeypatch.setattr(layer, "CHUNK_ROWS", 1)
    assert length(lj.lstm(HIDDEN), 4800) == 6
    assert length(lj.gru(HIDDEN), 4800) == 8
    assert length(lj.lstm(HIDDEN, dtype=np.float32), 4800) == 12
    assert length(lj.lstm(HIDDEN), 4800, rows=ROWS * 2) == 3
    monkeypatch.setattr(layer, "CHUNK_ROWS", 10 * ROWS)
    assert length(lj.lstm(HIDDEN), 4800) == 10
    assert length(lj.gru(HIDDEN), 4800, rows=ROWS * 2) == 5


def test_a_sequence_that_fits_is_run_whole():
    p = problem(uncompiled(lj.lstm(HIDDEN)), steps=101)
    assert length(lj.lstm(HIDDEN), 101) >= 101
    loss, *arguments = loss_of(p, "fused", "lengths")
    assert loops(jax.make_jaxpr(loss)(*arguments).jaxpr) == [(101, [])]


def test_there_are_no_chunks_off_the_cpu_and_none_of_nothing(monkeypatch):
    chunks_of(monkeypatch, 4)
    assert length(lj.lstm(HIDDEN), 12) == 4
    assert length(lj.lstm(HIDDEN), 0) is None
    assert length(lj.lstm(HIDDEN), 12, rows=0) is None
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert length(lj.lstm(HIDDEN), 12) is None
