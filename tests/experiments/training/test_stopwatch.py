"""Seconds go into the bucket in which they were spent, compilation into its own."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from experiments.training import stopwatch
from experiments.training.loop import fit
from experiments.training.stopwatch import BUCKETS, Stopwatch
from tests.experiments.conftest import toy_task


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, and how much of its time went into compilation."""
    clock = {"now": 100.0, "compiled": 7.0}
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(stopwatch, "compile_seconds", lambda: clock["compiled"])
    return clock


def test_compilation_is_taken_out_of_the_bucket_around_it(clock):
    watch = Stopwatch()
    watch.add({"data": 1.0, "total": 50.0, "compile": 3.0})
    with watch("step"):
        clock.update(now=110.0, compiled=11.0)
    clock["now"] = 112.0
    with watch("data"):
        clock["now"] = 115.0
    read = watch.read()
    assert read == {
        "compile": 7.0, "data": 4.0, "step": 6.0, "evaluation": 0, "checkpoint": 0, "total": 65.0,
    }  # fmt: skip
    clock["now"] = 116.0
    assert watch.read()["total"] == 66.0


def test_time_counts_though_the_work_fails(clock):
    watch = Stopwatch()
    with pytest.raises(OSError), watch("checkpoint"):
        clock["now"] = 104.0
        raise OSError
    assert watch.seconds["checkpoint"] == 4.0


def test_entering_a_bucket_is_an_event(clock):
    heard = []
    jax.monitoring.register_event_listener(lambda event, **_: heard.append(event))
    with Stopwatch()("evaluation"):
        pass
    assert heard == ["/lstm_jax/evaluation"]


def test_a_run_reports_where_its_time_went(config, tmp_path):
    seconds = fit(toy_task(config), config, tmp_path)["seconds"]
    assert set(seconds) == {*BUCKETS, "total"}
    assert all(value > 0 for value in seconds.values())
    assert sum(seconds[name] for name in BUCKETS) <= seconds["total"]


@pytest.mark.slow
def test_a_profile_opens_in_perfetto(tmp_path):
    line = [sys.executable, "-m", "experiments.train", "--config=configs/temporal_order.py"]
    line += ["--config.mode=tiny", "--profile", f"--workdir={tmp_path}"]
    root = Path(__file__).parents[3]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"ui.perfetto.dev: {tmp_path / 'profile'}" in done.stdout
    (trace,) = tmp_path.glob("profile/**/perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    names = [event.get("name") for event in events]
    assert (names.count("data"), names.count("step")) == (5, 6)  # of a step each; the last waits
