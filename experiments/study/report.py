"""The report of a study: a page with its pictures, tables in Markdown, and all numbers in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from experiments import page
from experiments.study import plots
from experiments.study.analysis import (
    Comparison,
    best,
    comparisons,
    correlations,
    missing,
    number,
    of_variant,
    percent,
    probability,
    searched,
)
from experiments.study.findings import Finding, findings, signed
from experiments.study.forest import importances, interaction
from experiments.study.recommendation import Recommendation, recommend
from experiments.study.trials import Study
from experiments.tables import Rows, markdown

TEMPLATE = Path(__file__).with_name("report.html.jinja")
NOTHING = "There is nothing to report yet: no trial is finished."


class Picture(NamedTuple):
    """A picture of the report: how it is drawn, its file, what it is called and what it shows."""

    draw: Callable[[Study, Path], None]
    name: str
    title: str
    text: str


def write(study: Study, directory: Path) -> Path:
    """Writes report.html, its pictures, table.md, findings.md and report.json.

    Returns:
        The page, which needs no other file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pictures = []
    for picture in _pictures(study):
        path = directory / picture.name
        picture.draw(study, path)
        pictures.append((picture, page.embedded(path)))
    found = findings(study) if study.outcomes else []
    advice, rows, note = recommend(study), table(study), _note(study)
    numbers = json.dumps(_numbers(study, found, advice), indent=2, allow_nan=False)
    (directory / "report.json").write_text(f"{numbers}\n")
    missing = [f"{line}\n\n" for line in _missing(study)]
    (directory / "table.md").write_text("".join([*missing, markdown(rows), f"\n{note}\n"]))
    listed = [f"- {line}\n" for line in _sentences(found)]
    (directory / "findings.md").write_text("".join([*missing, *listed, f"\n{advice.sentence}\n"]))
    written = page.render(
        TEMPLATE,
        study=study,
        missing=_missing(study),
        advice=advice,
        candidates=_candidates(study, advice),
        findings=found,
        rows=rows,
        note=note,
        shares=_shares(study),
        pictures=pictures,
    )
    path = directory / "report.html"
    path.write_text(written)
    return path


def lines(study: Study) -> list[str]:
    """What the study found, a line for each claim, and at the end which variant to take."""
    if not study.outcomes:
        return _missing(study)
    return [*_missing(study), *_sentences(findings(study)), recommend(study).sentence]


def table(study: Study) -> Rows:
    """The variants beside each other, the heading first."""
    metric = study.metric.replace("_", " ")
    heading = ["variant", "trials", "diverged", "parameters", f"test {metric}", "difference"]
    rows = [[*heading, "corrected p"]]
    for comparison in comparisons(study):
        outcomes = of_variant(study, comparison.variant)
        rows.append(
            [
                comparison.variant,
                f"{len(outcomes)} of {study.planned[comparison.variant]}",
                str(sum(outcome.diverged for outcome in outcomes)),
                "–" if comparison.parameters is None else f"{comparison.parameters:,.0f}",
                _value(comparison),
                _difference(study, comparison),
                "–" if comparison.corrected is None else probability(comparison.corrected),
            ]
        )
    return rows


def _value(comparison: Comparison) -> str:
    if comparison.mean is None:
        return "–"
    deviation = "" if comparison.deviation is None else f" ± {number(comparison.deviation, 3)}"
    return f"{number(comparison.mean)}{deviation} ({comparison.number})"


def _difference(study: Study, comparison: Comparison) -> str:
    if comparison.loss is None or comparison.interval is None:
        return "reference" if comparison.variant == study.reference else "–"
    low, high = comparison.interval
    return f"{signed(comparison.loss)} ({signed(low)} to {signed(high)})"


def _note(study: Study) -> str:
    """What the table's columns mean."""
    return (
        f"The metric is the mean ± standard deviation (number) of the {study.best} trials that are"
        " best on the validation split; parameters are their median. The difference from"
        f" {study.reference} is positive where the variant is worse; its intervals hold together"
        " at 95 %. p is that of Welch's t-test, corrected for the number of comparisons"
        " (Bonferroni)."
    )


def _missing(study: Study) -> list[str]:
    """A line on the trials that are still to come, if any."""
    if not study.outcomes:
        return [NOTHING]
    short = [f"{v} {have} of {planned}" for v, (have, planned) in missing(study).items()]
    if not short:
        return []
    total = f"{len(study.outcomes)} of {sum(study.planned.values())}"
    return [f"This study is unfinished: {total} trials are there ({', '.join(short)})."]


def _sentences(found: list[Finding]) -> list[str]:
    return [f"{claim}: {verdict} ({figures})" for claim, verdict, figures in found]


def _candidates(study: Study, advice: Recommendation) -> Rows:
    heading = ["variant", "best in", f"expected {study.metric.replace('_', ' ')}", "95 %"]
    rows = [
        [c.variant, percent(c.share), number(c.expected), " to ".join(map(number, c.interval))]
        for c in advice.candidates
    ]
    return [heading, *rows] if rows else []


def _shares(study: Study) -> Rows:
    """The shares of the variance in percent, by variant."""
    names = searched(study)
    heading = ["variant", *(name.replace("_", " ") for name in names), "together in the forest"]
    rows = []
    for variant in study.planned:
        shares, together = importances(study, variant), interaction(study, variant)
        if shares is not None and together is not None:
            rows.append([variant, *map(percent, shares.values()), percent(together)])
    return [heading, *rows] if rows else []


def _numbers(study: Study, found: list[Finding], advice: Recommendation) -> dict[str, Any]:
    return {
        "about": study.about,
        "metric": study.metric,
        "higher_is_better": study.higher_is_better,
        "best": study.best,
        "reference": study.reference,
        "searched": {name: study.ranges[name] for name in searched(study)},
        "variants": {
            comparison.variant: {
                "trials": len(of_variant(study, comparison.variant)),
                "planned": study.planned[comparison.variant],
                "diverged": sum(o.diverged for o in of_variant(study, comparison.variant)),
                **comparison._asdict(),
                "importances": importances(study, comparison.variant),
                "interaction": interaction(study, comparison.variant),
            }
            for comparison in comparisons(study)
        },
        "correlations": [pair._asdict() for pair in correlations(study)],
        "findings": [finding._asdict() for finding in found],
        "recommendation": {
            "sentence": advice.sentence,
            "choice": advice.choice,
            "candidates": [
                c._asdict() | {"outcome": c.outcome.trial._asdict()} for c in advice.candidates
            ],
        },
    }


def _pictures(study: Study) -> list[Picture]:
    """The pictures that the study has something to show on, in the order of the page."""
    metric = study.metric.replace("_", " ")
    names = searched(study)
    several = any(importances(study, variant) is not None for variant in study.planned)
    compared = any(best(study, variant) for variant in study.planned)
    better = "larger" if study.higher_is_better else "smaller"
    pictures = [
        (
            compared,
            Picture(
                plots.boxes,
                "boxes.png",
                "The variants compared",
                f"Test {metric} ({better} is better) of each variant's {study.best} best trials by"
                " validation: a box from the lower to the upper quartile, the median as a line,"
                " each trial as a point. An arrow at the edge names the median of what lies beyond."
                f" A star: significantly different from {study.reference}. On the right, the median"
                " number of parameters.",
            ),
        ),
        (
            compared,
            Picture(
                plots.curves,
                "curves.png",
                "Learning curves",
                f"Validation {metric} of the best trial of each variant over the training steps.",
            ),
        ),
        (
            bool(study.outcomes) and "learning_rate" in names,
            Picture(
                plots.learning_rates,
                "learning_rates.png",
                "Every trial, by its learning rate",
                f"Test {metric} of all trials; triangles lie beyond the edge, crosses diverged. The"
                " line is what a forest of regression trees expects at this learning rate, the mean"
                " over the other hyperparameters; diverged trials count as the worst.",
            ),
        ),
        (
            several,
            Picture(
                plots.importance,
                "importance.png",
                "Which hyperparameter matters",
                "Share of the variance of the test metric that each hyperparameter explains by"
                " itself (fANOVA), in percent, for each variant; hatched, what only several"
                " explain together, in single trees.",
            ),
        ),
        (
            several,
            Picture(
                plots.marginal_curves,
                "marginal_curves.png",
                "What each hyperparameter does",
                f"Test {metric} that a forest of regression trees expects along each"
                " hyperparameter, the mean over the others.",
            ),
        ),
        (
            compared and len(names) > 1,
            Picture(
                plots.correlation,
                "correlation.png",
                "Do good settings go together?",
                "Spearman's rank correlation of the hyperparameters among the best trials of all"
                " variants: near 0, one can be chosen without regard to the other.",
            ),
        ),
    ]
    return [picture for shown, picture in pictures if shown]
