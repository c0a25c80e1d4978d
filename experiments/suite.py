"""Several comparisons with one command: every cell on every experiment, one table, one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from experiments import mesh, signals, tables
from experiments.compare import check_cells, compare, solved_text
from experiments.config import choose, override
from experiments.training.results import mean_text, write_json
from experiments.training.workdir import open_workdir

Results = dict[str, dict[str, dict[str, Any]]]  # by experiment, then by cell


def run(config: ConfigDict, workdir: Path) -> Results:
    """Makes every comparison of `config.experiments` in a directory of its own.

    Beside them it writes results.json, table.md and success.png.

    Raises:
        ConfigError: before anything is trained, if an experiment is not known or cannot be.
    """
    configs = {name: experiment(config, name) for name in names(config)}
    for own in configs.values():
        check_cells(own)
    with open_workdir(config, workdir):
        found = {}
        for name, own in configs.items():
            signals.check()
            print(f"{name}:", flush=True)
            found[name] = compare(own, workdir / name)
        if mesh.is_main():
            _write(found, workdir)
    return found


def names(config: ConfigDict) -> tuple[str, ...]:
    """The experiments that are to be made, in order."""
    chosen = config.compare.experiments or sorted(config.experiments)
    return tuple(choose("compare.experiments", name, config.experiments) for name in chosen)


def experiment(config: ConfigDict, name: str) -> ConfigDict:
    """The configuration of one comparison."""
    own = override(config, f"config.experiments.{name}", config.experiments[name])
    with own.unlocked():
        own.experiments, own.compare.experiments = ConfigDict(), ()
    return own.lock()


def rows(found: Results) -> list[list[str]]:
    """The table's heading and its rows, one an experiment.

    A cell's entry is the mean number of sequences after which its members had solved the task, or
    the metric where a task has no criterion.
    """
    cells = list(next(iter(found.values())))
    table = [["experiment", "published", *cells]]
    for name, results in found.items():
        published = next(iter(results.values()))["facts"].get("published", "")
        table.append([name, published, *[entry(results[cell]) for cell in cells]])
    return table


def entry(result: dict[str, Any]) -> str:
    """What the table says of one cell on one experiment."""
    members = result["members"]
    if not any("solved_at" in member for member in members):
        return mean_text(result["test"][result["headline"]], several=len(members) > 1)
    return solved_text(result)


def _write(found: Results, workdir: Path) -> None:
    from experiments.long_lags import curves  # matplotlib is slow to import

    write_json(workdir / "results.json", {"experiments": found})
    (workdir / "table.md").write_text(tables.markdown(rows(found)))
    curves.success(found, workdir / "success.png")


def main(config: ConfigDict, workdir: Path) -> None:
    """Runs the suite and shows what came of it."""
    found = run(config, workdir)
    tables.show(rows(found), f"sequences until solved, {config.seeds} seed(s)")
    print(f"success against lag: {workdir / 'success.png'}")
