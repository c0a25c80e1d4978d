"""Look inside a trained run: gradients through time, gates, memory, what its units keep track of.

    python -m experiments.inspect --workdir=runs/char_lm
    python -m experiments.inspect --workdir=runs/demo/temporal_order

It reads the validation split with the best parameters and writes one page with pictures and what
they come to, WORKDIR/inspection/inspection.html, and each picture as PNG. In the directory of a
comparison, as in the second line, the page shows its cells beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ml_collections import ConfigDict

from experiments import command_line
from experiments.config import ConfigError
from experiments.inspection import comparison, report, sections
from experiments.inspection.run import Run, load
from experiments.inspection.section import Section


def inspect(config: ConfigDict, workdir: Path) -> Path:
    """Writes the page about a run or a comparison.

    Raises:
        ConfigError: if there is none in `workdir`, or nothing of it can be inspected.
    """
    if config.experiments:
        raise ConfigError(
            f"{workdir} holds several comparisons; name one of them, such as"
            f" {workdir / next(iter(config.experiments))}"
        )
    shown: Iterable[Section]
    if (workdir / "config.json").exists() and config.cells and not _is_run(workdir):
        runs = comparison.load_all(config, workdir)
        title, shown = f"{', '.join(runs)}: {config.task.name}", comparison.of_runs(runs)
        run = next(iter(runs.values()))
    else:
        run = load(config, workdir)
        title, shown = f"{config.cell.name}: {config.task.name}", sections.of_run(run)
    return report.write(title, _facts(run, workdir), shown, workdir / "inspection")


def _is_run(workdir: Path) -> bool:
    return (workdir / "checkpoints").exists()


def _facts(run: Run, workdir: Path) -> dict[str, str]:
    config = run.config
    return {
        "run": str(workdir),
        "task": config.task.name,
        "split": f"validation, {len(run.reading.batches)} batches",
        "hidden size": str(config.cell.hidden_size),
        "layers": str(config.cell.layers),
        "seed": str(config.seed),
    }


def main(config: ConfigDict, workdir: Path) -> None:
    print(f"page: {inspect(config, workdir)}")


if __name__ == "__main__":
    command_line.run(main)
