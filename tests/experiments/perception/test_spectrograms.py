"""Spectrograms: what is drawn over them, and where."""

import matplotlib.figure
import numpy as np
import pytest

from experiments.perception import spectrograms
from experiments.perception.spectrograms import Recognized, plot_recognized, runs
from lstm_jax.analysis.style import RIGHT, WRONG


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures, save = [], matplotlib.figure.Figure.savefig

    def keep(figure, *arguments, **options):
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", keep)
    return figures


def test_runs_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    for _ in range(20):
        path = [["", "a", "b"][k] for k in rng.integers(3, size=15)]
        expected, start = [], 0
        for place in range(1, 16):
            if place == 15 or path[place] != path[start]:
                if path[start]:
                    expected.append((path[start], start, place))
                start = place
        assert list(runs(path)) == expected


def test_the_path_stands_where_its_symbols_are(tmp_path, drawn):
    frames = np.random.default_rng(1).normal(size=(60, 20))
    path = [""] * 3 + ["7"] * 2 + [""] + ["1"] * 4  # ten parts of 60 ms
    items = [
        Recognized(frames, "said 71, found 71", True, path),
        Recognized(frames[:20], "x", False, ["5"]),
    ]
    plot_recognized(tmp_path / "a.png", items, 8000)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    above, below = drawn[0].axes
    assert [(t.get_text(), round(t.get_position()[0], 6)) for t in above.texts] == [
        ("7", 0.24),
        ("1", 0.48),
    ]
    spans = [patch.get_extents().transformed(above.transData.inverted()) for patch in above.patches]
    np.testing.assert_allclose([(s.x0, s.x1) for s in spans], [(0.18, 0.3), (0.36, 0.6)])
    np.testing.assert_array_equal(above.images[0].get_array(), frames.T)
    assert above.images[0].get_extent() == [0, 0.6, -0.5, 19.5]
    titles = [axis.get_title(loc="left") for axis in (above, below)]
    assert titles == ["said 71, found 71", "x"]
    colors = [axis._left_title.get_color() for axis in (above, below)]
    assert colors == [RIGHT, WRONG]


def test_frequencies_are_marked_up_to_half_the_rate(tmp_path, drawn):
    items = [Recognized(np.eye(20), "found 1")] * 5
    plot_recognized(tmp_path / "a.png", items, 8000)
    axes = drawn[0].axes
    assert len(axes) == 2 * spectrograms.COLUMNS
    assert [label.get_text() for label in axes[0].get_yticklabels()] == [
        "250",
        "500",
        "1000",
        "2000",
        "4000",
    ]
    assert not axes[5].axison
