"""Generated scenes: captions against a reader of the pixels, combinations kept for two splits."""

import re
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy import ndimage

from experiments.language.scenes import scene

COLORS = {"red": 87, "green": 60, "blue": 85, "yellow": 100}  # half of what is not gray in them
FORMS = ["square", "circle", "triangle", "cross"]
KINDS = [f"{color} {form}" for color in COLORS for form in FORMS]


def hues(image):
    """The place in COLORS of what covers half of a pixel, by its channels alone; -1: gray."""
    low, middle, high = np.moveaxis(np.sort(image.astype(int)), -1, 0)
    hue = image.argmax(-1)
    hue[(high - middle) < (middle - low)] = 3
    hue[high - low < np.array(list(COLORS.values()))[hue]] = -1
    return hue


def blobs(image):
    """Every coloured blob as (place in KINDS, caption's words, row, column)."""
    hue = hues(image)
    for color, name in enumerate(COLORS):
        labels, number = ndimage.label(hue == color, np.ones((3, 3)))
        for blob in range(1, number + 1):
            rows, columns = np.nonzero(labels == blob)
            if len(rows) < 12:  # a mixed pixel at an edge
                continue
            size, side = ("big", 15) if np.ptp(columns) > 11 else ("small", 9)
            bottom = rows.max()
            fill, foot = len(rows) / side**2, np.sum(rows == bottom) / side
            form = FORMS[0 if fill > 0.88 else 1 if fill > 0.68 else 2 if foot > 0.6 else 3]
            words = f"a {size} {name} {form}"
            place = bottom - side / 2, (columns.min() + columns.max()) / 2
            yield KINDS.index(f"{name} {form}"), words, *place


def read(image):
    """The caption, read off the pixels."""
    (_, text, *place), *rest = sorted(blobs(image))
    for _, words, row, column in rest:
        down, right = row - place[0], column - place[1]
        upright, across = "below" if down > 0 else "above", "right of" if right > 0 else "left of"
        text += f" and {words} {upright if abs(down) > abs(right) else across} it"
        place = row, column
    return text


def kinds(split, number):
    """The coloured shapes that a caption names."""
    return re.findall(rf"(\w+ (?:{'|'.join(FORMS)}))", scene(split, number).caption)


def pairs(split, number):
    return [frozenset(pair) for pair in combinations(kinds(split, number), 2)]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_captions_say_what_the_pixels_show(split):
    for number in range(200):
        image, caption = scene(split, number)
        assert image.shape == (48, 48, 3)
        assert image.dtype == np.uint8
        assert caption == read(image), (split, number)


def test_scenes_are_a_function_of_split_and_number():
    seen = set()
    for split in ("train", "valid", "test"):
        for number in (0, 1, 2**40):
            image, caption = scene(split, number)
            np.testing.assert_array_equal(image, scene(split, number).image)
            assert caption == scene(split, number).caption
            seen.add(image.tobytes())
    assert len(seen) == 9


def test_each_split_shows_combinations_that_training_never_shows():
    trained = {pair for number in range(1500) for pair in pairs("train", number)}
    assert len(trained) == 16 * 15 // 2 - 16
    kept = {}
    for split in ("valid", "test"):
        unseen = [set(pairs(split, number)) - trained for number in range(400)]
        assert all(unseen), f"a {split} scene has only pairs that training has too"
        kept[split] = set.union(*unseen)
        assert len(kept[split]) == 8
    assert not kept["valid"] & kept["test"]


def test_training_has_every_word_kind_and_relation():
    found = [kinds("train", number) for number in range(300)]
    assert {kind for scene_kinds in found for kind in scene_kinds} == set(KINDS)
    assert {len(scene_kinds) for scene_kinds in found} == {2, 3, 4}
    assert all(len(set(scene_kinds)) == len(scene_kinds) for scene_kinds in found)
    words = {word for number in range(200) for word in scene("train", number).caption.split()}
    tested = {word for number in range(200) for word in scene("test", number).caption.split()}
    assert words == tested
    assert len(words) == 4 + 4 + 2 + 4 + 4  # colors, forms, sizes, relations; a, and, of, it


def test_objects_come_in_a_fixed_order():
    for number in range(300):
        places = [KINDS.index(kind) for kind in kinds("train", number)]
        assert all(a < b for a, b in pairwise(places))
