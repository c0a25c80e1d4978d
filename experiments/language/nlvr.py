"""The NLVR corpus: images of three boxes with coloured shapes, and sentences that are true of them.

Suhr et al. 2017, "A corpus of natural language for visual reasoning", ACL. Every sentence was
judged true or false of its image; the true ones serve as captions.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.config import ConfigError
from experiments.data import downloads, files
from experiments.data.downloads import DataSet
from experiments.language.scenes import Scene

FIELD = "config.data_dir"
ORIGIN = "https://raw.githubusercontent.com/lil-lab/nlvr/master/nlvr"
SENTENCES = {
    part: DataSet(f"nlvr/{part}.json", f"{ORIGIN}/{part}/{part}.json", sha256)
    for part, sha256 in [
        ("dev", "0d312c3d7309393c0e36d286c70b884fb276819699e9f8f2bcea2854ad46537b"),
        ("hidden", "d54d7060ea8050fa477fe988d8584af6344b99449648ceeb39b4af8b55b20622"),
        ("test", "9a337ac016455eebe8aef70a6e94977dbcd9e75aec56f0fb09477a9c1038528d"),
    ]
}
IMAGES = "nlvr/nlvr_images_perm0.tar"
IMAGES_SHA256 = "5182d1b8fd23531a26203dbb7b6ac50723ab994a574a3144ca29c192689e71bd"  # see `_digest`
RECIPE = (
    "clone https://github.com/lil-lab/nlvr, pack its images there by"
    " `find nlvr/dev nlvr/test nlvr/hidden -name '*-0.png' | tar -cf nlvr_images_perm0.tar -T -`,"
    " put the archive into a folder nlvr of some directory and name that with --config.data_dir"
)
HEIGHT, WIDTH = 32, 128  # pixels that the images of 100 x 400 are shrunk to


def load(data_dir: str | None = None) -> dict[str, list[Scene]]:
    """The true sentences of each split, with their images uint8 [HEIGHT, WIDTH, 3].

    "test" is the corpus' public test part; "train" and "valid" are its parts dev and hidden, of
    which every tenth sentence, with all its images, is for validation.

    Args:
        data_dir: where to look first, see `downloads.locate`.

    Raises:
        ConfigError: if a file is missing and cannot be downloaded, or holds something else.
    """
    images = _images(data_dir)
    splits: dict[str, list[Scene]] = {"train": [], "valid": [], "test": []}
    for part, data_set in SENTENCES.items():
        path = downloads.locate(data_set, data_dir)
        for line in filter(None, files.read_text(path, FIELD).split("\n")):
            record = json.loads(line)
            if record["label"] == "true":
                image = shrink(images[f"{part}-{record['identifier']}-0.png"])
                split = _split(part, record["identifier"])
                splits[split].append(Scene(image, normalize(record["sentence"])))
    return splits


def references(scenes: Sequence[Scene]) -> list[list[str]]:
    """For each scene the captions of all scenes with the same image, its own among them."""
    captions = defaultdict(list)
    for image, caption in scenes:
        captions[image.tobytes()].append(caption)
    return [captions[image.tobytes()] for image, _ in scenes]


def normalize(sentence: str) -> str:
    """A sentence in lower case, with single blanks and without a period at its end.

    Example:
        >>> normalize("There is  a Tower .")
        'there is a tower'
    """
    return " ".join(sentence.lower().split()).rstrip(" .")


def shrink(png: bytes) -> np.ndarray:
    """The pixels of a PNG, averaged over boxes: uint8 [HEIGHT, WIDTH, 3]."""
    from PIL import Image  # matplotlib brings it

    with Image.open(io.BytesIO(png)) as image:
        return np.array(image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BOX))


def _split(part: str, identifier: str) -> str:
    """Identifiers are NUMBER-IMAGE; a number has one sentence, written for up to four images."""
    if part == "test":
        return "test"
    return "valid" if int(identifier.split("-")[0]) % 10 == 0 else "train"


def _images(data_dir: str | None) -> dict[str, bytes]:
    """The PNG files of the first permutation by name, read from the archive and checked."""
    places = downloads.places(IMAGES, data_dir)
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        looked = ", ".join(map(str, places))
        raise ConfigError(f"{FIELD}: the images of NLVR are not at {looked}; {RECIPE}")
    images = _read_archive(path)
    if (found := _digest(images)) != IMAGES_SHA256:
        what = f"holds {len(images)} images of sha256 {found}, it must be {IMAGES_SHA256}; {RECIPE}"
        raise files.refusal(path, FIELD, what)
    return images


def _read_archive(path: Path) -> dict[str, bytes]:
    """The files NAME-0.png of a tar archive, by name without their folders."""
    try:
        with tarfile.open(path) as archive:
            return {
                Path(member.name).name: content.read()
                for member in archive
                if member.name.endswith("-0.png") and (content := archive.extractfile(member))
            }
    except (OSError, tarfile.TarError) as error:
        raise files.refusal(path, FIELD, f"is no whole tar archive ({error}); {RECIPE}") from error


def _digest(images: dict[str, bytes]) -> str:
    """The sha256 of the images' sha256 in the order of their names: archives differ, these not."""
    digests = [hashlib.sha256(images[name]).digest() for name in sorted(images)]
    return hashlib.sha256(b"".join(digests)).hexdigest()
