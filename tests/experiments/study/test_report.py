"""The report's files: what they say, what they embed, and that they are the same twice."""

from __future__ import annotations

import json
import math

import pytest

from experiments.study import report
from experiments.study.analysis import best, comparisons
from experiments.study.plots import bulk
from tests.experiments.page import Page
from tests.experiments.study.made import drawn, of_tests, outcome, study

pytestmark = pytest.mark.usefixtures("no_warning")

def metric(trial):
    return (math.log10(trial.learning_rate) + 4) ** 2 + (trial.variant == "NFG")


def page_of(found, directory):
    return Page(report.write(found, directory).read_text())


@pytest.fixture(scope="module")
def whole():
    return drawn(metric, ["V", "NFG", "<LN>"], trials=8, about={"task": "music", "device": "a & b"})


@pytest.fixture(scope="module")
def written(whole, tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    assert report.write(whole, directory) == directory / "report.html"
    return directory


def test_the_page_refers_to_nothing_outside_it(written):
    page = Page((written / "report.html").read_text())
    images = page.all("img")
    assert len(images) == 6 == len(list(written.glob("*.png")))
    assert all(i["src"].startswith("data:image/png;base64,iVBOR") for i in images)
    assert all(len(i["alt"]) > 20 for i in images)
    assert not page.all("link")
    assert not page.all("script")
    assert not any("href" in attributes for _, attributes in page.elements)
    assert "url(" not in (written / "report.html").read_text()


def test_the_page_says_the_recommendation_and_the_findings(whole, written):
    text = Page((written / "report.html").read_text()).text
    *claims, advice = report.lines(whole)
    assert advice in text
    assert claims
    for line in claims:
        assert line.split(": ")[0] in text
    assert "unfinished" not in text
    assert "device a & b" in text
    assert "<LN>" in text  # escaped, or it would be an element


def test_findings_are_the_lines_in_markdown(whole, written):
    *claims, advice = report.lines(whole)
    expected = "".join(f"- {line}\n" for line in claims) + f"\n{advice}\n"
    assert (written / "findings.md").read_text() == expected


def test_the_table_has_a_row_for_each_variant(written):
    heading, _, *rows = (written / "table.md").read_text().split("\n\n")[0].splitlines()
    assert heading.startswith("| variant | trials | diverged | parameters | test nll |")
    assert [row.split(" | ")[0] for row in rows] == ["| V", "| NFG", "| <LN>"]
    assert "8 of 8" in rows[0]
    assert "reference" in rows[0]
    assert "1,000" in rows[1]


def test_the_numbers_are_those_of_the_analysis(whole, written):
    numbers = json.loads((written / "report.json").read_text())
    for comparison in comparisons(whole):
        found = numbers["variants"][comparison.variant]
        assert found["trials"] == found["planned"] == 8
        assert found["mean"] == comparison.mean
        assert found["p"] == comparison.p
        assert max(found["importances"], key=found["importances"].get) == "learning_rate"
    candidates = numbers["recommendation"]["candidates"]
    assert sum(candidate["share"] for candidate in candidates) == pytest.approx(1)
    assert candidates[0]["outcome"]["learning_rate"] > 0


def test_writing_twice_gives_the_same_bytes(whole, written, tmp_path):
    report.write(whole, tmp_path)
    files = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert len(files) == 10
    for file in files:
        assert (tmp_path / file).read_bytes() == (written / file).read_bytes(), file


def test_missing_trials_are_said_at_the_top(tmp_path):
    found = of_tests({"V": [1.0, 2.0, 3.0], "NP": [1.0], "CIFG": []})
    said = "This study is unfinished: 4 of 9 trials are there (NP 1 of 3, CIFG 0 of 3)."
    page = page_of(found, tmp_path)
    assert page.text.index(said) < page.text.index("recommended")
    assert (tmp_path / "table.md").read_text().startswith(said)
    assert (tmp_path / "findings.md").read_text().startswith(said)
    assert report.lines(found)[0] == said


def test_without_trials_there_is_nothing_to_report(tmp_path):
    found = study([], ["V", "NP"])
    page = page_of(found, tmp_path)
    assert report.NOTHING in page.text
    assert page.all("img") == []
    assert report.lines(found) == [report.NOTHING]
    assert (tmp_path / "table.md").read_text().startswith(report.NOTHING)


def test_a_single_variant_of_which_nothing_was_searched(tmp_path):
    page = page_of(of_tests({"lstm": [1.0, 2.0, 3.0, 4.0]}, ranges={}), tmp_path)
    assert len(page.all("img")) == 2  # the boxes and the curves
    assert "Take lstm, the only variant with enough trials" in page.text


def test_diverged_variants_are_shown_as_such(tmp_path):
    failed = {"validation": None, "test": None, "diverged": True}
    lost = [outcome("b", n, learning_rate=0.1 ** (n + 1), **failed) for n in range(8)]
    good = [outcome("a", n, test=1.0 + n) for n in range(8)]
    page = page_of(study([*good, *lost], "ab"), tmp_path / "one")
    assert "b 8 of" in page.text
    assert (tmp_path / "one" / "table.md").read_text().splitlines()[3].startswith("| b | 8 of")
    assert " | 8 | – | – | – | – |" in (tmp_path / "one" / "table.md").read_text()
    page = page_of(study(lost, "b"), tmp_path / "all")
    assert [i["alt"].split(":")[0] for i in page.all("img")] == [
        "Every trial, by its learning rate"
    ]


def test_an_axis_ends_where_the_bulk_does():
    low, high = bulk([1.0, 1.1, 1.2, 1.3, 1.4, 50.0])
    assert 0.9 < low < 1.0
    assert 1.4 < high < 1.5
    low, high = bulk([1.0, 1.0])
    assert low < 1.0 < high
    assert bulk([]) == (0.0, 1.0)


def test_a_page_of_a_metric_that_is_to_be_large(tmp_path):
    values = {"a": [0.7, 0.8, 0.9], "b": [0.1, 0.2, 0.3]}
    found = of_tests(values, higher_is_better=True, best=2)
    assert [o.test for o in best(found, "a")] == [0.9, 0.8]
    page = page_of(found, tmp_path)
    assert "larger is better" in page.text
    assert "+0.600 (" in page.text  # b loses
