"""Moving pictures: how things move, how they are painted, what they are."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from experiments.perception import frames
from experiments.perception.frames import SPEEDS, digits, distance, paint, paths, shapes, shrink

SIZE = 24


def random_digits(number=9):
    return np.random.default_rng(8).integers(0, 256, (number, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("cast", [shapes, digits(random_digits())])
def test_a_video_is_decided_by_its_seed_split_and_number(cast):
    whole = frames.videos(cast, "train", range(5), 6, SIZE)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole[:, [3, 1]], frames.videos(cast, "train", [3, 1], 6, SIZE))
    np.testing.assert_array_equal(whole[:4], frames.videos(cast, "train", range(5), 4, SIZE))
    for other in [
        frames.videos(cast, "train", range(5, 10), 6, SIZE),
        frames.videos(cast, "test", range(5), 6, SIZE),
        frames.videos(cast, "train", range(5), 6, SIZE, seed=1),
    ]:
        assert (other != whole).any(axis=(0, 2, 3)).all()


def test_things_keep_their_velocity_and_bounce_off_the_walls():
    """Against a ball that is moved step by step and turned where it has passed a wall."""
    random = np.random.default_rng(0)
    draws, radii = random.random((4, 7, 3)), random.uniform(1, 5, (7, 3))
    draws[2, 0, 0] = 0.0  # along the columns alone
    found = paths(draws, radii, 40, SIZE)
    bounced = 0
    for video, thing in np.ndindex(7, 3):
        low, high = radii[video, thing], SIZE - radii[video, thing]
        row, column, direction, speed = draws[:, video, thing]
        speed = SIZE * (SPEEDS[0] + (SPEEDS[1] - SPEEDS[0]) * speed)
        angle = 2 * np.pi * direction
        place = low + (high - low) * np.array([row, column])
        velocity = speed * np.array([np.sin(angle), np.cos(angle)])
        for step in range(40):
            np.testing.assert_allclose(found[step, video, thing], place, atol=1e-9)
            place = place + velocity
            for axis in range(2):
                if not low <= place[axis] <= high:
                    wall = low if place[axis] < low else high
                    place[axis], velocity[axis] = 2 * wall - place[axis], -velocity[axis]
                    bounced += 1
    assert bounced > 30
    np.testing.assert_allclose(np.ptp(found[:, 0, 0, 0]), 0, atol=1e-9)


def test_painting_shifts_sprites_between_pixels_and_shows_the_brighter_one():
    random = np.random.default_rng(1)
    sprites = random.random((2, 3, 5, 5)).astype(np.float32)
    centres = random.uniform(0, SIZE, (4, 2, 3, 2))
    expected = np.zeros((4, 2, SIZE, SIZE))
    for step, video, thing in np.ndindex(4, 2, 3):
        canvas = np.zeros((SIZE, SIZE))
        canvas[8:13, 8:13] = sprites[video, thing]
        corner = centres[step, video, thing] - 2.5
        seen = ndimage.shift(np.pad(canvas, 20), corner - 8, order=1)[20:-20, 20:-20]
        expected[step, video] = np.maximum(expected[step, video], seen)
    np.testing.assert_allclose(paint(sprites, centres, SIZE), expected, atol=1e-5)


def test_a_thing_that_lies_on_the_pixels_is_painted_as_it_is():
    sprite = np.random.default_rng(2).random((1, 1, 4, 4))
    frame = paint(sprite, np.array([[[[5.0, 9.0]]]]), 16)[0, 0]
    np.testing.assert_allclose(frame[3:7, 7:11], sprite[0, 0], atol=1e-6)
    assert frame.sum() == pytest.approx(sprite.sum(), rel=1e-6)


def test_distances_from_the_edges_of_shapes():
    """By hand: a disc, a square, a triangle with its tip (0, −1) above and its base v = 1."""
    points = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    disc, square, triangle = distance(np.arange(3)[None], np.tile(points, (1, 3, 1)))[0]
    assert disc[2, 2] == -1
    assert disc[2, 4] == 0
    assert disc[0, 0] == pytest.approx(np.sqrt(2) - 1)
    assert square[2, 2] == -1
    assert square[1, 3] == -0.5
    assert (square[[0, -1]] == 0).all()
    assert triangle[0, 2] == pytest.approx(0)  # the tip
    assert triangle[4, 0] == triangle[4, 4] == pytest.approx(0)  # the ends of the base
    assert triangle[2, 2] == pytest.approx(-1 / np.sqrt(5))
    assert triangle[0, 0] == pytest.approx(2 / np.sqrt(5))
    assert triangle[3, 1] < 0 < triangle[1, 3]


def test_shapes_have_the_areas_of_their_kinds():
    rngs = [np.random.default_rng(n) for n in range(200)]
    sprites, radii = shapes(rngs, 64)
    areas = sprites.sum(axis=(-2, -1))
    counts = (areas > 0).sum(axis=1)
    assert set(counts) == {1, 2, 3}
    found = (areas / radii**2)[areas > 0]
    kinds = np.array([np.pi, 4.0, 2.0])
    nearest = abs(found[:, None] - kinds).argmin(axis=1)
    np.testing.assert_allclose(found, kinds[nearest], rtol=0.05)
    assert np.bincount(nearest, minlength=3).min() > 80
    assert radii.min() > 0.1 * 64
    assert 0.2 * 64 < radii.max() < 0.22 * 64


def test_things_never_leave_the_frame():
    """What a single thing shows, summed up, is the same in every frame, but for its smooth edge."""
    videos = frames.videos(shapes, "valid", range(60), 30, 32) / 255
    rngs = [np.random.default_rng((0, 1, n)) for n in range(60)]
    areas = shapes(rngs, 32).sprites.sum((2, 3))
    alone = (areas > 0).sum(axis=1) == 1
    assert alone.sum() > 10
    shown = videos[:, alone].sum((2, 3))
    np.testing.assert_allclose(shown, np.tile(areas[alone].max(axis=1), (30, 1)), rtol=0.06)


@pytest.mark.parametrize("side", [3, 7, 14, 20, 28])
def test_shrinking_takes_means(side):
    image = random_digits(1)[0]
    matrix = shrink(28, side)
    resized = Image.fromarray(image.astype(np.float32)).resize((side, side), Image.Resampling.BOX)
    exact = 28 % side == 0  # Pillow leaves out the parts of pixels
    if exact:
        np.testing.assert_allclose(matrix @ image @ matrix.T, np.asarray(resized), rtol=1e-4)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(matrix.sum(axis=0), side / 28, rtol=1e-5)


def test_digits_are_two_of_those_given():
    images = random_digits(5)
    sprites, radii = digits(images)([np.random.default_rng(n) for n in range(40)], 32)
    assert sprites.shape == (40, 2, 14, 14)
    assert (radii == 7).all()
    small = images.reshape(5, 14, 2, 14, 2).mean((2, 4)) / 255
    errors = abs(sprites[:, :, None] - small).max((-2, -1))
    np.testing.assert_allclose(errors.min(axis=-1), 0, atol=1e-6)
    assert set(errors.argmin(axis=-1).ravel()) == set(range(5))
