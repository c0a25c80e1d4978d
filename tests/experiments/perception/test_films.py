"""Films: which frame is drawn where."""

import numpy as np
from PIL import Image, ImageSequence

from experiments.perception import films
from experiments.perception.films import BLANK, DURATION, GAP, MARGIN, Film


def random_film(seed, total=6, ahead=2):
    random = np.random.default_rng(seed)
    return Film(*(random.random((count, 8, 10)) for count in (total, total - 1, ahead)))


def test_predictions_stand_below_the_frames_that_they_predict():
    film = random_film(0)
    truth, following, ahead = film.rows().values()
    np.testing.assert_array_equal(truth, film.truth)
    np.testing.assert_array_equal(following[1:], film.following)
    np.testing.assert_array_equal(ahead[4:], film.ahead)
    assert (following[:1] == BLANK).all()
    assert (ahead[:4] == BLANK).all()


def test_a_strip_has_the_frames_side_by_side():
    frames = random_film(1).truth
    strip = films.strip(frames)
    assert strip.shape == (8 + GAP, 6 * (10 + GAP))
    for number, frame in enumerate(frames):
        left = number * (10 + GAP)
        np.testing.assert_array_equal(strip[:8, left : left + 10], frame)
        assert (strip[:, left + 10] == 1).all()
    assert (strip[8:] == 1).all()


def test_the_animation_shows_truth_above_predictions(tmp_path):
    shown = [random_film(2), random_film(3)]
    films.write_gif(tmp_path / "x.gif", shown)
    with Image.open(tmp_path / "x.gif") as file:
        pictures = [np.asarray(p.convert("L"), float) / 255 for p in ImageSequence.Iterator(file)]
        durations = [p.info["duration"] for p in ImageSequence.Iterator(file)]
    assert durations == [DURATION] * 4 + [5 * DURATION]
    factor, edge = 16, MARGIN // 4  # 160 // 10
    down, across = 8 * factor + MARGIN, 10 * factor + edge
    for step, picture in enumerate(pictures, 1):
        for number, film in enumerate(shown):
            guess = film.ahead[step - 4] if step >= 4 else film.following[step - 1]
            for row, frame in enumerate((film.truth[step], guess)):
                top, left = row * down + MARGIN, edge + number * across
                box = picture[top : top + 8 * factor, left : left + 10 * factor]
                middles = box[factor // 2 :: factor, factor // 2 :: factor]
                np.testing.assert_allclose(middles, frame, atol=0.03)


def test_the_picture_has_a_panel_for_each_film(tmp_path):
    for count in (1, 3):
        films.plot_films(tmp_path / "x.png", [random_film(n) for n in range(count)])
        with Image.open(tmp_path / "x.png") as image:
            heights = image.size[1]
            assert image.convert("L").getextrema()[0] < 20
        if count == 1:
            single = heights
    assert 2 * single < heights < 3.5 * single
