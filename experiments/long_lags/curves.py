"""One picture for all cells: how often they succeed, against the lag."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_jax.analysis import style

AT = "right_fraction_at_"  # how a test value at another lag is called
MARKS = "os^Dv<>P"  # tell lines apart in gray
COLUMNS = 4
Points = dict[int, float]  # values by lag
Found = Mapping[str, Mapping[str, Mapping[str, Any]]]  # results by experiment, then by cell


def success(found: Found, path: Path) -> None:
    """Draws success against the lag, a panel for each question, a line for each cell.

    Where a task was trained at several lags, a panel shows which share of the seeds solved it at
    each. Where a model was tested at lags that it never trained on, a panel shows the share of
    right test sequences, the lag of training as a filled mark.

    Args:
        found: the results of each experiment's cells.
        path: the PNG to write.
    """
    panels = _trained(found) + _tested(found)
    cells = list(next(iter(found.values())))
    rows = max(-(-len(panels) // COLUMNS), 1)
    figure = Figure(figsize=(12, 0.8 + 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, panel, cells)
    for axis in list(axes)[len(panels) :]:
        axis.axis("off")
    if panels:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(cells), frameon=False)
    figure.savefig(path, dpi=150)


class Panel(dict[str, Points]):
    """Each cell's points, under a title, and at which lag they were trained (None: at each)."""

    def __init__(self, title: str, trained_at: int | None, points: Mapping[str, Points]) -> None:
        super().__init__(points)
        self.title, self.trained_at = title, trained_at


def _trained(found: Found) -> list[Panel]:
    """The share of solved members by the lag of training, for each task that has several."""
    tasks: dict[str, dict[str, Points]] = defaultdict(lambda: defaultdict(dict))
    for results in found.values():
        for cell, result in results.items():
            members = result["members"]
            if "solved_at" in members[0]:
                share = sum(m["solved_at"] is not None for m in members) / len(members)
                tasks[_title(result)][cell][result["facts"]["lag"]] = share
    several = {t: cells for t, cells in tasks.items() if len(next(iter(cells.values()))) > 1}
    return [Panel(f"{title}: seeds solved", None, cells) for title, cells in several.items()]


def _tested(found: Found) -> list[Panel]:
    """The share of right test sequences by the lag, for each experiment with lags to test."""
    panels = []
    for results in found.values():
        points: dict[str, Points] = {}
        for cell, result in results.items():
            test = {name: value["mean"] for name, value in result["test"].items()}
            lags = {int(k.removeprefix(AT)): v for k, v in test.items() if k.startswith(AT)}
            if lags:
                own = {result["facts"]["lag"]: test["right_fraction"], **lags}
                points[cell] = dict(sorted(own.items()))
        if points:
            panels.append(Panel(f"{_title(result)}: right", result["facts"]["lag"], points))
    return panels


def _title(result: Mapping[str, Any]) -> str:
    task = result["config"]["task"]
    detail = task.get("variant") or task.get("relevant") or ""
    return f"{task['name'].replace('_', ' ')} {detail}".strip()


def _draw(axis: Axes, panel: Panel, cells: list[str]) -> None:
    for index, cell in enumerate(cells):
        lags, values = list(panel[cell]), list(panel[cell].values())
        color, mark = style.color(index), MARKS[index % len(MARKS)]
        line: dict[str, Any] = {"color": color, "marker": mark, "markersize": 5}
        axis.plot(lags, values, linewidth=1.6, label=cell, **line)
        for lag, value in panel[cell].items():
            if panel.trained_at not in (None, lag):
                axis.plot(lag, value, markerfacecolor="white", zorder=3, **line)
    axis.set_title(panel.title, fontsize=9, loc="left")
    axis.set_xscale("log")
    ticks = sorted({lag for points in panel.values() for lag in points})
    axis.set_xticks(ticks, [f"{lag:,}" for lag in ticks], fontsize=8)
    axis.minorticks_off()
    axis.set_ylim(-0.05, 1.05)
    axis.set_xlabel(
        "lag" if panel.trained_at is None else "lag tested (filled: trained)", fontsize=8
    )
    axis.grid(alpha=0.3)
