r"""Train several cells on the same task for the same budget, and say which is best.

    python -m experiments.compare --config=configs/music.py --workdir=runs/music
    python -m experiments.compare --config=configs/char_lm.py \
        --workdir=runs/cells --config.cells=lstm,gru --config.seeds=3
    python -m experiments.compare --config=configs/long_lags.py \
        --workdir=runs/long_lags

Each cell trains in a directory of its own, all its seeds at once; a comparison that was
interrupted goes on where it was. Beside them it writes results.json, table.md and curves.png.

A configuration with `experiments`, such as configs/long_lags.py, has a comparison for each, and
success.png, the share of solved runs and of right answers against the lag.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

import lstm_jax as lj
from experiments import command_line, mesh, tables
from experiments.config import ConfigError, choose, override
from experiments.train import train
from experiments.training.results import mean_text, parameter_count, write_json
from experiments.training.workdir import open_workdir

Results = dict[str, dict[str, Any]]


def compare(config: ConfigDict, workdir: Path) -> Results:
    """Trains every cell of `config.cells` and writes the comparison.

    Returns:
        Each cell's results, as its own `results.json` has them.
    """
    check_cells(config)
    if not (workdir / "results.json").exists():
        command_line.build_task(cell_config(config, config.cells[0]))  # before anything is written
    with open_workdir(config, workdir):
        found = {name: train(cell_config(config, name), workdir / name) for name in config.cells}
        if mesh.is_main():
            _write(found, workdir)
    return found


def check_cells(config: ConfigDict) -> None:
    """Raises `ConfigError` for names in `config.cells` that cannot be compared, or none."""
    if not config.cells:
        raise ConfigError(
            "config.cells is empty; name the cells to compare: --config.cells=lstm,gru"
        )
    for name in config.cells:
        choose("cells", name, [*lj.CELLS, *config.variants])
        _variant(config, name)


def _write(found: Results, workdir: Path) -> None:
    from experiments import plots  # matplotlib is slow to import

    write_json(workdir / "results.json", {"cells": found})
    (workdir / "table.md").write_text(markdown(found))
    directories = {name: workdir / name for name in found}
    plots.learning_curves(directories, metric_of(found), workdir / "curves.png")


def cell_config(config: ConfigDict, name: str) -> ConfigDict:
    """The configuration of one cell's run, its size by the rule `config.compare.match`.

    The name is a cell's, or one of `config.variants`.
    """
    own = _variant(config, name)
    if config.compare.match == "parameters":
        own.cell.hidden_size = matching_size(own, _count(config))
    return own.lock()


def _variant(config: ConfigDict, name: str) -> ConfigDict:
    own = override(config, f"config.variants.{name}", config.variants.get(name, {}))
    with own.unlocked():
        own.cells, own.variants = (), ConfigDict()
    if name not in config.variants:
        own.cell.name = name
    return own


def matching_size(config: ConfigDict, wanted: int) -> int:
    """The hidden size whose parameter count is nearest to `wanted`, by bisection.

    With heads it is a multiple of them.
    """
    heads = config.cell.get("heads") or 1

    def count(units: int) -> int:
        trial = config.copy_and_resolve_references()
        trial.cell.hidden_size = heads * units
        return _count(trial)

    low, high = 1, 2
    while count(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return heads * min((low, high), key=lambda units: abs(count(units) - wanted))


def rows(found: Results) -> list[list[str]]:
    """The table's heading and its rows, one a cell."""
    metric = next(iter(found.values()))["headline"]
    solvable = any("solved_at" in m for r in found.values() for m in r["members"])
    solved = ["solved after"] if solvable else []
    table = [["cell", "parameters", metric.replace("_", " "), *solved, "steps/s", "seconds"]]
    for name, result in found.items():
        table.append(
            [
                name,
                f"{result['parameters']:,}",
                _value(result, metric),
                *([solved_text(result)] if solvable else []),
                f"{result['steps_per_second'] or 0:.1f}",
                f"{result['seconds']['total']:.0f}",
            ]
        )
    return table + _baselines(found, metric, len(table[0]))


def markdown(found: Results) -> str:
    """The comparison as a Markdown table."""
    return tables.markdown(rows(found))


def show(found: Results, title: str) -> None:
    """Prints the comparison."""
    tables.show(rows(found), title)


def metric_of(found: Results) -> str:
    """The metric that the cells are compared by."""
    return next(iter(found.values()))["metric"]


def _baselines(found: Results, metric: str, columns: int) -> list[list[str]]:
    """A row for each simpler model of which the metric is known."""
    known = next(iter(found.values()))["baselines"]
    models = [(name, values[metric]) for name, values in known.items() if metric in values]
    return [[name, "", f"{value:.4f}", *[""] * (columns - 3)] for name, value in models]


def _value(result: dict[str, Any], metric: str) -> str:
    return mean_text(result["test"][metric], several=len(result["members"]) > 1)


def solved_text(result: dict[str, Any]) -> str:
    """The mean number of training sequences, and how many of the members made it if not all."""
    members = result["members"]
    after = [m["solved_at"] for m in members if m["solved_at"]]
    if not after:
        return "never"
    share = "" if len(after) == len(members) else f" ({len(after)} of {len(members)})"
    return f"{sum(after) / len(after):,.0f}{share}"


def _count(config: ConfigDict) -> int:
    task = command_line.build_task(config)
    return parameter_count(jax.eval_shape(task.init, jax.random.PRNGKey(0)))


def main(config: ConfigDict, workdir: Path) -> None:
    if config.experiments:
        from experiments import suite

        suite.main(config, workdir)
        return
    if (workdir / "results.json").exists():
        print(f"the comparison in {workdir} is complete; choose another --workdir to run afresh")
    show(compare(config, workdir), f"{config.task.name}, {config.seeds} seed(s)")
    print(f"curves: {workdir / 'curves.png'}")
    print(command_line.next_step("inspect", workdir))


if __name__ == "__main__":
    command_line.run(main)
