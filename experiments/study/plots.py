"""The pictures of a study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.study.analysis import (
    Comparison,
    best,
    comparisons,
    correlations,
    number,
    of_variant,
    searched,
    worse,
)
from experiments.study.forest import FOREST_TRIALS, Marginal, importances, marginals
from experiments.study.trials import Outcome, Study
from lstm_jax.analysis.style import COLORS, STYLES

BLUE, VERMILION, GREEN = COLORS[:3]
GRAY = "#999999"
WIDTH = 6.4  # inches: so narrow that a phone shows the text large enough
FAR = 3.0  # interquartile ranges beyond the quartiles: what lies further off is not the bulk
MANY = 7  # variants that colors can tell apart


def boxes(study: Study, path: Path) -> None:
    """Draws the test metric of each variant's best trials, with the points and the parameters.

    An axis that would show one variant only ends at the bulk; what lies beyond is an arrow with
    the median of the points there.
    """
    found = comparisons(study)
    values = [[o.test for o in best(study, c.variant) if o.test is not None] for c in found]
    low, high = bulk([value for line in values for value in line])
    figure = Figure(figsize=(WIDTH, 1.5 + 0.36 * len(found)), layout="constrained")
    axes, sizes = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    for row, (comparison, line) in enumerate(zip(found, values, strict=True)):
        color = _color(study, comparison)
        _box(axes, row, line, color)
        _beyond(axes, row, line, low, high)
        if comparison.parameters is not None:
            sizes.barh(row, comparison.parameters, height=0.5, color=color, alpha=0.6)
            text = f" {comparison.parameters:,.0f}"
            sizes.text(0, row, text, va="center", fontsize=8)
    axes.set_xlim(low, high)
    axes.set_yticks(range(len(found)), [_label(comparison) for comparison in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlabel(f"test {_metric(study)} of the best {study.best}")
    axes.grid(axis="x", alpha=0.3)
    sizes.set_xlabel("parameters")
    sizes.set_xticks([])
    sizes.spines[["top", "right", "bottom"]].set_visible(False)
    sizes.tick_params(left=False)
    _legend_of_boxes(study, figure, found)
    figure.savefig(path, dpi=150)


def importance(study: Study, path: Path) -> None:
    """Draws which share of the variance each hyperparameter explains, a bar for each variant."""
    names, variants = searched(study), list(study.planned)
    figure = Figure(figsize=(WIDTH, 1.3 + 0.34 * len(variants)), layout="constrained")
    axes = figure.subplots()
    for row, variant in enumerate(variants):
        shares = importances(study, variant)
        if shares is None:
            few = len(of_variant(study, variant)) < FOREST_TRIALS
            text = f"fewer than {FOREST_TRIALS} trials" if few else "no trial differs from another"
            axes.text(0.01, row, text, va="center", fontsize=8, color="#555555")
            continue
        left = 0.0
        for share, color in zip(shares.values(), COLORS, strict=False):
            axes.barh(row, share, left=left, color=color, height=0.7)
            if share > 0.07:
                middle = left + share / 2
                axes.text(
                    middle, row, f"{100 * share:.0f}", ha="center", va="center", color="white"
                )
            left += share
        axes.barh(row, max(1 - left, 0), left=left, color="#DDDDDD", hatch="///", height=0.7)
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 6), [f"{p} %" for p in range(0, 101, 20)])
    axes.set_xlabel("share of the variance of the test metric")
    keys = [Patch(color=c, label=_name(n)) for n, c in zip(names, COLORS, strict=False)]
    keys.append(Patch(facecolor="#DDDDDD", hatch="///", label="several together"))
    figure.legend(handles=keys, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def marginal_curves(study: Study, path: Path) -> None:
    """Draws what a forest expects along each hyperparameter, a panel for each.

    A line is a variant; where colors would not tell them apart, the line is the variants' median,
    the band reaches from their lower to their upper quartile, and the reference is dashed.
    """
    found = {v: m for v in study.planned if (m := marginals(study, v)) is not None}
    names = searched(study)
    rows = -(-len(names) // 2)
    figure = Figure(figsize=(WIDTH, 0.6 + 2.4 * rows), layout="constrained")
    panels = list(figure.subplots(rows, 2, sharey=True, squeeze=False).flat)
    for index, (axes, name) in enumerate(zip(panels, names, strict=False)):
        lines = {variant: curves[index] for variant, curves in found.items()}
        if len(found) > MANY:
            _summary(axes, study, lines)
        else:
            _lines(axes, study, lines)
        _scale(axes, study, name)
        axes.grid(alpha=0.3)
    for axes in panels[len(names) :]:
        axes.axis("off")
    figure.supylabel(f"expected test {_metric(study)}", fontsize=10)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def learning_rates(study: Study, path: Path) -> None:
    """Draws the test metric of all trials over the learning rate, a panel for each variant.

    Trials that diverged are crosses, and those beyond the bulk triangles, at the panel's edge.
    """
    variants = list(study.planned)
    columns = min(3, len(variants))
    rows = -(-len(variants) // columns)
    figure = Figure(figsize=(WIDTH, 0.7 + 1.75 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    low, high = bulk([o.test for o in study.outcomes if o.test is not None and not o.diverged])
    index = searched(study).index("learning_rate")
    for axes, variant in zip(panels, variants, strict=False):
        _trials(axes, study, of_variant(study, variant), low, high)
        curves = marginals(study, variant)
        if curves is not None:
            curve = curves[index]
            axes.plot(curve.values, curve.mean, color=VERMILION, linewidth=1.6)
        axes.set_title(variant, fontsize=9, loc="left")
        axes.set_xscale("log" if "learning_rate" in study.logarithmic else "linear")
        axes.set_ylim(low, high)
        axes.grid(alpha=0.3)
    for axes in panels[len(variants) - columns : len(variants)]:  # nothing is below them
        axes.tick_params(labelbottom=True)
    for axes in panels[len(variants) :]:
        axes.axis("off")
    figure.supxlabel("learning rate", fontsize=10)
    figure.supylabel(f"test {_metric(study)}", fontsize=10)
    figure.savefig(path, dpi=150)


def correlation(study: Study, path: Path) -> None:
    """Draws Spearman's correlation of the hyperparameters among the best trials."""
    names = searched(study)
    table = np.eye(len(names))
    for pair in correlations(study):
        at = names.index(pair.first), names.index(pair.second)
        table[at] = table[at[::-1]] = np.nan if pair.correlation is None else pair.correlation
    figure = Figure(figsize=(4.8, 4.0), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(table):
        text = "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")
        color = "white" if abs(value) > 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=color)
    labels = [_name(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), labels)
    figure.colorbar(image, label="Spearman's correlation")
    figure.savefig(path, dpi=150)


def curves(study: Study, path: Path) -> None:
    """Draws the validation metric of each variant's best trial over the training steps."""
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    shown: list[float] = []
    for index, variant in enumerate(study.planned):
        for outcome in best(study, variant)[:1]:
            steps, values = np.array(outcome.curve, np.float64).reshape(-1, 2).T
            color, style = COLORS[index % len(COLORS)], STYLES[index // len(COLORS) % len(STYLES)]
            axes.plot(steps, values, color=color, linestyle=style, label=variant, linewidth=1.5)
            axes.plot(steps[-1:], values[-1:], "o", color=color, markersize=4)
            shown += values[np.isfinite(values)].tolist()
    axes.set_ylim(*bulk(shown))
    axes.set_xlabel("training step")
    axes.set_ylabel(f"validation {_metric(study)}")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def bulk(values: Sequence[float]) -> tuple[float, float]:
    """From where to where an axis shows the values, all but those far off (Tukey's fences)."""
    if not values:
        return 0.0, 1.0
    lower, upper = np.quantile(values, [0.25, 0.75])
    reach = FAR * (upper - lower)
    inside = [v for v in values if lower - reach <= v <= upper + reach]
    low, high = min(inside), max(inside)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _box(axes: Axes, row: int, values: list[float], color: str) -> None:
    if not values:
        place = axes.get_yaxis_transform()
        axes.text(0.01, row, "no trial has a metric", transform=place, va="center", fontsize=8)
        return
    axes.boxplot(
        [values],
        positions=[row],
        orientation="horizontal",
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
        medianprops={"color": "black"},
        whiskerprops={"color": color},
        capprops={"color": color},
    )
    spread = row + 0.12 * (np.arange(len(values)) % 3 - 1)
    axes.plot(values, spread, "o", color=color, markersize=3.5, markeredgewidth=0, alpha=0.9)


def _beyond(axes: Axes, row: int, values: list[float], low: float, high: float) -> None:
    """Marks what lies outside the axis by an arrow at its end and the median there."""
    for at, sign, outside in (
        (low, 1, [v for v in values if v < low]),
        (high, -1, [v for v in values if v > high]),
    ):
        if outside:
            more = f" ({len(outside)} of {len(values)})" if len(outside) < len(values) else ""
            axes.annotate(
                f"{number(float(np.median(outside)))}{more}",
                (at, row),
                (sign * 22, 0),
                textcoords="offset points",
                arrowprops={"arrowstyle": "->"},
                ha="left" if sign > 0 else "right",
                va="center",
                fontsize=8,
            )


def _color(study: Study, comparison: Comparison) -> str:
    if comparison.variant == study.reference:
        return BLUE
    if not comparison.significant or comparison.loss is None:
        return GRAY
    return VERMILION if comparison.loss > 0 else GREEN


def _label(comparison: Comparison) -> str:
    return f"{comparison.variant} *" if comparison.significant else comparison.variant


def _legend_of_boxes(study: Study, figure: Figure, found: list[Comparison]) -> None:
    meaning = {
        BLUE: f"{study.reference}, the reference",
        VERMILION: "* worse",
        GREEN: "* better",
        GRAY: "no significant difference",
    }
    used = {_color(study, comparison) for comparison in found}
    keys = [Patch(color=c, alpha=0.6, label=text) for c, text in meaning.items() if c in used]
    figure.legend(handles=keys, loc="outside upper center", ncols=4, frameon=False, fontsize=9)


def _lines(axes: Axes, study: Study, lines: dict[str, Marginal]) -> None:
    variants = list(study.planned)
    for variant, curve in lines.items():
        index = variants.index(variant)
        color, style = COLORS[index % len(COLORS)], STYLES[index % len(STYLES)]
        mean, spread = np.array(curve.mean), np.array(curve.spread)
        places = _axis_values(curve.name, curve.values)
        axes.plot(places, mean, color=color, linestyle=style, label=variant)
        axes.fill_between(places, mean - spread, mean + spread, color=color, alpha=0.12, lw=0)


def _summary(axes: Axes, study: Study, lines: dict[str, Marginal]) -> None:
    first = next(iter(lines.values()))
    places = _axis_values(first.name, first.values)
    low, middle, high = np.quantile([c.mean for c in lines.values()], [0.25, 0.5, 0.75], axis=0)
    axes.plot(places, middle, color=BLUE, label=f"median of {len(lines)} variants")
    axes.fill_between(places, low, high, color=BLUE, alpha=0.2, lw=0, label="their middle half")
    if study.reference in lines:
        mean = lines[study.reference].mean
        axes.plot(places, mean, color=VERMILION, linestyle="--", label=study.reference)


def _axis_values(name: str, values: Iterable[float]) -> np.ndarray:
    """What the axis of a hyperparameter shows: of the momentum, 1 − momentum."""
    places = np.array(list(values))
    return 1 - places if name == "momentum" else places


def _scale(axes: Axes, study: Study, name: str) -> None:
    if name in study.logarithmic:
        axes.set_xscale("log")
    if name == "hidden_size" and name in study.logarithmic:  # less than two decades, as a rule
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("1 − momentum" if name == "momentum" else _name(name))


def _trials(axes: Axes, study: Study, outcomes: list[Outcome], low: float, high: float) -> None:
    """The trials as points, at the worse edge the diverged ones, at either those beyond it."""
    edge: dict[str, Any] = {
        "transform": axes.get_xaxis_transform(),
        "linestyle": "",
        "clip_on": False,
    }
    worst = 0.94 if worse(study) > 0 else 0.06
    for outcome in outcomes:
        rate, test = outcome.trial.learning_rate, outcome.test
        if outcome.diverged or test is None:
            axes.plot(rate, worst, "x", color="black", markersize=5, **edge)
        elif test > high:
            axes.plot(rate, 0.94, "^", color=BLUE, markersize=5, **edge)
        elif test < low:
            axes.plot(rate, 0.06, "v", color=BLUE, markersize=5, **edge)
        else:
            axes.plot(rate, test, "o", color=BLUE, markersize=3.5, markeredgewidth=0, alpha=0.8)


def _metric(study: Study) -> str:
    return study.metric.replace("_", " ")


def _name(name: str) -> str:
    return name.replace("_", " ")
