"""A few kills, and the check itself: whatever is bent must be found."""

import json
import random
import re
import shutil

import pytest

from experiments.chaos import chaos, differences, draw
from experiments.config import ConfigError


def test_moments_cover_every_phase_and_lie_near_its_length():
    reference = {
        "seconds": {"compile": 8, "data": 1, "step": 20, "evaluation": 6, "checkpoint": 5},
        "config": {"train": {"eval_every": 10, "checkpoint_every": 4}},
        "steps": 20,
    }
    moments = draw(random.Random(3), reference)
    drawn = [next(moments) for _ in range(600)]
    by_phase = {m.phase: [n for n in drawn if n.phase == m.phase] for m in drawn}
    assert set(by_phase) == {"start", "compile", "data", "step", "evaluation", "checkpoint"}
    assert all(60 < len(found) < 140 for found in by_phase.values())
    assert 2.0 < max(m.delay for m in by_phase["evaluation"]) <= 1.5 * 6 / 3
    assert {m.entry for m in by_phase["step"]} == set(range(1, 9))


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        chaos("configs/chaos.py", tmp_path, kills=1, seed=0)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.slow
def test_killed_runs_end_as_the_one_that_was_let_alone(tmp_path):
    hits, found = chaos("configs/chaos.py", tmp_path, kills=4, seed=1)
    assert hits.total() == 4
    assert found == []

    reference, bent = tmp_path / "reference", tmp_path / "bent"
    shutil.copytree(reference, bent)
    metrics = bent / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + metrics.read_text().splitlines()[-1] + "\n")
    results = json.loads((bent / "results.json").read_text())
    results["members"][0]["test"]["perplexity"] += 1e-12
    results["seconds"]["total"] += 1
    (bent / "results.json").write_text(json.dumps(results))
    shutil.rmtree(bent / "checkpoints" / "90")
    found = differences(reference, bent)
    assert found[:2] == ["metrics.jsonl differs", "results.json: members"]
    assert {"the checkpoint's .step", "the checkpoint's iterator", "the checkpoint's position"} < {
        re.sub(r"\[.*", "", what) for what in found
    }
