"""Generated scenes: a few coloured shapes, and the one right caption of how they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "valid", "test")
SIZE = 48  # pixels of a side
FINE = 4  # samples of a pixel's side, for smooth edges
COLORS = {
    "red": (215, 45, 40),
    "green": (45, 165, 70),
    "blue": (45, 85, 215),
    "yellow": (240, 205, 40),
}
Form = Callable[[np.ndarray, np.ndarray], np.ndarray]  # whether a shape covers (u, v)
SHAPES: dict[str, Form] = {  # they fill [-1, 1]²; u goes to the right and v downwards
    "square": lambda u, v: np.maximum(abs(u), abs(v)) <= 1,
    "circle": lambda u, v: u * u + v * v <= 1,
    "triangle": lambda u, v: (2 * abs(u) <= 1 + v) & (v <= 1),
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) <= 0.3) & (np.maximum(abs(u), abs(v)) <= 1),
}
RADII = {"small": 4.5, "big": 7.5}  # pixels
GAP = 2.0  # pixels between two shapes, at least
MARGIN = 8.0  # pixels by which "left of" is more to the left than it is above or below
TRIES = 64  # layouts drawn at once
NUMBERS = (2, 3, 4)  # of shapes in a scene


class Scene(NamedTuple):
    """A picture, uint8 [H, W, 3], and a caption."""

    image: np.ndarray
    caption: str


class Thing(NamedTuple):
    """A coloured shape: the places of its colour and shape in COLORS and SHAPES, and its size."""

    color: int
    shape: int
    size: str

    def __str__(self) -> str:
        return f"a {self.size} {list(COLORS)[self.color]} {list(SHAPES)[self.shape]}"


def scene(split: str, number: int) -> Scene:
    """The scene of a number, always the same; every split has any number of them.

    All shapes of a scene differ in colour or form. Its caption names them in the order of their
    colours, then of their forms, each with its relation to the one before, so that a picture has
    exactly one right caption. In training, no scene shows two shapes together of which one has
    the colour and the form that follow the other's (counting round, as in COLORS and SHAPES). Each
    test scene does, with the first of them red or blue, and each scene of validation, with the
    first green or yellow.

    Args:
        split: "train", "valid" or "test".
        number: at least 0.

    Returns:
        An image uint8 [SIZE, SIZE, 3] and its caption.

    Example:
        >>> scene("test", 1).caption
        'a big red triangle and a small yellow circle left of it'
    """
    rng = np.random.default_rng((SPLITS.index(split), number))
    things = _things(rng, split)
    radii = np.array([RADII[thing.size] for thing in things])
    places = _places(rng, radii)
    image = np.full((SIZE, SIZE, 3), rng.uniform(200, 245))
    for thing, radius, place in zip(things, radii, places, strict=True):
        _paint(image, thing, radius, place)
    return Scene(np.rint(image).astype(np.uint8), caption(things, places))


def caption(things: Sequence[Thing], places: np.ndarray) -> str:
    """The things in their order, each with its relation to the last; places are rows, columns."""
    words = [str(things[0])]
    for thing, step in zip(things[1:], np.diff(places, axis=0), strict=True):
        words.append(f"and {thing} {relation(*step)} it")
    return " ".join(words)


def relation(down: float, right: float) -> str:
    """What a shape that lies so far down and right of another is to it."""
    if abs(down) > abs(right):
        return "below" if down > 0 else "above"
    return "right of" if right > 0 else "left of"


def held_out(one: Thing, other: Thing) -> str | None:
    """The split that alone shows two coloured shapes together, if there is one."""
    for a, b in [(one, other), (other, one)]:
        step = (b.color - a.color) % len(COLORS), (b.shape - a.shape) % len(SHAPES)
        if step == (1, 1):
            return "valid" if a.color % 2 else "test"
    return None


def _things(rng: np.random.Generator, split: str) -> list[Thing]:
    """Different coloured shapes, sorted, with the combinations of their split."""
    number = rng.choice(NUMBERS)
    wanted = {None} if split == "train" else {None, split}
    while True:
        kinds = np.sort(rng.permutation(len(COLORS) * len(SHAPES))[:number])
        sizes = rng.choice(list(RADII), number)
        things = [
            Thing(int(kind) // len(SHAPES), int(kind) % len(SHAPES), str(size))
            for kind, size in zip(kinds, sizes, strict=True)
        ]
        found = {held_out(a, b) for a, b in combinations(things, 2)}
        if found <= wanted and (split == "train" or split in found):
            return things


def _places(rng: np.random.Generator, radii: np.ndarray) -> np.ndarray:
    """Centres [things, 2] of shapes that do not touch; neighbours in the caption lie clearly."""
    first, second = np.triu_indices(len(radii), 1)
    low = radii[:, None] + 1
    while True:
        places = low + (SIZE - 2 * low) * rng.random((TRIES, len(radii), 2))
        small, large = np.moveaxis(np.sort(abs(places[:, first] - places[:, second])), -1, 0)
        apart = large >= radii[first] + radii[second] + GAP
        clear = (large - small >= MARGIN) | (second > first + 1)
        if (fits := (apart & clear).all(axis=1)).any():
            return places[fits.argmax()]


def _paint(image: np.ndarray, thing: Thing, radius: float, place: np.ndarray) -> None:
    """Paints a shape over an image, each pixel as far as the shape covers it."""
    top, left = start = np.floor(place - radius).astype(int)
    width = int(np.ceil(2 * radius)) + 1
    samples = (np.arange(width * FINE) + 0.5) / FINE
    v, u = (start[:, None] + samples - place[:, None]) / radius
    inside = list(SHAPES.values())[thing.shape](u[None], v[:, None])
    cover = inside.reshape(width, FINE, width, FINE).mean((1, 3))[..., None]
    patch = image[top : top + width, left : left + width]
    patch += cover * (list(COLORS.values())[thing.color] - patch)
