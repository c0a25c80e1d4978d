"""Omniglot: which files of its archives are read, into which split, with which points."""

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.data.downloads import DataSet
from experiments.perception import omniglot
from tests.experiments.perception.test_strokes import written

CHARACTERS = [
    ["Greek/character01", "Korean/character07"],
    ["Greek/character01", "Latin/character26"],
]


def lattice(character, drawer):
    """Two strokes of places on a grid, far enough from each other."""
    rng = np.random.default_rng([len(character), ord(character[0]), drawer])
    return [10.0 * rng.permutation(20)[:8].reshape(4, 2), 10.0 * rng.permutation(20)[:2][None]]


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Two archives of the right form, which have a character in common."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path))
    (tmp_path / "omniglot").mkdir()
    sets = []
    for number, characters in enumerate(CHARACTERS, 1):
        top = f"strokes_background_small{number}"
        path = tmp_path / "omniglot" / f"{top}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{top}/.DS_Store", b"\0\1")
            archive.writestr(f"__MACOSX/{top}/Greek/character01/._0001_01.txt", b"\0\5\x16")
            for character in characters:
                for drawer in range(1, 21):
                    text = written(lattice(character, drawer))
                    archive.writestr(f"{top}/{character}/0001_{drawer:02d}.txt", text)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        sets.append(DataSet(f"omniglot/{top}.zip", "http://127.0.0.1:9/", sha256))
    monkeypatch.setattr(omniglot, "ARCHIVES", sets)
    return tmp_path


def test_drawers_make_the_splits_and_points_stay_in_their_pixels(directory):
    splits = omniglot.load()
    drawers = {"train": range(1, 17), "valid": range(17, 19), "test": range(19, 21)}
    for name, own in drawers.items():
        expected = [
            lattice(character, drawer)
            for character in ("Greek/character01", "Korean/character07", "Latin/character26")
            for drawer in own
        ]
        assert len(splits[name]) == len(expected)
        for drawing, original in zip(splits[name], expected, strict=True):
            for stroke, places in zip(drawing, original, strict=True):
                np.testing.assert_array_equal(10 * np.round(stroke / 10), places)
                assert (np.abs(stroke - places) <= 0.5).all()
                assert (stroke != places).all()


def test_the_moves_are_the_same_each_time(directory):
    for one, other in zip(omniglot.load()["test"], omniglot.load()["test"], strict=True):
        for stroke, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(stroke, again)


def test_a_changed_archive_is_refused(directory):
    path = directory / omniglot.ARCHIVES[1].file
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ConfigError, match=r"small2\.zip has the sha256"):
        omniglot.load()


def test_the_archives_have_the_sizes_of_their_description():
    data = os.environ.get("LSTM_JAX_DATA")
    if not data or not (Path(data) / omniglot.ARCHIVES[0].file).is_file():
        pytest.skip(f"LSTM_JAX_DATA names no directory with {omniglot.ARCHIVES[0].file}")
    splits = omniglot.load()
    assert [len(splits[name]) for name in ("train", "valid", "test")] == [3872, 484, 484]
    first = splits["train"][0][0][0]  # Balinese/character01/0108_01.txt
    np.testing.assert_allclose(first, [18.954528, -43.534334], atol=0.5)
