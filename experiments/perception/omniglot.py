"""Omniglot's two small background sets: 242 characters of eight alphabets by 20 drawers each.

Lake et al. 2015, "Human-level concept learning through probabilistic program induction", Science
350. MIT licence.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from zipfile import ZipFile

import numpy as np

from experiments.data import downloads
from experiments.data.downloads import DataSet
from experiments.perception.strokes import parse, thin

ORIGIN = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
ARCHIVES = [
    DataSet(f"omniglot/{name}", f"{ORIGIN}/{name}", sha256)
    for name, sha256 in [
        (
            "strokes_background_small1.zip",
            "8cb3960fb6cf4ccf5f064ad83169f828c36c36782a0f6e7faacb7ecfae4468a2",
        ),
        (
            "strokes_background_small2.zip",
            "345bf2141efbea062833dbb2828abbc23d9e07825e46f2afdd4daecddfed6e78",
        ),
    ]
]
STEP = 4.0  # the least distance of points, on a canvas of side 105
PIXEL = 1.0


def load(data_dir: str | None = None) -> dict[str, list[list[np.ndarray]]]:
    """The drawings of each split, with y upwards.

    "train" has every character by drawers 1 to 16 of its alphabet, "valid" by drawers 17 and 18,
    "test" by drawers 19 and 20. Each alphabet numbers its own drawers, so that some may be in
    several splits.

    The pen's places are pixels, so that many offsets have exact zeros, of which a density can make
    as much as it likes: each point is moved at random within its pixel, always alike. Of them those
    at least STEP apart are kept.

    Args:
        data_dir: where to look first, see `downloads.locate`.

    Raises:
        ConfigError: if a file is missing and cannot be downloaded, or holds something else.
    """
    splits: dict[str, list[list[np.ndarray]]] = {"train": [], "valid": [], "test": []}
    rng = np.random.default_rng(0)
    for name, text in sorted(_texts(data_dir).items()):
        moved = [s + PIXEL * rng.uniform(-0.5, 0.5, s.shape) for s in parse(text)]
        splits[_split(name)].append([thin(stroke, STEP) for stroke in moved])
    return splits


def _texts(data_dir: str | None) -> dict[str, str]:
    """The text of every drawing by ALPHABET/CHARACTER/FILE; both archives hold Greek and Latin."""
    texts = {}
    for data_set in ARCHIVES:
        content = downloads.locate(data_set, data_dir).read_bytes()
        with ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                path = PurePosixPath(name)
                if path.suffix == ".txt" and path.parts[0] != "__MACOSX":
                    texts["/".join(path.parts[1:])] = archive.read(name).decode()
    return texts


def _split(name: str) -> str:
    """Files are NUMBER_DRAWER.txt, with drawers from 1 to 20."""
    drawer = int(name.removesuffix(".txt").split("_")[-1])
    return "train" if drawer <= 16 else "valid" if drawer <= 18 else "test"
