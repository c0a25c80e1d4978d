"""Recordings of speech with what was said: Free Spoken Digits, folders of WAV files, digits joined.

The Free Spoken Digit Dataset has ten digits, each said fifty times by six speakers, at 8 kHz
(Jackson et al. 2018, Zenodo 1342401).
"""

from __future__ import annotations

import csv
import hashlib
import io
import posixpath
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.config import choose
from experiments.data import downloads, files
from experiments.data.downloads import DataSet
from experiments.perception.mel import convert_rate

ORIGIN = "https://github.com/Jakobovski/free-spoken-digit-dataset"
FSDD = DataSet(
    "fsdd/free-spoken-digit-dataset.zip",
    f"{ORIGIN}/archive/26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip",
    "0fbe6612aaa20a80ef4371894a46e060038337a518fe3d4728cb7eee7caa013c",
    downloads.members_digest(".wav"),
)
FIELD = "config.task.path"
TRANSCRIPTS = ("transcripts.csv", "transcripts.tsv")
COLUMNS = ["file", "text", "split"]  # the last one may be absent
SPLITS = ("train", "valid", "test")
RATES = (4000, 192_000)  # samples a second that a recording may have
TEST_TAKES, VALID_TAKES = 5, 5  # the first of each speaker's takes of each digit are for testing
JOINED = (2, 7)  # digits in a sequence
GAPS = (0.05, 0.30)  # seconds before, between and after them
NOISE = (10.0, 30.0)  # dB that the speech is above the noise


class Recording(NamedTuple):
    """A recording.

    Attributes:
        name: the file's.
        text: what is said; each of its characters is a symbol.
        waveform: float32 [N] in [-1, 1].
        speaker: who says it.
        take: the number of this one among the speaker's recordings of the text.
    """

    name: str
    text: str
    waveform: np.ndarray
    speaker: str = ""
    take: int = 0


def load_fsdd(rate: int, data_dir: str | None = None) -> list[Recording]:
    """The recordings of the Free Spoken Digit Dataset, in the order of their names.

    Args:
        rate: samples a second that they are resampled to; their own is 8000.
        data_dir: where to look first, see `downloads.locate`.

    Returns:
        A digit each; `text` is that digit.

    Raises:
        ConfigError: if the archive is missing and cannot be downloaded, or holds something else.
    """
    archive = zipfile.ZipFile(downloads.locate(FSDD, data_dir))
    paths = [zipfile.Path(archive, name) for name in archive.namelist() if name.endswith(".wav")]
    found = []
    for path in sorted(paths, key=lambda path: path.name):
        text, speaker, take = path.stem.split("_")
        waveform = read(path, "config.data_dir", rate)
        found.append(Recording(path.name, text, waveform, speaker, int(take)))
    return found


def divide(recordings: Sequence[Recording], speaker: str | None) -> dict[str, list[Recording]]:
    """The official split by takes; with a speaker, all of his are for testing and no others are.

    Takes 0-4 of each digit by each speaker are for testing, takes 5-9 for validation; with a
    speaker, the others' takes 0-4 are for training as well.

    Args:
        recordings: by several speakers.
        speaker: one of them, or None.

    Returns:
        The recordings of "train", "valid" and "test", in their order.

    Raises:
        ConfigError: if there is no such speaker.
    """
    if speaker is not None:
        choose("task.speaker", speaker, {recording.speaker for recording in recordings})
    splits: dict[str, list[Recording]] = {split: [] for split in SPLITS}
    for recording in recordings:
        tested = recording.take < TEST_TAKES if speaker is None else recording.speaker == speaker
        valid = TEST_TAKES <= recording.take < TEST_TAKES + VALID_TAKES
        splits["test" if tested else "valid" if valid else "train"].append(recording)
    return splits


def sequences(
    recordings: Sequence[Recording], count: int, seed: int, rate: int
) -> Iterator[Recording]:
    """Sequences of JOINED recordings, drawn with repetition whoever speaks, see `join`.

    Args:
        recordings: at least one.
        count: how many sequences there are to be.
        seed: of all that is drawn; sequence n is the same whatever the count.
        rate: samples a second.

    Returns:
        A recording for each sequence.
    """
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        drawn = rng.integers(len(recordings), size=rng.integers(*JOINED, endpoint=True))
        yield join([recordings[n] for n in drawn], rng, rate)


def join(recordings: Sequence[Recording], rng: np.random.Generator, rate: int) -> Recording:
    """Recordings one after the other, as loud as each other, with random gaps and white noise.

    Each is brought to the power 1 and the noise, over everything, to -NOISE dB; at last everything
    is scaled to the greatest magnitude 1.

    Args:
        recordings: at least one, none of them silent.
        rng: of the gaps, which last GAPS seconds, and the noise.
        rate: samples a second.

    Returns:
        A recording whose name, with "+" between them, and whose text are theirs joined.
    """
    gaps = (rate * rng.uniform(*GAPS, len(recordings) + 1)).astype(int)
    parts = [np.zeros(gaps[0])]
    for gap, recording in zip(gaps[1:], recordings, strict=True):
        power = np.mean(np.square(recording.waveform))
        parts += [recording.waveform / np.sqrt(power), np.zeros(gap)]
    waveform = np.concatenate(parts)
    waveform += 10 ** (-rng.uniform(*NOISE) / 20) * rng.normal(size=len(waveform))
    waveform /= np.abs(waveform).max()
    text = "".join(recording.text for recording in recordings)
    return Recording("+".join(r.name for r in recordings), text, waveform.astype(np.float32))


def load_folder(directory: Path, rate: int) -> dict[str, list[Recording]]:
    """Recordings of a folder with transcripts.csv or transcripts.tsv.

    Its first line names its columns: file, text and, if you will, split ("train", "valid" or
    "test"). A file is named by its path within the folder. A cell of a CSV file that holds a comma
    or a quotation mark is quoted; one of a TSV file is what stands between the tabs. The text's
    runs of blanks become one. Without a column split, in the order of the sha256 of the files'
    names a tenth is for testing, the next one for validation.

    Args:
        directory: the folder.
        rate: samples a second that the recordings are resampled to.

    Returns:
        The recordings of "train", "valid" and "test".

    Raises:
        ConfigError: naming the file that is missing or wrong, or the split that is empty.
    """
    path = next((p for name in TRANSCRIPTS if (p := directory / name).is_file()), None)
    if path is None:
        what = f"has no {' or '.join(TRANSCRIPTS)} that says what is said in each recording"
        raise files.refusal(directory, FIELD, what)
    splits: dict[str, list[Recording]] = {split: [] for split in SPLITS}
    for name, (text, split) in _transcripts(path).items():
        waveform = read(directory / name, FIELD, rate)
        splits[split].append(Recording(name, text, waveform))
    for split, found in splits.items():
        if not found:
            what = f"leaves no recording to the split {split}; name some in a column split"
            raise files.refusal(path, FIELD, what)
    return splits


def _transcripts(path: Path) -> dict[str, tuple[str, str]]:
    """What is said in each file, and its split."""
    lines = io.StringIO(files.read_text(path, FIELD), newline="")
    if path.suffix == ".tsv":
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, strict=True)
    separator = reader.dialect.delimiter
    found: dict[str, tuple[str, str]] = {}
    try:
        header = next(reader, [])
        if header not in (COLUMNS, COLUMNS[:2]):
            what = f"begins with {separator.join(header)[:40]!r}, it must be"
            raise ValueError(f"{what} {separator.join(COLUMNS)!r}, the last one as you like")
        for cells in filter(None, reader):
            name, text, split = _row(cells, len(header))
            if name in found:
                raise ValueError(f"names {name[:80]} twice")
            found[name] = text, split
    except (ValueError, csv.Error) as error:
        raise files.refusal(path, FIELD, f"line {reader.line_num} {error}") from error
    if header == COLUMNS:
        return found
    return {name: (found[name][0], split) for name, split in _split_by_name(found).items()}


def _row(cells: list[str], columns: int) -> tuple[str, str, str]:
    """A file's name, its text and its split."""
    if len(cells) != columns:
        raise ValueError(f"has {len(cells)} cells, but the first line has {columns}")
    name, text = _inside(cells[0].strip()), " ".join(cells[1].split())
    split = cells[2].strip() if columns == len(COLUMNS) else "train"
    if not text:
        raise ValueError(f"has no text for {name[:80]}")
    if split not in SPLITS:
        raise ValueError(f"has the split {split[:40]!r}, it must be one of {', '.join(SPLITS)}")
    return name, text, split


def _inside(path: str) -> str:
    """A path within the folder in its one form: "./a.wav" and "b/../a.wav" are "a.wav"."""
    name = posixpath.normpath(path)
    if name == "." or not name.isprintable():
        raise ValueError("names no file")
    if posixpath.isabs(name) or name.split("/")[0] == "..":
        raise ValueError(f"names {name[:80]}, out of the folder; give a path within the folder")
    return name


def _split_by_name(names: Iterable[str]) -> dict[str, str]:
    """In the order of their sha256 a tenth of the names is for testing, the next for validation."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    tenth = -(-len(ordered) // 10)
    kinds = ["test"] * tenth + ["valid"] * tenth + ["train"] * len(ordered)
    return dict(zip(ordered, kinds, strict=False))


def read(path: Path | zipfile.Path, field: str, rate: int) -> np.ndarray:
    """A WAV file's waveform, its channels averaged.

    Args:
        path: the file, or a member of an archive.
        field: the config's field or the option that names it, for the error.
        rate: samples a second that it is resampled to.

    Returns:
        float32 [N].

    Raises:
        ConfigError: naming the file if it is no whole recording, is silent or has an odd rate.
    """
    own, waveform = files.read_wav(path, field)
    if not RATES[0] <= own <= RATES[1]:
        least, most = RATES
        raise files.refusal(path, field, f"has {own} Hz, it must be {least} to {most} Hz")
    if not np.ptp(waveform):
        raise files.refusal(path, field, "is silent; give a recording of something")
    return convert_rate(waveform, own, rate)
