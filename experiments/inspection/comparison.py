"""Several trained runs beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from experiments.compare import cell_config
from experiments.inspection import sections
from experiments.inspection.run import Run, flow, load, middle
from experiments.inspection.section import Section
from lstm_jax import analysis


def load_all(config: ConfigDict, workdir: Path) -> dict[str, Run]:
    """The runs of a comparison, by the names of `config.cells`."""
    return {name: load(cell_config(config, name), workdir / name) for name in config.cells}


def of_runs(runs: dict[str, Run]) -> Iterator[Section]:
    """The sections of a comparison: those that a picture can hold together, of the first layers."""
    firsts = {name: next(iter(run.parts.values())) for name, run in runs.items()}
    yield sections.gradient_flow({name: flow(middle(own)) for name, own in firsts.items()})
    yield sections.time_constants(
        {name: analysis.time_constants(*own) for name, own in firsts.items()}
    )
    curves = {name: run.curves for name, run in runs.items() if run.curves is not None}
    if curves:
        yield sections.overfitting(curves)
