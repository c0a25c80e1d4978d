r"""Find the best variant of a network, and which of its settings matter, by random search.

    python -m experiments.study --config=configs/study_music.py \
        --workdir=runs/study
    python -m experiments.study --report --workdir=runs/study
    python -m experiments.study --config=configs/study_quick.py:prices.csv \
        --workdir=runs/prices

Every cell of `config.cells` gets `config.study.trials` trials, each with settings drawn from the
ranges of `config.study`. Trials of one size train at once, in one program; each device, and each
core of a CPU, takes such a population after another. A study that was ended, by whatever, goes on
when the same command is given again.

At the end, and with --report at any time, it writes report/report.html, its pictures, table.md and
findings.md, and prints what it found.
"""

from __future__ import annotations

import os
from pathlib import Path

from absl import flags, logging
from ml_collections import ConfigDict

from experiments import command_line, mesh
from experiments.compare import check_cells
from experiments.study import search
from experiments.study.gather import gather
from experiments.study.run import run
from experiments.training.workdir import open_workdir

REPORT = flags.DEFINE_bool("report", False, "Only report what is there, train nothing.")


def main(config: ConfigDict, workdir: Path) -> None:
    check_cells(config)
    if not REPORT.value:
        search.check(config)
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.ERROR)  # each population would repeat what was said
        with open_workdir(config, workdir):
            run(config, workdir)
    report(config, workdir)


def report(config: ConfigDict, workdir: Path) -> None:
    """Writes and prints what the trials that are finished say."""
    from experiments.study.report import lines, write  # matplotlib and optuna are slow to import

    study = gather(config, workdir)
    page = write(study, workdir / "report")
    print("\n".join(lines(study)))
    print(f"report: {page}")


if __name__ == "__main__":
    mesh.show_cpu_devices(len(os.sched_getaffinity(0)))
    command_line.run(main)
