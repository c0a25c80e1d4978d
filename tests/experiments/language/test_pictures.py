"""Captions drawn: each word has its panel, lit where attention looked."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.language.pictures import Captioned, plot_captions

TEXT = "a big red cross above a small blue circle left of a thing"
WORDS = TEXT.split()
IMAGE = np.random.default_rng(1).integers(0, 256, (48, 48, 3)).astype(np.uint8)


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved."""
    saved, save = [], Figure.savefig

    def keep(figure, *arguments, **options):
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def drawn(part):
    """The panels of an item that show anything, in their order."""
    return [axes for axes in part.get_axes() if axes.images]


def test_each_word_has_a_panel_lit_where_attention_looked(tmp_path, figures):
    attention = np.random.default_rng(2).random((len(WORDS), 6, 5))
    written = Captioned(IMAGE, TEXT, [TEXT, "another"], WORDS, attention)
    plain = Captioned(IMAGE[:16], "wrong", ["right"], ["wrong"])
    plot_captions(tmp_path / "captions.png", [written, plain])

    assert (tmp_path / "captions.png").read_bytes().startswith(b"\x89PNG")
    first, second = figures[0].subfigs
    panels = drawn(first)
    assert [axes.get_title() for axes in panels] == ["", *WORDS]
    for axes, weights in zip(panels[1:], attention, strict=True):
        image, shadow = axes.images
        np.testing.assert_array_equal(image.get_array(), IMAGE)
        assert shadow.get_extent() == image.get_extent()
        darkness = shadow.get_array()[..., 3]
        assert darkness.flat[weights.argmax()] == 0
        order = np.argsort(weights, axis=None)
        assert (np.diff(darkness.flat[order]) <= 0).all()
    assert len(drawn(second)) == 1
    titles = [part.get_suptitle() for part in (first, second)]
    assert titles == [
        f"written: {TEXT}\nreference: {TEXT}\nreference: another",
        "written: wrong\nreference: right",
    ]
    assert first._suptitle.get_color() != second._suptitle.get_color()


def test_a_caption_without_references_is_neither_right_nor_wrong(tmp_path, figures):
    items = [Captioned(IMAGE, TEXT, references) for references in ([TEXT], ["other"], [])]
    plot_captions(tmp_path / "captions.png", items)
    right, wrong, own = (part._suptitle.get_color() for part in figures[0].subfigs)
    assert own == "black"
    assert len({right, wrong, own}) == 3


def test_no_text_lies_over_another(tmp_path, figures):
    long = " ".join([TEXT] * 4)
    attention = np.ones((len(WORDS) * 2, 4, 16))
    wide = np.concatenate([IMAGE[:32]] * 2, axis=1)
    items = [Captioned(wide, long, [long, "short", long], WORDS * 2, attention)] * 2
    plot_captions(tmp_path / "captions.png", items)
    figure = figures[0]
    texts = [part._suptitle for part in figure.subfigs]
    texts += [axes.title for part in figure.subfigs for axes in drawn(part) if axes.get_title()]
    boxes = [text.get_window_extent().padded(-1) for text in texts]
    for place, box in enumerate(boxes):
        assert figure.bbox.containsx(box.x1)
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])
