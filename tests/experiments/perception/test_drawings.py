"""Pictures of strokes: where the lines of the SVG are, and that the PNG has ink there."""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from experiments.perception.drawings import CELL, Drawn, Row, draw_strokes

SVG = "{http://www.w3.org/2000/svg}"


def draw(directory, rows):
    draw_strokes(directory, "x", rows)
    root = ElementTree.parse(directory / "x.svg").getroot()
    paths = [
        np.array([pair.split() for pair in path.get("d")[1:].split(" L")], float)
        for path in root.iter(f"{SVG}path")
    ]
    return root, paths, np.array(Image.open(directory / "x.png").convert("L"))


def random_rows(seed):
    rng = np.random.default_rng(seed)
    drawings = [[rng.normal(size=(n, 2)) for n in (6, 3)] for _ in range(5)]
    return [
        Row("first <& $row", [Drawn(own, "two\nlines") for own in drawings[:3]]),
        Row("second", [Drawn(own) for own in drawings[3:]]),
    ]


def test_every_stroke_is_drawn_upright_and_in_proportion(tmp_path):
    rows = random_rows(0)
    _, paths, _ = draw(tmp_path, rows)
    drawings = [item.strokes for row in rows for item in row.items]
    for number, drawing in enumerate(drawings):
        shown = np.concatenate([path[:-1] for path in paths[2 * number : 2 * number + 2]])
        points = np.concatenate(drawing)
        scale = np.ptp(shown[:, 0]) / np.ptp(points[:, 0])
        expected = (points - points[0]) * [scale, -scale]
        np.testing.assert_allclose(shown - shown[0], expected, atol=0.02)
        assert np.ptp(shown[:, 1]) <= CELL + 0.01
        assert np.ptp(shown, axis=0).max() >= CELL - 0.01


def test_drawings_do_not_overlap_and_stay_on_the_page(tmp_path):
    wide = np.array([[0.0, 0.0], [1000.0, 1.0]])
    dot, line = np.array([[2.0, 2.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])
    rows = [Row("one", [Drawn([wide], "wide"), Drawn([line])]), Row("two", [Drawn([dot])])]
    root, paths, _ = draw(tmp_path, rows)
    width, height = float(root.get("width")), float(root.get("height"))
    for path in paths:
        assert (path >= 0).all()
        assert (path <= [width, height]).all()
    assert np.ptp(paths[0][:, 0]) == pytest.approx(2 * CELL, abs=0.02)
    assert paths[0][:, 0].max() < paths[1][:, 0].min()
    assert paths[1][:, 1].max() < paths[2][:, 1].min()


def test_texts_are_escaped_and_each_line_has_its_own(tmp_path):
    root, _, _ = draw(tmp_path, random_rows(1))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts == ["first <& $row", *["two", "lines"] * 3, "second"]


def test_titles_may_hold_what_is_no_text(tmp_path):
    """A file's name is any bytes."""
    name = b"my \xff\x01\n.txt".decode(errors="surrogateescape")
    root, _, _ = draw(tmp_path, [Row(name, [Drawn([np.eye(2)])])])
    assert [text.text for text in root.iter(f"{SVG}text")] == ["my ???.txt"]


def test_the_png_has_ink_where_the_svg_has_lines(tmp_path):
    root, paths, pixels = draw(tmp_path, random_rows(2))
    size = np.array([root.get("width"), root.get("height")], float)
    assert pixels.shape[::-1] == pytest.approx(2 * size, abs=2)
    middles = np.concatenate([(path[1:] + path[:-1]) / 2 for path in paths])
    columns, rows = (2 * middles).round().astype(int).T
    assert (pixels[rows, columns] < 180).all()
    assert np.mean(pixels > 200) > 0.8
