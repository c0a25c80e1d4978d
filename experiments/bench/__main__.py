r"""Race our layers against each other, against other libraries and against the floor.

    python -m experiments.bench
    python -m experiments.bench --suites=layers --contenders=fused,torch \
        --shapes=128x32x128x128
    python -m experiments.bench --suites=cells --cells=gru,rnn
    python -m experiments.bench --suites=gpu

The suite gpu is not among the default ones: it needs an NVIDIA GPU of the Hopper generation, and
--mode=tiny tries its code on any machine.

It writes results.json, table.md and speed.png, afresh after each suite. Libraries that are not
installed are left out; pip install -e '.[bench]' brings them all.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from absl import flags

import lstm_jax as lj
from experiments import command_line
from experiments.bench import devices, report
from experiments.bench.contenders import CONTENDERS
from experiments.bench.gpu.cases import MODES
from experiments.bench.run import bench
from experiments.bench.settings import Settings, at_least, parse_names, parse_shapes
from experiments.bench.suites import SUITES, USUAL
from experiments.bench.timing import LEAST_ROUNDS

DEFAULT_SHAPES = "128x32x128x128,35x20x256x650,1000x16x64x64,256x64x256x256,784x128x1x128"
DEFAULT_CELLS = "peephole_lstm,coupled_lstm,gru,gru_reset_after,lstmp,layer_norm_lstm,rnn"

CHOSEN = {
    "suites": flags.DEFINE_list("suites", USUAL, "What to measure; gpu is one more."),
    "contenders": flags.DEFINE_list("contenders", list(CONTENDERS), "Who runs in `layers`."),
    "cells": flags.DEFINE_list("cells", DEFAULT_CELLS, "Our cells in `cells`."),
}
SHAPES = flags.DEFINE_list(
    "shapes", DEFAULT_SHAPES, "Time steps, batch, input features and hidden units of each layer."
)
SECONDS = flags.DEFINE_float(
    "seconds", 10.0, f"What one race takes in all, unless {LEAST_ROUNDS} rounds take longer."
)
DEVICES = flags.DEFINE_integer(
    "devices", None, "Devices to split a batch between; one a core by default, 1: none."
)
MODE = flags.DEFINE_enum(
    "mode", "full", list(MODES), "How many layers `gpu` races; tiny ones run on any machine."
)
REPETITIONS = flags.DEFINE_integer(
    "repetitions", 1000, "How often `gpu` repeats its kernel and compares the bits."
)


def main(workdir: Path) -> None:
    cells = lj.CELLS.keys() - {"conv_lstm"}  # whose inputs are frames
    known: dict[str, Collection[str]] = dict(suites=SUITES, contenders=CONTENDERS, cells=cells)
    chosen = {name: parse_names(name, flag.value, known[name]) for name, flag in CHOSEN.items()}
    suites = chosen.pop("suites")
    count = devices.core_count() if DEVICES.value is None else DEVICES.value
    at_least("devices", count, 1)
    at_least("seconds", SECONDS.value, 0)
    at_least("repetitions", REPETITIONS.value, 0)
    settings = Settings(
        shapes=parse_shapes(SHAPES.value), seconds=SECONDS.value, devices=count, mode=MODE.value,
        repetitions=REPETITIONS.value, **chosen,
    )
    report.show(bench(settings, suites, workdir))
    print(f"tables: {workdir / 'table.md'}")


if __name__ == "__main__":
    command_line.run_without_config(main, workdir="runs/bench")
