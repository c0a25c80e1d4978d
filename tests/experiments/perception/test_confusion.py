"""The confusion matrix: what its cells, colours and title say."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from experiments.perception import confusion


@pytest.fixture
def figure(monkeypatch):
    """The last figure that was saved."""
    saved, save = [], Figure.savefig

    def keep(figure, *arguments, **options):
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return lambda: saved[-1]


def test_counts_shares_and_accuracy(figure, tmp_path):
    truth, predicted = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 2, 1, 0, 2]
    confusion.plot_confusion(tmp_path / "c.png", truth, predicted, ["a", "b", "a class"])
    axes = figure().axes[0]
    shares = [[0.75, 0, 0.25], [0.5, 0.5, 0], [0, 0, 1]]
    np.testing.assert_allclose(axes.images[0].get_array(), shares)
    cells = {(text.get_position()[1], text.get_position()[0]): text for text in axes.texts}
    counts = {place: text.get_text() for place, text in cells.items()}
    assert counts == {(0, 0): "3", (0, 2): "1", (1, 0): "1", (1, 1): "1", (2, 2): "1"}
    assert (cells[0, 0].get_color(), cells[0, 2].get_color()) == ("white", "black")
    assert axes.get_title() == "5 of 7 right: 71.4 %"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "a class"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert min(Image.open(tmp_path / "c.png").size) > 400


def test_random_counts_are_those_of_a_loop(figure, tmp_path):
    truth, predicted = np.random.default_rng(0).integers(0, 4, (2, 60))
    confusion.plot_confusion(tmp_path / "c.png", truth, predicted, list("wxyz"))
    shown = {t.get_position()[::-1]: int(t.get_text()) for t in figure().axes[0].texts}
    pairs = list(zip(truth.tolist(), predicted.tolist(), strict=True))
    assert shown == {pair: pairs.count(pair) for pair in pairs}


def test_many_classes_and_none_of_one(figure, monkeypatch, tmp_path):
    """With too many classes there are no counts; a class without examples is a row of zeros."""
    monkeypatch.setattr(confusion, "COUNTED", 3)
    names = [f"a class with a long name {n}" for n in range(4)]
    confusion.plot_confusion(tmp_path / "c.png", [0, 1], [0, 1], names)
    axes = figure().axes[0]
    assert not axes.texts
    assert np.asarray(axes.images[0].get_array()).sum() == 2
    assert {len(label.get_text()) for label in axes.get_xticklabels()} == {16}
