"""Compare five cells on a memory task and on text, in a few minutes on two processor cores.

    python -m experiments.demo
    python -m experiments.demo --workdir=runs/another

A demo that was interrupted goes on where it was; one that is finished is shown again.
"""

from __future__ import annotations

from pathlib import Path

from ml_collections import ConfigDict

from configs import demo_char_lm, demo_temporal_order
from experiments import command_line
from experiments.compare import cell_config, compare, show
from experiments.config import resolve
from experiments.sample import sample


def main(workdir: Path) -> None:
    order = resolve(demo_temporal_order.get_config())
    text = resolve(demo_char_lm.get_config())
    _compare(order, workdir / "temporal_order", "Temporal order, lag of about 50 steps")
    _compare(text, workdir / "char_lm", "Characters of Python's standard library")
    for name in text.cells:
        print(f"\n{name} writes:\n")
        _sample(cell_config(text, name), workdir / "char_lm" / name)
    print("\nplots:")
    for path in sorted(workdir.rglob("*.png")):
        print(f"  {path}")


def _compare(config: ConfigDict, workdir: Path, title: str) -> None:
    if (workdir / "results.json").exists():
        print(f"finished before; delete {workdir} to run it afresh")
    show(compare(config, workdir), title)


def _sample(config: ConfigDict, workdir: Path) -> None:
    written = workdir / "samples" / "samples.txt"
    if written.exists():
        print(written.read_text())
    else:
        sample(config, workdir, prompt="def ", length=300, temperature=0.7)


if __name__ == "__main__":
    command_line.run_without_config(main, workdir="runs/demo")
