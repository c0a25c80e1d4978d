"""Moving pictures, generated: one to three shapes, or two digits, that bounce off the walls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

SPLITS = ("train", "valid", "test")
SHAPES = 3  # in a picture, at most
DIGITS = 2  # in a picture
RADII = 0.1, 0.22  # of shapes, as parts of the frame's side
SPEEDS = 0.03, 0.1  # parts of the frame's side in a step


class Things(NamedTuple):
    """What moves in B videos, N things in each.

    Attributes:
        sprites: [B, N, S, S] in [0, 1]; all zero where a video has fewer things.
        radii: [B, N], the distance in pixels at which a thing's centre turns before a wall.
    """

    sprites: np.ndarray
    radii: np.ndarray


Cast = Callable[[Sequence[np.random.Generator], int], Things]  # of each video, and the side


def videos(
    cast: Cast, split: str, numbers: Iterable[int], steps: int, size: int, seed: int = 0
) -> np.ndarray:
    """The videos of some numbers, always the same; every split has any number of them.

    Things keep their velocity, of a speed between SPEEDS in any direction, and bounce off the
    walls; where two meet, the brighter pixel is seen (Srivastava et al. 2015, arXiv:1502.04681,
    but at places between the pixels as well).

    Args:
        cast: what moves: `shapes`, or what `digits` returns.
        split: "train", "valid" or "test".
        numbers: B of them, at least 0.
        steps: T.
        size: pixels of a frame's side, at least 8.
        seed: another one has other videos.

    Returns:
        Frames uint8 [T, B, size, size].

    Example:
        >>> videos(shapes, "test", range(16), steps=20, size=32).shape
        (20, 16, 32, 32)
    """
    rngs = [np.random.default_rng((seed, SPLITS.index(split), n)) for n in numbers]
    sprites, radii = cast(rngs, size)
    draws = np.stack([rng.random((4, radii.shape[1])) for rng in rngs], axis=1)
    centres = paths(draws, radii, steps, size)
    return np.rint(255 * paint(sprites, centres, size)).astype(np.uint8)


def paths(draws: np.ndarray, radii: np.ndarray, steps: int, size: int) -> np.ndarray:
    """Centres of things that bounce, rows and columns in pixels from the upper left corner.

    Args:
        draws: [4, B, N] in [0, 1): two coordinates of the start, direction, speed.
        radii: [B, N], how near to a wall the centres come.
        steps: T.
        size: pixels of a frame's side.

    Returns:
        [T, B, N, 2].
    """
    room = (size - 2 * radii)[..., None]
    start = np.moveaxis(draws[:2], 0, -1) * room
    angle, (slow, fast) = 2 * np.pi * draws[2], SPEEDS
    speed = size * (slow + (fast - slow) * draws[3])
    velocity = (speed * np.stack([np.sin(angle), np.cos(angle)])).transpose(1, 2, 0)
    straight = start + velocity * np.arange(steps)[:, None, None, None]
    return radii[..., None] + room - abs(straight % (2 * room) - room)  # folded at the walls


def paint(sprites: np.ndarray, centres: np.ndarray, size: int) -> np.ndarray:
    """Frames with sprites at any places, by bilinear interpolation.

        frame[i, j] = max_n Σ_kl hat(i − top_n − k) sprite_n[k, l] hat(j − left_n − l)
        hat(x) = max(1 − |x|, 0)

    Args:
        sprites: [B, N, S, S].
        centres: [T, B, N, 2], rows and columns.
        size: pixels of a frame's side.

    Returns:
        [T, B, size, size].
    """
    side = sprites.shape[-1]
    corners = np.moveaxis(centres - side / 2, -1, 0).astype(np.float32)
    steps = np.subtract.outer(np.arange(size), np.arange(side)).astype(np.float32)
    rows, columns = np.maximum(1 - abs(steps - corners[..., None, None]), 0)  # [T, B, N, size, S]
    return (rows @ sprites @ columns.swapaxes(-1, -2)).max(axis=2)


def shapes(rngs: Sequence[np.random.Generator], size: int) -> Things:
    """One to three discs, squares and triangles of random sizes for each generator."""
    drawn = np.stack([rng.random((2, SHAPES)) for rng in rngs], axis=1)
    counts = np.array([rng.integers(1, SHAPES, endpoint=True) for rng in rngs])
    small, large = RADII
    radii = size * (small + (large - small) * drawn[0])
    side = 2 * math.ceil(size * large + 0.5)
    places = (np.arange(side) + 0.5 - side / 2) / radii[..., None]
    pixels = distance((3 * drawn[1]).astype(int), places) * radii[..., None, None]
    there = np.arange(SHAPES) < counts[:, None]
    cover = np.clip(0.5 - pixels, 0, 1) * there[..., None, None]
    return Things(cover.astype(np.float32), radii)


def distance(kinds: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How far points lie from the edges of shapes within [-1, 1]², negative inside.

    Args:
        kinds: [B, N], 0 a disc, 1 a square, 2 a triangle.
        places: [B, N, S], the coordinates of rows and columns.

    Returns:
        [B, N, S, S]; beyond a corner it is the distance from the nearer edge, drawn out.
    """
    v, u = places[..., :, None], abs(places[..., None, :])
    disc = np.hypot(u, v) - 1
    square = np.maximum(u, abs(v)) - 1
    triangle = np.maximum(v - 1, (2 * u - v - 1) / math.sqrt(5))
    return np.choose(kinds[..., None, None], [disc, square, triangle])


def digits(images: np.ndarray) -> Cast:
    """Casts two of some digits uint8 [N, H, W] in each video, 7/16 of the frame's side wide."""

    def cast(rngs: Sequence[np.random.Generator], size: int) -> Things:
        side = 7 * size // 16
        chosen = images[[rng.integers(len(images), size=DIGITS) for rng in rngs]]
        rows, columns = (shrink(length, side) for length in images.shape[1:])
        sprites = rows @ (chosen / np.float32(255)) @ columns.T
        return Things(sprites, np.full((len(rngs), DIGITS), side / 2))

    return cast


def shrink(length: int, side: int) -> np.ndarray:
    """The matrix [side, length] that makes pixels larger: each is the mean of what it covers."""
    ends = np.linspace(0, length, side + 1)[:, None]
    pixels = np.arange(length)
    covered = np.minimum(ends[1:], pixels + 1) - np.maximum(ends[:-1], pixels)
    return (np.maximum(covered, 0) * side / length).astype(np.float32)
