"""Gate statistics, what units keep, where states go: against NumPy over the valid steps."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

import lstm_jax as lj
from lstm_jax import analysis
from tests.cases import assert_close
from tests.lstm_jax.analysis.conftest import LENGTHS, problem_of, taken_apart


def valid(layer, values):
    """The rows of the steps that happened."""
    return np.asarray(values)[np.asarray(layer.mask)]


def test_gate_statistics_are_those_of_all_valid_steps():
    p = problem_of(lj.lstm(5))
    batches = [
        analysis.layers(p.cell, p.params, 5 * xs, lengths=lengths)[0]
        for xs, lengths in ((p.xs, LENGTHS), (p.xs[:5], np.array([5, 2, 0])))
    ]
    found = analysis.gate_statistics(*batches)
    assert set(found) == {"i", "f", "o"}
    for name, own in found.items():
        rows = np.concatenate([valid(layer, layer.record[name]) for layer in batches])
        assert_close(own.mean, rows.mean(axis=0), 1e-6)
        assert_close(own.left, (rows < 0.1).mean(axis=0), 1e-6)
        assert_close(own.right, (rows > 0.9).mean(axis=0), 1e-6)
        assert 0 < np.mean(own.left) < 1 and 0 < np.mean(own.right) < 1
        fifth = [np.asarray(b.record[name])[4][np.asarray(b.mask)[4]] for b in batches]
        assert_close(own.over_time[4], np.concatenate(fifth).mean(), 1e-6)


def test_steps_that_no_sequence_has_are_nan(layer):
    short = layer._replace(mask=layer.mask.at[5:].set(False))
    assert np.isnan(analysis.gate_statistics(short)["f"].over_time).tolist() == [False] * 5 + [
        True
    ] * 2
    with pytest.raises(ValueError, match="there is no valid step"):
        analysis.gate_statistics(layer._replace(mask=layer.mask & False))


KEEPS = {
    "lstm": lambda r: r["f"],
    "coupled_lstm": lambda r: r["f"],
    "layer_norm_lstm": lambda r: r["f"],
    "full_gate_recurrence_lstm": lambda r: r["f"],
    "min_lstm": lambda r: r["f"],
    "gru": lambda r: 1 - r["z"],
    "min_gru": lambda r: 1 - r["z"],
    "gru_reset_after": lambda r: r["z"],
    "no_forget_lstm": lambda r: np.ones_like(r["g"]),
    "rnn": lambda r: np.zeros_like(r["h"]),
}


@pytest.mark.parametrize("name", KEEPS)
def test_retention_is_read_off_the_equations(name):
    (layer,) = taken_apart(lj.CELLS[name](5))
    assert_close(analysis.retention(layer), np.asarray(KEEPS[name](layer.record)), 1e-10)


def test_diagonal_peepholes_are_part_of_what_is_kept():
    """c' = σ(a + pc)·c + σ(b + qc)·g, differentiated by hand."""
    (layer,) = taken_apart(lj.peephole_lstm(5))
    r = {name: np.asarray(values) for name, values in layer.record.items()}
    c, (p_i, p_f, _) = np.asarray(layer.states_before().c), np.asarray(layer.params.peephole)
    wanted = r["f"] + c * r["f"] * (1 - r["f"]) * p_f + r["g"] * r["i"] * (1 - r["i"]) * p_i
    assert_close(analysis.retention(layer), wanted, 1e-10)


def test_time_constants_over_valid_steps(layer):
    found = analysis.time_constants(layer, layer._replace(mask=layer.mask.at[3:].set(False)))
    forget, mask = np.asarray(layer.record["f"]), np.asarray(layer.mask)
    rows = np.concatenate([forget[mask], forget[:3][mask[:3]]])
    assert_close(found, -1 / np.log(rows).mean(axis=0), 1e-10)


def test_time_constants_of_those_that_keep_all_or_nothing():
    (whole,), (nothing,) = taken_apart(lj.no_forget_lstm(5)), taken_apart(lj.rnn(5))
    assert np.isinf(analysis.time_constants(whole)).all()
    assert not np.any(analysis.time_constants(nothing))


def test_time_constants_of_nothing_are_refused(layer):
    with pytest.raises(ValueError, match="time_constants: there is no valid step"):
        analysis.time_constants(layer._replace(mask=layer.mask & False))


def test_candidates_of_any_name_are_no_gates(layer):
    named = {**layer.record, "candidate": layer.record["g"], "open": layer.record["f"]}
    assert analysis.gate_names(layer._replace(record=named)) == ("f", "i", "o", "open")


@pytest.mark.parametrize("noise", ["none", "zoneout", "drop_connect"])
def test_cells_with_noise_and_projections_keep(noise):
    """The expectation of zoneout keeps its rate of the old state as well."""
    base = lj.lstmp(4, projection_size=3)
    (layer,) = taken_apart(base if noise == "none" else getattr(lj, noise)(base, 0.25))
    f = np.asarray(layer.record["f"])
    wanted = 0.25 + 0.75 * f if noise == "zoneout" else f
    assert_close(analysis.retention(layer), wanted, 1e-10)


def test_no_steps_have_no_states():
    p = problem_of(lj.lstm(5))
    (layer,) = analysis.layers(p.cell, p.params, p.xs[:0])
    assert analysis.retention(layer).shape == (0, 3, 5)
    assert analysis.jacobians(layer).shape == (0, 3, 10, 10)


def test_trajectories_are_principal_components(layer):
    found = analysis.trajectories(layer, "c", 3)
    rows = valid(layer, layer.record["c"])
    wanted = PCA(3).fit(rows)
    assert_close(found.explained, wanted.explained_variance_ratio_, 1e-5)
    signs = np.sign(np.sum(np.asarray(found.components) * wanted.components_, axis=1))
    assert_close(found.components * signs[:, None], wanted.components_, 1e-4)
    assert_close(valid(layer, found.points) * signs, wanted.transform(rows), 1e-4)
    assert np.isnan(np.asarray(found.points)[~np.asarray(layer.mask)]).all()


def test_trajectories_name_what_they_cannot_project(layer):
    with pytest.raises(ValueError, match="field is 'z'; give one of h, c"):
        analysis.trajectories(layer, "z")
    with pytest.raises(ValueError, match="components is 6; give 1 to 5"):
        analysis.trajectories(layer, components=6)
