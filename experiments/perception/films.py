"""Predicted beside true frames, as a picture and as an animation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

GAP = 1  # pixels between frames
BLANK = 0.25  # the gray of what is not there
WIDTH = 14.0  # inches of a row
ENLARGED = 160  # pixels of a frame's side in an animation, about
MARGIN = 24  # pixels for a line of text
DURATION = 150  # milliseconds of a frame
READING, ALONE = "#56B4E9", "#E69F00"  # of Okabe & Ito's palette


class Film(NamedTuple):
    """A video and what a model made of it, in [0, 1].

    Attributes:
        truth: frames [T, H, W].
        following: predictions [T − 1, H, W] of frames 2 to T, each from all true ones before it.
        ahead: predictions [A, H, W] of the last A frames, from the true ones before them alone.
    """

    truth: np.ndarray
    following: np.ndarray
    ahead: np.ndarray

    def rows(self) -> dict[str, np.ndarray]:
        """What is drawn of it, T frames in each row."""
        total = len(self.truth)
        return {
            "truth": self.truth,
            "one frame ahead": padded(self.following, total),
            f"up to {len(self.ahead)} ahead": padded(self.ahead, total),
        }


def padded(frames: np.ndarray, total: int) -> np.ndarray:
    """`total` frames of which the last are given, and those before are blank."""
    blank = np.full((total - len(frames), *frames.shape[1:]), BLANK, frames.dtype)
    return np.concatenate([blank, frames])


def plot_films(path: Path, films: Sequence[Film]) -> None:
    """Draws for each video its frames and, below them, both kinds of predictions, as a PNG.

    Args:
        path: the file.
        films: at least one, of equal shapes.
    """
    from matplotlib.figure import Figure  # slow to import

    total, height, width = films[0].truth.shape
    inches = 0.45 + 3 * WIDTH * (height + GAP) / (total * (width + GAP))
    size = WIDTH + 1.5, 0.3 + inches * len(films)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(films), squeeze=False)[:, 0]
    for panel, film in zip(panels, films, strict=True):
        rows = film.rows()
        panel.imshow(np.concatenate([strip(row) for row in rows.values()]), "gray", vmin=0, vmax=1)
        panel.set_yticks((np.arange(len(rows)) + 0.5) * (height + GAP), list(rows))
        panel.set_xticks((np.arange(total) + 0.5) * (width + GAP), range(1, total + 1))
        read = (total - len(film.ahead)) * (width + GAP) - 1
        panel.axvline(read, color=ALONE, linewidth=2)
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    figure.supxlabel("frame; the third row reads those on the left of the line, no other")
    figure.savefig(path, dpi=100)


def strip(frames: np.ndarray) -> np.ndarray:
    """Frames [T, H, W] side by side, white between them: [H + GAP, T · (W + GAP)]."""
    return np.concatenate(list(np.pad(frames, ((0, 0), (0, GAP), (0, GAP)), constant_values=1)), 1)


def write_gif(path: Path, films: Sequence[Film]) -> None:
    """Animates videos side by side: true frames above, what the model makes of them below.

    The lower row has the next-frame predictions while the model reads; then it goes on alone.

    Args:
        path: the file.
        films: at least one, of equal shapes.
    """
    from PIL import Image

    steps = range(1, len(films[0].truth))
    pictures = [_picture(films, step).quantize(64, dither=Image.Dither.NONE) for step in steps]
    durations = [DURATION] * (len(pictures) - 1) + [5 * DURATION]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def _picture(films: Sequence[Film], step: int) -> Image.Image:
    """Frame number `step`, from 0, of all videos and of their predictions."""
    from PIL import Image, ImageDraw

    total, height, width = films[0].truth.shape
    alone = step - (total - len(films[0].ahead))
    says, color = ("goes on alone", ALONE) if alone >= 0 else ("reads, one frame ahead", READING)
    factor = max(ENLARGED // max(height, width), 1)
    across, down = factor * width + MARGIN // 4, factor * height + MARGIN
    picture = Image.new("RGB", (across * len(films) + MARGIN // 4, 2 * down), "black")
    write = ImageDraw.Draw(picture).text
    write((6, 5), f"true frame {step + 1} of {total}", "white")
    write((6, down + 5), f"predicted: {says}", color)
    for number, film in enumerate(films):
        guess = film.ahead[alone] if alone >= 0 else film.following[step - 1]
        for row, frame in enumerate((film.truth[step], guess)):
            gray = Image.fromarray(np.rint(255 * frame).astype(np.uint8))
            large = gray.resize((factor * width, factor * height), Image.Resampling.NEAREST)
            corner = MARGIN // 4 + number * across, row * down + MARGIN
            picture.paste(large, corner)
            box = (corner[0] - 1, corner[1] - 1, corner[0] + large.width, corner[1] + large.height)
            ImageDraw.Draw(picture).rectangle(box, outline=(color if row else "white"))
    return picture
