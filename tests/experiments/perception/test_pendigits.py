"""Pendigits: what the rows of its files mean, and which of them make up each split."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.data.downloads import DataSet
from experiments.perception import pendigits
from experiments.perception.digits import neighbours


def write(path, rows):
    """Rows as UCI writes them; returns the checksum."""
    content = "".join(",".join(f"{value:3d}" for value in row) + "\n" for row in rows).encode()
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Random rows of both files, which are there with the checksums that belong to them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path))
    (tmp_path / "pendigits").mkdir()
    rng = np.random.default_rng(0)
    found = {}
    for name, kind, count in (("TRAINING", "tra", 47), ("TESTING", "tes", 13)):
        found[kind] = rng.integers(0, 101, (count, 17))
        found[kind][:, 16] = rng.integers(0, 10, count)
        file = f"pendigits/pendigits.{kind}"
        sha256 = write(tmp_path / file, found[kind])
        monkeypatch.setattr(pendigits, name, DataSet(file, "http://127.0.0.1:9/", sha256))
    return found


def test_the_last_tenth_of_the_training_file_is_for_validation(rows):
    splits = pendigits.load()
    expected = {"train": rows["tra"][:43], "valid": rows["tra"][43:], "test": rows["tes"]}
    for name, own in expected.items():
        np.testing.assert_array_equal(splits[name].points[:, :, 0], own[:, 0:16:2])
        np.testing.assert_array_equal(splits[name].points[:, :, 1], own[:, 1:16:2])
        np.testing.assert_array_equal(splits[name].labels, own[:, 16])


def test_a_changed_file_is_refused(rows, tmp_path):
    path = tmp_path / pendigits.TESTING.file
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ConfigError, match=r"pendigits\.tes has the sha256"):
        pendigits.load()


def test_the_nearest_neighbours_reach_what_is_known_of_them():
    data = os.environ.get("LSTM_JAX_DATA")
    if not data or not (Path(data) / pendigits.TRAINING.file).is_file():
        pytest.skip(f"LSTM_JAX_DATA names no directory with {pendigits.TRAINING.file}")
    splits = pendigits.load()
    assert [len(splits[name].labels) for name in ("train", "valid", "test")] == [6745, 749, 3498]
    for digits in splits.values():
        np.testing.assert_array_equal(digits.points.min(axis=1), 0)
        np.testing.assert_array_equal(digits.points.max(axis=1), 100)
    found = neighbours([splits["train"], splits["valid"]], splits["test"].points)
    assert np.mean(found == splits["test"].labels) == pytest.approx(0.9780, abs=5e-5)
