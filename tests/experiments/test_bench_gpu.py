"""The suite `gpu` on the CPU: its arithmetic by hand, its child processes, and its refusal."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import tables as text
from experiments.bench import report
from experiments.bench.gpu import child, suite, tables, targets
from experiments.bench.gpu.cases import FULL, MODES, QUICK, TINY, Case
from experiments.bench.gpu.contenders import BARRIERS, CONTENDERS, EMPTY, FLOOR, METHODS, build
from experiments.bench.problem import Unsuitable
from experiments.bench.run import bench
from experiments.bench.settings import Settings
from experiments.config import ConfigError

LSTM, HEADS, GRU = TINY
REFUSAL = 'method "gpu" cannot run lstm: its kernels need a GPU, and JAX runs on cpu'


def settings(mode, repetitions=3):
    return Settings((), (), (), seconds=0, devices=1, mode=mode, repetitions=repetitions)


def result(unavailable=None, **milliseconds):
    """A made-up result of `child.measure`."""
    seconds = {name: {"median": ms / 1e3} for name, ms in milliseconds.items()}
    return {"seconds": seconds, "unavailable": unavailable or {}}


@pytest.fixture
def one_process(monkeypatch):
    """Measures in this process; returns the flags of XLA that others would have had."""
    seen = []

    def in_child(case, names, seconds, repetitions=0, flags=""):
        seen.append(flags)
        return child.measure(case, names, seconds, repetitions)

    monkeypatch.setattr(child, "in_child", in_child)
    return seen


def test_the_cases_are_those_of_the_targets():
    flash = [case for case in FULL if (case.units, case.heads) == (768, 1)]
    assert {(case.cell, case.dtype) for case in flash} == {
        (cell, dtype)
        for cell in ("lstm", "peephole_lstm", "coupled_lstm", "gru_reset_after", "gru", "rnn")
        for dtype in ("bfloat16", "float32")
    }
    assert {(case.batch, case.steps) for case in flash} == {(16, 1024)}
    smaller = {(c.cell, c.units, c.batch, c.heads) for c in FULL if c not in flash}
    assert smaller == {
        ("lstm", 768, 16, 12), ("lstm", 128, 16, 1), ("lstm", 128, 64, 1), ("lstm", 384, 16, 1)
    }
    assert len(FULL) == len({*map(str, FULL)}) == 20
    assert {*QUICK} < {*FULL}


def test_derived_numbers_by_hand():
    found = child.derived({"gpu": 0.008, "torch": 0.004, FLOOR: 0.002}, steps=1000)
    assert found["microseconds_a_step"] == pytest.approx({"gpu": 8, "torch": 4, FLOOR: 2})
    assert found["ratios"] == {"gpu": 2, FLOOR: 0.5}
    assert found["over_floor"] == {"gpu": 4, "torch": 2}
    assert child.derived({"gpu": 1.0}, steps=1)["ratios"] == {}


def test_verdicts_on_made_up_numbers():
    flash = Case("lstm", "bfloat16")
    small = Case("lstm", "float32", units=128)
    heads = Case("lstm", "bfloat16", heads=12)
    plain = Case("gru", "bfloat16")
    measured = {
        str(flash): result(gpu=6, torch=4, scan=100),
        str(small): result(gpu=2, torch=2, scan=10),
        str(heads): result(gpu=8.7, scan=100),
        str(plain): result({"gpu": REFUSAL}, scan=100),
    }
    found = targets.verdicts(measured, [flash, small, heads, plain, Case("rnn", "float32")])
    shown = [(one["target"], one["case"].split(",")[0], targets.in_words(one)) for one in found]
    assert shown == [
        ("at most 2 times torch", "lstm", "met"),
        ("at most 8.6 ms", "lstm", "missed by 1.01 times"),
        ("at most 0.8 times torch", "lstm", "missed by 1.25 times"),
        ("at most 0.1 times scan", "lstm", "met"),
        ("at most 0.1 times scan", "lstm", "missed by 2.00 times"),
        ("at most 0.1 times scan", "lstm", "met"),
        ("at most 0.1 times scan", "gru", f"not measured: gpu is unavailable: {REFUSAL}"),
        ("at most 0.1 times scan", "rnn", "not measured: the mode leaves this case out"),
    ]
    assert [one["value"] for one in found[:3]] == pytest.approx([1.5, 8.7, 1.0])
    exactly = targets.verdicts({str(flash): result(gpu=8, torch=4, scan=80)}, [flash])
    assert [one["verdict"] for one in exactly] == ["met", "met"]


def test_targets_are_those_of_the_cells_they_name():
    found = targets.verdicts({})
    count = {name: sum(one["target"] == name for one in found)
             for name in dict.fromkeys(one["target"] for one in found)}
    assert count == {"at most 2 times torch": 8, "at most 8.6 ms": 2, "at most 0.8 times torch": 4,
                     "at most 0.1 times scan": 20}


@pytest.mark.parametrize("case", TINY, ids=str)
def test_contenders_on_the_cpu(case):
    pytest.importorskip("torch")
    calls, unavailable = build(CONTENDERS, case)
    heads = case is HEADS
    assert set(unavailable) == {"cudnn", "gpu", BARRIERS} | ({"torch"} if heads else set())
    assert unavailable["gpu"].startswith(f'method "gpu" cannot run {case.cell}: ')
    assert not heads or unavailable["torch"] == "torch.nn.LSTM has no heads"
    ys, (to_params, to_xs, to_state) = calls["scan"]()
    assert ys.shape == to_xs.shape == (case.steps, case.batch, case.units)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((ys, to_params, to_xs))} == {case.dtype}
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves((to_params, to_state)))
    off = child.differences({name: calls[name] for name in METHODS if name in calls})
    assert set(off) == {"fused"}
    assert off["fused"] < {"float32": 1e-5, "bfloat16": 0.05}[case.dtype]


def test_the_floor_has_the_products_of_the_cell():
    for case, shape in [(LSTM, (2, 8)), (HEADS, (2, 2, 4)), (GRU, (2, 8))]:
        h = np.asarray(CONTENDERS[FLOOR](case)(), np.float32)
        assert h.shape == shape
        assert 0 < np.abs(h).max() < 10
    np.testing.assert_allclose(CONTENDERS[EMPTY](LSTM)(), np.full((2, 8), 2.0**-6))


def test_repetitions_are_compared_by_bits():
    zero, nan = np.float32(0), np.float32(np.nan)
    answers = iter([zero, zero, -zero, zero, np.float32(1e-45)])
    found = child.repeat(lambda: (jnp.ones(3), jnp.asarray(next(answers))), 4)
    assert found == {"repetitions": 4, "differing": 2}
    assert tables.in_bits(found) == "2 of 4 repetitions differ"
    same = child.repeat(lambda: jnp.asarray([nan, 1], jnp.bfloat16), 1000)
    assert tables.in_bits(same) == "1,000 repetitions bitwise equal"


def test_repetitions_that_fail_have_a_reason():
    answers = [jnp.ones(2)]
    found = child.repeat(answers.pop, 2)
    assert tables.in_bits(found) == "not repeated: IndexError: pop from empty list"


def test_a_child_gets_the_flag_after_those_that_are_there():
    assert "--xla_gpu_enable_command_buffer=+WHILE" in child.COMMAND_BUFFERS.split()
    given = {"XLA_FLAGS": "--xla_dump_to=here", "HOME": "there"}
    assert child.environment(given, child.COMMAND_BUFFERS) == {
        "XLA_FLAGS": f"--xla_dump_to=here {child.COMMAND_BUFFERS}", "HOME": "there"
    }
    assert child.environment({}, child.COMMAND_BUFFERS)["XLA_FLAGS"] == child.COMMAND_BUFFERS
    assert child.environment(given, "") == given
    assert child.command({"seconds": 0}) == [
        sys.executable, "-m", "experiments.bench.gpu.child", '{"seconds": 0}'
    ]


def test_xla_knows_the_flag():
    found = child.in_child(LSTM, ["scan", "gpu"], seconds=0, flags=child.COMMAND_BUFFERS)
    assert found["seconds"]["scan"]["median"] > 0
    assert found["unavailable"]["gpu"].startswith(REFUSAL)


def test_a_child_that_dies_or_hangs_has_a_reason(monkeypatch):
    def answer(program):
        monkeypatch.setattr(child, "command", lambda request: [sys.executable, "-c", program])
        return child.in_child(LSTM, ["scan"], seconds=0)

    dead = answer("raise SystemExit('illegal memory access')")
    assert dead == {"failed": "the process ended with code 1 (illegal memory access)"}
    monkeypatch.setattr(child, "PATIENCE", 0.1)
    hung = answer("import time; time.sleep(60)")
    assert hung == {"failed": "the process gave no answer in 0 seconds"}


def test_without_gpu_the_others_run_where_their_process_died(monkeypatch):
    def in_child(case, names, *rest, **more):
        return {"failed": "the process ended with code -6 ()"} if "gpu" in names else result(scan=1)

    monkeypatch.setattr(child, "in_child", in_child)
    found = suite.contest(LSTM, settings("tiny"))
    assert found["seconds"]["scan"]["median"] == 1e-3
    assert found["unavailable"] == {"gpu": "the process ended with code -6 ()"}
    monkeypatch.setattr(child, "in_child", lambda *given, **more: {"failed": "dead"})
    assert set(suite.contest(LSTM, settings("tiny"))["unavailable"]) == set(CONTENDERS)
    assert suite.one_case(LSTM, settings("tiny"))["command_buffers"]["over_without"] == {}


def test_the_suite_leaves_its_files(tmp_path, monkeypatch, one_process):
    monkeypatch.setitem(MODES, "tiny", (LSTM, HEADS))
    bench(settings("tiny"), ["gpu"], tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())["suites"]["gpu"]
    assert one_process == ["", child.COMMAND_BUFFERS] * 2
    assert set(found["cases"]) == {str(LSTM), str(HEADS)}
    for part in found["cases"].values():
        medians = {name: q["median"] for name, q in part["seconds"].items()}
        for field, reference in [("ratios", "torch"), ("over_floor", FLOOR)]:
            wanted = {name: s / medians[reference] for name, s in medians.items()
                      if reference in medians and name != reference}
            assert part[field] == pytest.approx(wanted)
        buffered = part["command_buffers"]
        for name in ("scan", "fused"):
            assert part["microseconds_a_step"][name] == pytest.approx(1e6 * medians[name] / 6)
            assert buffered["over_without"][name] == pytest.approx(
                buffered["seconds"][name]["median"] / medians[name]
            )
    assert {one["verdict"] for one in found["targets"]} == {"not measured"}
    written = (tmp_path / "table.md").read_text()
    assert f"unavailable: {REFUSAL}" in written
    assert "not measured: the mode leaves this case out" in written
    assert "not repeated: method" in written


def test_without_a_gpu_it_says_so():
    with pytest.raises(ConfigError, match="--suites=gpu needs an NVIDIA GPU .* JAX runs on cpu"):
        suite.gpu(settings("full", 1000))
    with pytest.raises(ConfigError, match="on 6 layers.* repeats gpu 1,000 times"):
        suite.require_gpu(settings("quick", 1000))
    suite.require_gpu(settings("tiny"))


def test_reasons_are_shown_as_they_are(capsys):
    text.show(tables.times(result({"gpu": "no [/kernel] of [bold]"})), "gpu")
    assert "unavailable: no [/kernel] of [bold]" in capsys.readouterr().out


def test_the_machine_is_named_by_its_gpu():
    made_up = {"usable_cores": 8, "versions": {"jax": "0.10"}}
    line = report.machine({**made_up, "device": "H", "platform": "gpu"})
    assert line == "H, 8 cores; jax 0.10.\n"
    line = report.machine({**made_up, "device": "C", "platform": "cpu"})
    assert line == "8 cores of C; jax 0.10.\n"


@pytest.mark.skipif(jax.__version_info__ < (0, 10), reason="the kernels need jax 0.10 or newer")
def test_the_meetings_of_thread_blocks_are_a_kernel_of_their_own():
    from experiments.bench.gpu import barriers
    from lstm_jax.recurrence.gpu.device import HOPPER, Device

    hopper = Device(HOPPER, False)
    for units in (384, 768):
        case = Case("lstm", "bfloat16", units=units, steps=5)
        kernel = jax.jit(barriers.launched(case, hopper))
        text = kernel.trace().lower(lowering_platforms=("cuda",)).as_text()
        assert text.count("custom_call @mosaic_gpu") == 1
    with pytest.raises(Unsuitable, match="one thread block holds all units"):
        barriers.launched(Case("lstm", "bfloat16", units=768, heads=12), hopper)
    with pytest.raises(Unsuitable, match="it needs a GPU"):
        barriers.meetings(case)
