"""The page about a run: its pictures lie in it, and beside it as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from experiments import page
from experiments.inspection.section import Section
from experiments.training.results import write_json

TEMPLATE = Path(__file__).with_name("inspection.html.jinja")


def write(
    title: str, facts: dict[str, str], sections: Iterable[Section], directory: Path
) -> Path:
    """Writes inspection.html, its pictures and inspection.json.

    Args:
        title: of the page.
        facts: about the run, in a list at the end.
        sections: drawn one by one, a line about each.
        directory: where to write.

    Returns:
        The page, which needs no other file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shown = []
    for section in sections:
        picture = directory / f"{section.name}.png"
        section.figure.savefig(picture)
        shown.append((section, page.embedded(picture)))
        print(f"  {picture}")
    write_json(
        directory / "inspection.json",
        {"title": title, "facts": facts, "found": {s.name: s.found for s, _ in shown}},
    )
    written = directory / "inspection.html"
    written.write_text(page.render(TEMPLATE, title=title, facts=facts, sections=shown))
    return written
