"""The benchmark: its arithmetic by hand, each contender's calls, and the command."""

import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.bench import alone, layers, suites, timing
from experiments.bench.contenders import CONTENDERS, FLOOR, missing
from experiments.bench.problem import Problem, Shape, Unsuitable, check_outputs
from experiments.bench.run import bench
from experiments.bench.settings import Settings, parse_names, parse_shapes
from experiments.config import ConfigError

ROOT = Path(__file__).parents[2]
SHAPE = Shape(5, 2, 3, 4)


def run(*arguments):
    line = [sys.executable, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)


def calls_of(name, kind):
    """A contender's calls, or a skip where its library is missing or has no such layer."""
    for reason in missing([name], devices=2).values():
        pytest.skip(reason)
    try:
        return CONTENDERS[name](Problem(kind, SHAPE))
    except Unsuitable as reason:
        pytest.skip(f"{name} {reason}")


def test_quartiles_and_ratios_by_hand():
    assert timing.quartiles([4, 1, 3, 2, 5]) == {"lower": 2, "median": 3, "upper": 4}
    # Round by round 1/2, 2/1, 3/12: the ratio of the medians would be 1.
    assert timing.ratio([1, 2, 3], [2, 1, 12]) == {"lower": 0.375, "median": 0.5, "upper": 1.25}


def test_summary_has_ratios_to_each_reference_that_ran():
    found = timing.summarize({"fused": [1.0, 1.0], "torch": [4.0, 4.0]}, ["fused", "scan"])
    assert found["rounds"] == 2
    assert found["seconds"]["torch"]["median"] == 4
    assert {own: list(others) for own, others in found["ratios"].items()} == {"fused": ["torch"]}
    assert found["ratios"]["fused"]["torch"]["median"] == 0.25


def test_means_by_hand():
    def result(**seconds):
        times = {name: [value] for name, value in seconds.items()}
        summary = timing.summarize(times, ["fused", "scan"])
        return {"gradient": summary, "forward": summary}

    races = [result(fused=1, scan=2, keras=4, haiku=8), result(fused=6, scan=3, keras=12, haiku=6)]
    means = layers.means(races)["gradient"]
    wanted = {
        ("fused", "keras"): math.sqrt(1 / 4 * 6 / 12),
        ("scan", "fused"): math.sqrt(2 / 1 * 3 / 6),
        (layers.BEST, "haiku"): math.sqrt(1 / 8 * 3 / 6),
        (layers.BEST, layers.BEST_PEER): math.sqrt(1 / 4 * 3 / 6),
        ("fused", layers.BEST_PEER): math.sqrt(1 / 4 * 6 / 6),
    }
    for (own, other), ratio in wanted.items():
        assert means[own][other] == {"ratio": pytest.approx(ratio), "shapes": 2}
    assert means[layers.BEST]["scan"] == {"ratio": pytest.approx(1 / 2), "shapes": 1}


def test_every_contender_runs_twice_in_every_round(monkeypatch):
    monkeypatch.setattr(timing, "LEAST_ROUNDS", 8)
    made = []
    calls = {name: lambda name=name: made.append(name) for name in "abc"}
    times = timing.race(calls, seconds=0)
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys("abc", 8)
    rounds = np.array(made).reshape(8, 3, 2)
    assert (rounds[..., 0] == rounds[..., 1]).all()
    assert (np.sort(rounds[..., 0]) == list("abc")).all()
    assert len({tuple(order) for order in rounds[..., 0]}) > 1


def test_a_race_goes_on_until_its_time_is_over(monkeypatch):
    monkeypatch.setattr(timing, "LEAST_ROUNDS", 0)
    clock = iter(range(1000))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert len(timing.race({"a": lambda: None}, seconds=50)["a"]) == 17  # three readings a round


@pytest.mark.parametrize("kind", layers.KINDS)
@pytest.mark.parametrize("name", CONTENDERS)
def test_contender(name, kind):
    calls = calls_of(name, kind)
    check_outputs(name, calls, Problem(kind, SHAPE))
    ys, (to_params, to_xs) = calls.gradient()
    np.testing.assert_allclose(np.asarray(ys), np.asarray(calls.forward()), rtol=1e-5, atol=1e-6)
    if calls.batch_major:
        to_xs = np.swapaxes(to_xs, 0, 1)
    assert to_xs.shape == SHAPE[:3]
    assert len(jax.tree.leaves(to_params)) >= 2
    for gradient in map(np.asarray, [to_xs, *jax.tree.leaves(to_params)]):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != FLOOR])
def test_time_and_batch_are_where_they_should_be(name, monkeypatch):
    """A loss on sequence 1 at time 2 has gradients there and before, and nowhere else."""
    arrays = Problem.arrays

    def at_one_place(self, output_size=None):
        xs, dy = arrays(self, output_size)
        only = np.zeros_like(dy)
        only[2, 1] = dy[2, 1]
        return xs, only

    monkeypatch.setattr(Problem, "arrays", at_one_place)
    calls = calls_of(name, "lstm")
    to_xs = np.asarray(calls.gradient()[1][1])
    to_xs = np.swapaxes(to_xs, 0, 1) if calls.batch_major else to_xs
    wanted = np.zeros(SHAPE[:2], bool)
    wanted[:3, 1] = True
    np.testing.assert_array_equal(np.abs(to_xs).max(-1) > 0, wanted)


def test_methods_agree():
    fused, scan = (jax.tree.leaves(calls_of(name, "lstm").gradient()) for name in ("fused", "scan"))
    for a, b in zip(fused, scan, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


TWO_DEVICES = """
import jax, numpy as np
from experiments.bench import devices
devices.set_devices(2)
from experiments.bench.contenders import CONTENDERS
from experiments.bench.problem import Problem, Shape, Unsuitable
problem = Problem("lstm", Shape(5, 4, 3, 4), devices=2)
split, whole = (CONTENDERS[name](problem) for name in ("fused_devices", "fused"))
assert len(split.forward().sharding.device_set) == 2
np.testing.assert_allclose(split.forward(), whole.forward(), rtol=1e-5, atol=1e-6)
for a, b in zip(*(jax.tree.leaves(c.gradient()) for c in (split, whole)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
try:
    CONTENDERS["fused_devices"](Problem("lstm", Shape(5, 3, 3, 4), devices=2))
except Unsuitable as reason:
    print(reason)
"""


def test_two_devices_give_the_values_of_one():
    done = run("-c", TWO_DEVICES)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the batch does not divide by the 2 devices\n"


def check_files(workdir):
    results = json.loads((workdir / "results.json").read_text())
    assert set(results) == {"environment", "left_out", "load_before", "suites"}
    versions = results["environment"]["versions"]
    assert {"jax", "torch", "dm-haiku", "equinox", "keras"} <= set(versions)
    lstm = results["suites"]["layers"]["lstm"]
    at_shape = lstm["shapes"]["5x2x3x4"]
    for which in layers.RACES:
        assert at_shape[which]["rounds"] == timing.LEAST_ROUNDS
        assert set(at_shape[which]["seconds"]) == {"fused", "scan"}
        assert lstm["means"][which]["fused"]["scan"]["ratio"] > 0
    assert at_shape["alone"]["fused"]["first_call_seconds"] > 0
    assert "| fused |" in (workdir / "table.md").read_text()
    assert (workdir / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_a_benchmark_leaves_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(alone, "in_fresh_process", lambda function, *given: function(*given))
    settings = Settings((SHAPE,), ("fused", "scan"), cells=(), seconds=0, devices=1)
    bench(settings, ["layers"], tmp_path)
    check_files(tmp_path)


@pytest.mark.slow
def test_the_command(tmp_path):
    done = run("-m", "experiments.bench", f"--workdir={tmp_path}", "--suites=layers",
               "--contenders=fused,scan", "--shapes=5x2x3x4", "--seconds=0", "--devices=1")
    assert done.returncode == 0, done.stderr
    check_files(tmp_path)


@pytest.mark.slow
def test_every_suite_runs(tmp_path, monkeypatch):
    for name, shape in [("LONG", Shape(20, 2, 3, 4)), ("POPULATION_SHAPE", SHAPE),
                        ("PRECISION_SHAPE", SHAPE)]:
        monkeypatch.setattr(suites, name, shape)
    settings = Settings(
        (SHAPE,), ("fused",), cells=("gru",), seconds=0, devices=1, mode="tiny", repetitions=2
    )
    found = bench(settings, suites.SUITES, tmp_path)["suites"]
    assert set(found) == set(suites.SUITES)
    assert found["cells"][str(SHAPE)]["gradient"]["ratios"]["gru"]["scan"]["median"] > 0
    assert set(found["masks"][str(SHAPE)]["ratios"]) == {"lengths", "resets"}
    assert all(run["temp_bytes"] > 0 for run in found["remat"]["runs"].values())
    assert found["compile"]["first_step"]["compilations"] == 1
    assert found["compile"]["second_step"]["compilations"] == 0
    assert set(found["population"]["ratios"]) == {"vmap", "lax.map"}
    errors = found["precision"]["errors"]
    assert 0 < errors["float32, fused"]["ys"] < 1e-5 < errors["bfloat16, fused"]["ys"] < 0.1
    table = (tmp_path / "table.md").read_text()
    assert all(title in table for title in ("masks, lstm", "remat, lstm", "population, 16 lstms"))


def test_shapes_are_read():
    assert parse_shapes(["1x2x3x4", "784x128x1x128"]) == ((1, 2, 3, 4), (784, 128, 1, 128))


@pytest.mark.parametrize("text", ["12x3", "1x2x3x0", "ax2x3x4", "1x2x3x4x5", "1x2x3x-4", ""])
def test_malformed_shapes_say_what_is_wanted(text):
    with pytest.raises(ConfigError, match=f"--shapes has '{text}', write TxBxDxH"):
        parse_shapes([text])


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ConfigError) as error:
        parse_names("contenders", ["fused", "toch"], CONTENDERS)
    assert str(error.value) == (
        f"--contenders has 'toch', choose from {', '.join(CONTENDERS)}; did you mean 'torch'?"
    )


def test_mistakes_end_with_one_line(tmp_path):
    done = run("-m", "experiments.bench", f"--workdir={tmp_path}", "--suites=layrs")
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]  # others may warn before it
    assert line.startswith("error: --suites has 'layrs', choose from layers, cells, ")
    assert line.endswith("did you mean 'layers'?")
    assert "Traceback" not in done.stderr
