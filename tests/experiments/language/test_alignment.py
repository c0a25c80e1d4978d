"""Maps of attention: one for each text, darker where attention is."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments.language import alignment
from experiments.language.alignment import Alignment, plot_alignments


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, kept open."""
    saved = []
    monkeypatch.setattr(alignment.plt, "close", saved.append)
    yield saved
    monkeypatch.undo()
    for figure in saved:
        plt.close(figure)


def random_alignment(seed, read, written):
    weights = np.random.default_rng(seed).dirichlet(np.ones(read), written)
    return Alignment([f"r{n}" for n in range(read)], [f"w{n}" for n in range(written)], weights)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_alignment_has_its_map_with_its_words(count, figures, tmp_path):
    shown = [random_alignment(n, read=4 + n, written=3 + n) for n in range(count)]
    plot_alignments(tmp_path / "maps.png", shown)
    assert (tmp_path / "maps.png").stat().st_size > 3000
    maps = [axes for axes in figures[0].axes if axes.images]
    assert len(maps) == count
    for axes, one in zip(maps, shown, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), one.weights)
        assert axes.images[0].get_clim() == (0, 1)
        assert [label.get_text() for label in axes.get_xticklabels()] == one.read
        assert [label.get_text() for label in axes.get_yticklabels()] == one.written
    assert not any(axes.axison for axes in figures[0].axes if not axes.images)
