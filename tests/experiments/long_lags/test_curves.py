"""The picture of success: which numbers are drawn where."""

from __future__ import annotations

from experiments.long_lags import curves


def result(lag, solved, tested=None, **task):
    test = {"right_fraction": 0.5} | {
        f"right_fraction_at_{k}": v for k, v in (tested or {}).items()
    }
    return {
        "members": [{"solved_at": s} for s in solved],
        "facts": {"lag": lag},
        "test": {name: {"mean": value} for name, value in test.items()},
        "config": {"task": {"name": "noise_free_lag", "variant": "b", **task}},
    }


FOUND = {
    "short": {"rnn": result(10, [7, None]), "lstm": result(10, [7, 9])},
    "long": {
        "rnn": result(100, [None, None], {200: 0.1, 50: 0.9}),
        "lstm": result(100, [7, None], {200: 0.8, 50: 1.0}),
    },
    "other": {
        "rnn": result(100, [7, 7], variant="c"),
        "lstm": result(100, [None, None], variant="c"),
    },
}


def test_a_task_that_was_trained_at_several_lags_has_a_panel_of_solved_seeds():
    (panel,) = curves._trained(FOUND)
    assert panel == {"rnn": {10: 0.5, 100: 0.0}, "lstm": {10: 1.0, 100: 0.5}}
    assert panel.title == "noise free lag b: seeds solved"
    assert panel.trained_at is None


def test_an_experiment_with_other_lags_has_a_panel_of_right_answers():
    (panel,) = curves._tested(FOUND)
    assert panel == {"rnn": {50: 0.9, 100: 0.5, 200: 0.1}, "lstm": {50: 1.0, 100: 0.5, 200: 0.8}}
    assert list(panel["rnn"]) == [50, 100, 200]
    assert panel.trained_at == 100


def test_the_picture_is_written_even_if_there_is_nothing_to_show(tmp_path):
    curves.success(FOUND, tmp_path / "full.png")
    curves.success({"other": FOUND["other"]}, tmp_path / "empty.png")
    full, empty = ((tmp_path / f"{name}.png").stat().st_size for name in ("full", "empty"))
    assert full > 2 * empty > 0
