"""The NLVR corpus: which sentences become captions, of which split, with what image."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.config import ConfigError
from experiments.data.downloads import DataSet
from experiments.language import nlvr
from experiments.language.scenes import Scene

SENTENCES = {  # part: identifier, label, sentence
    "dev": [
        ("11-0", "true", "There is  a BLUE tower."),
        ("11-1", "false", "There is  a BLUE tower."),
        ("20-2", "true", "there are 2 boxes . "),
    ],
    "hidden": [("7-3", "true", "A box, which\u2028is\tfull"), ("30-0", "true", "One circle.")],
    "test": [("40-1", "true", "There is a tower."), ("3-1", "false", "No.")],
}
NAMES = [f"{part}-{id}-0.png" for part, rows in SENTENCES.items() for id, _, _ in rows]


def blocks(name):
    """An image's colors on a grid of 4 x 16, random but for its name."""
    rng = np.random.default_rng(list(name.encode()))
    return rng.integers(0, 256, (4, 16, 3)).astype(np.uint8)


def enlarge(colors, side):
    return np.kron(colors, np.ones((side, side, 1), np.uint8))


def png(name):
    file = io.BytesIO()
    opaque = np.insert(enlarge(blocks(name), 25), 3, 255, axis=2)
    Image.fromarray(opaque).save(file, "png")
    return file.getvalue()


def pack(path, names):
    with tarfile.open(path, "w") as archive:
        for number, name in enumerate(names):
            content = png(name)
            member = tarfile.TarInfo(f"nlvr/{name.split('-')[0]}/images/{number}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A small corpus of the right form, with the checksums that belong to it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path / "environment"))
    (tmp_path / "nlvr").mkdir()
    for part, rows in SENTENCES.items():
        keys = ("identifier", "label", "sentence")
        lines = [json.dumps(dict(zip(keys, row, strict=True)), ensure_ascii=False) for row in rows]
        content = "".join(f"{line}\n" for line in lines).encode()
        (tmp_path / "nlvr" / f"{part}.json").write_bytes(content)
        data_set = DataSet(f"nlvr/{part}.json", "", hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(nlvr.SENTENCES, part, data_set)
    pack(tmp_path / nlvr.IMAGES, [*reversed(NAMES), "dev-11-0-3.png"])
    digests = b"".join(hashlib.sha256(png(name)).digest() for name in sorted(NAMES))
    monkeypatch.setattr(nlvr, "IMAGES_SHA256", hashlib.sha256(digests).hexdigest())
    return tmp_path


def test_true_sentences_become_captions_of_the_averaged_images(directory):
    splits = nlvr.load(str(directory))
    assert {split: [scene.caption for scene in scenes] for split, scenes in splits.items()} == {
        "train": ["there is a blue tower", "a box, which is full"],
        "valid": ["there are 2 boxes", "one circle"],
        "test": ["there is a tower"],
    }
    for split, number, name in [
        ("train", 0, "dev-11-0-0.png"),
        ("train", 1, "hidden-7-3-0.png"),
        ("valid", 0, "dev-20-2-0.png"),
        ("test", 0, "test-40-1-0.png"),
    ]:
        np.testing.assert_array_equal(splits[split][number].image, enlarge(blocks(name), 8))


def test_references_are_all_captions_of_the_same_image():
    one, other = (enlarge(blocks(name), 8) for name in ("one", "other"))
    scenes = [Scene(one, "a"), Scene(other, "b"), Scene(one.copy(), "c")]
    assert nlvr.references(scenes) == [["a", "c"], ["b"], ["a", "c"]]


def test_missing_images_say_where_they_were_looked_for_and_how_to_get_them(directory):
    (directory / nlvr.IMAGES).unlink()
    with pytest.raises(ConfigError) as raised:
        nlvr.load(str(directory / "given"))
    message = str(raised.value)
    for place in ("given", "environment", "cache/lstm_jax"):
        assert str(directory / place / nlvr.IMAGES) in message
    assert "clone https://github.com/lil-lab/nlvr" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_damaged_archives_are_refused(directory, content):
    path = directory / nlvr.IMAGES
    path.write_bytes(path.read_bytes()[:700] if content is None else content)
    with pytest.raises(ConfigError, match=r"config\.data_dir: .*perm0\.tar is no whole tar"):
        nlvr.load(str(directory))


def test_other_images_are_refused(directory):
    pack(directory / nlvr.IMAGES, NAMES[1:])
    with pytest.raises(ConfigError, match=f"holds {len(NAMES) - 1} images of sha256"):
        nlvr.load(str(directory))


def test_the_corpus_has_the_sizes_of_its_description():
    data = os.environ.get("LSTM_JAX_DATA")
    if not data or not (Path(data) / nlvr.IMAGES).is_file():
        pytest.skip(f"LSTM_JAX_DATA names no directory with {nlvr.IMAGES}")
    splits = nlvr.load()
    assert len(splits["train"]) + len(splits["valid"]) == 547 + 546
    assert 90 < len(splits["valid"]) < 130
    assert len(splits["test"]) == 556
    assert splits["train"][0].caption.startswith("each grey box contains atleast one yellow")
    between = splits["test"][0].image[:, 36:44]  # the gap between the first two boxes
    assert (between == 128).all()
