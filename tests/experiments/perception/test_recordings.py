"""Recordings with what is said: an archive, a folder, sequences that are joined."""

import hashlib
import io
import itertools
import os
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from experiments.config import ConfigError
from experiments.data.downloads import DataSet, members_digest
from experiments.perception import recordings
from experiments.perception.recordings import Recording

NAMES = ["3_ann_0.wav", "3_ann_5.wav", "3_ann_10.wav", "8_bob_0.wav", "8_bob_6.wav", "8_bob_4.wav"]


def noise(name, samples=400):
    """Samples of a name's own, int16."""
    rng = np.random.default_rng(list(name.encode()))
    return rng.integers(-(2**14), 2**14, samples).astype(np.int16)


def wav(name, rate=8000):
    file = io.BytesIO()
    wavfile.write(file, rate, noise(name))
    return file.getvalue()


def pack(path, folder, names, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{folder}/README.md", f"packed into {folder}")
        for name in names:
            archive.writestr(f"{folder}/recordings/{name}", wav(name))


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A small archive of the right form, with the checksum that belongs to it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LSTM_JAX_DATA", raising=False)
    path = tmp_path / recordings.FSDD.file
    path.parent.mkdir()
    pack(path, "digits", NAMES)
    digest = members_digest(".wav")
    with path.open("rb") as file:
        small = DataSet(recordings.FSDD.file, "", digest(file), digest)
    monkeypatch.setattr(recordings, "FSDD", small)
    return tmp_path


def test_recordings_are_read_out_of_the_archive(directory):
    found = recordings.load_fsdd(8000, str(directory))
    assert [(r.name, r.text, r.speaker, r.take) for r in found] == [
        ("3_ann_0.wav", "3", "ann", 0),
        ("3_ann_10.wav", "3", "ann", 10),
        ("3_ann_5.wav", "3", "ann", 5),
        ("8_bob_0.wav", "8", "bob", 0),
        ("8_bob_4.wav", "8", "bob", 4),
        ("8_bob_6.wav", "8", "bob", 6),
    ]
    for recording in found:
        np.testing.assert_array_equal(recording.waveform * 2**15, noise(recording.name))
    assert len(recordings.load_fsdd(16000, str(directory))[0].waveform) == 800


def test_the_origin_may_pack_its_archive_in_another_way(directory):
    expected = recordings.load_fsdd(8000, str(directory))
    other = directory / recordings.FSDD.file
    pack(other, "digits-26eb9aaf", reversed(NAMES), zipfile.ZIP_DEFLATED)
    for old, new in zip(expected, recordings.load_fsdd(8000, str(directory)), strict=True):
        assert old.name == new.name
        np.testing.assert_array_equal(old.waveform, new.waveform)


@pytest.mark.parametrize("names", [NAMES[1:], [*NAMES, "1_eve_0.wav"]])
def test_other_recordings_are_refused(directory, names):
    pack(directory / recordings.FSDD.file, "digits", names)
    with pytest.raises(ConfigError, match=r"digit-dataset\.zip has the sha256 .* must be"):
        recordings.load_fsdd(8000, str(directory))


def test_a_damaged_archive_is_refused(directory):
    path = directory / recordings.FSDD.file
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for content in (b"", b"no archive", whole[:500], whole[700:]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"digit-dataset\.zip"):
            recordings.load_fsdd(8000, str(directory))
    outcomes = set()
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            outcomes.add(len(recordings.load_fsdd(8000, str(directory))))
        except ConfigError:
            outcomes.add("refused")
    assert outcomes <= {len(NAMES), "refused"}
    assert "refused" in outcomes


def test_the_official_split_is_by_takes(directory):
    found = recordings.divide(recordings.load_fsdd(8000, str(directory)), None)
    assert {split: [r.name for r in own] for split, own in found.items()} == {
        "train": ["3_ann_10.wav"],
        "valid": ["3_ann_5.wav", "8_bob_6.wav"],
        "test": ["3_ann_0.wav", "8_bob_0.wav", "8_bob_4.wav"],
    }


def test_a_speaker_can_be_left_out(directory):
    loaded = recordings.load_fsdd(8000, str(directory))
    found = recordings.divide(loaded, "bob")
    assert {split: [r.name for r in own] for split, own in found.items()} == {
        "train": ["3_ann_0.wav", "3_ann_10.wav"],
        "valid": ["3_ann_5.wav"],
        "test": ["8_bob_0.wav", "8_bob_4.wav", "8_bob_6.wav"],
    }
    with pytest.raises(ConfigError, match="config.task.speaker is 'bod', choose one of ann, bob;"):
        recordings.divide(loaded, "bod")


def test_free_spoken_digits_have_the_sizes_of_their_description():
    data = os.environ.get("LSTM_JAX_DATA")
    if not data or not (Path(data) / recordings.FSDD.file).is_file():
        pytest.skip(f"LSTM_JAX_DATA names no directory with {recordings.FSDD.file}")
    loaded = recordings.load_fsdd(8000)
    assert Counter((r.speaker, r.text) for r in loaded) == {
        (speaker, digit): 50
        for speaker in ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
        for digit in "0123456789"
    }
    sizes = {split: len(own) for split, own in recordings.divide(loaded, None).items()}
    assert sizes == {"train": 2400, "valid": 300, "test": 300}
    sizes = {split: len(own) for split, own in recordings.divide(loaded, "theo").items()}
    assert sizes == {"train": 2250, "valid": 250, "test": 500}


def spoken(number):
    """A recording that is as loud as nothing else."""
    rng = np.random.default_rng(number)
    waveform = 10.0 ** -(number % 4) * rng.normal(size=rng.integers(900, 1500))
    return Recording(f"r{number}", str(number % 10), waveform.astype(np.float32), f"s{number % 3}")


def test_joined_recordings_lie_between_gaps_in_noise():
    parts = [spoken(n) for n in range(5)]
    levels = []
    for seed in range(30):
        joined = recordings.join(parts, np.random.default_rng(seed), 8000)
        assert (joined.text, joined.name) == ("01234", "r0+r1+r2+r3+r4")
        assert joined.waveform.dtype == np.float32
        assert np.abs(joined.waveform).max() == 1
        end, powers, residues = 0, [], []
        for part in parts:  # where each fits best, after the one before it
            unit = part.waveform / np.linalg.norm(part.waveform)
            start = end + np.argmax(np.correlate(joined.waveform[end:], unit))
            assert 0.05 * 8000 - 1 <= start - end <= 0.3 * 8000
            residues.append(joined.waveform[end:start])
            end = start + len(unit)
            heard = joined.waveform[start:end] @ unit
            powers.append(heard**2 / len(unit))
            residues.append(joined.waveform[start:end] - heard * unit)
        assert 0.05 * 8000 - 1 <= len(joined.waveform) - end <= 0.3 * 8000
        residues.append(joined.waveform[end:])
        assert max(powers) / min(powers) < 1.5
        deviations = [np.std(residue) for residue in residues]
        assert max(deviations) / min(deviations) < 1.5
        levels.append(10 * np.log10(np.mean(powers) / np.mean(np.square(deviations))))
    assert 9 < min(levels) < 13
    assert 27 < max(levels) < 31


def test_sequences_are_drawn_from_what_is_given_and_are_the_same_each_time():
    given = [spoken(n) for n in range(12)]
    one, again, other = (list(recordings.sequences(given, 200, seed, 8000)) for seed in (4, 4, 5))
    assert [r.name for r in one] == [r.name for r in again] != [r.name for r in other]
    np.testing.assert_array_equal(one[7].waveform, again[7].waveform)
    names = [r.name.split("+") for r in one]
    assert {len(own) for own in names} == {2, 3, 4, 5, 6, 7}
    assert set().union(*names) == {r.name for r in given}
    for own, recording in zip(names, one, strict=True):
        assert recording.text == "".join(str(int(name[1:]) % 10) for name in own)
    mixed = [len({int(name[1:]) % 3 for name in own}) > 1 for own in names]
    assert np.mean(mixed) > 0.7


ROWS = [("a.wav", "one two", "train"), ("b.wav", "two", "valid"), ("deep/c.wav", "é", "test")]


def folder(directory, header="file,text,split", rows=ROWS, name="transcripts.csv"):
    (directory / "deep").mkdir(exist_ok=True)
    for file, _, _ in ROWS:
        (directory / file).write_bytes(wav(file))
    separator = "\t" if name.endswith("tsv") else ","
    lines = [header, *(separator.join(row) for row in rows)]
    (directory / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


@pytest.mark.parametrize("name", recordings.TRANSCRIPTS)
def test_a_folder_is_read_with_its_transcripts(tmp_path, name):
    header = "file\ttext\tsplit" if name.endswith("tsv") else "file,text,split"
    found = recordings.load_folder(folder(tmp_path, header, ROWS, name), 8000)
    assert {split: [(r.name, r.text) for r in own] for split, own in found.items()} == {
        "train": [("a.wav", "one two")],
        "valid": [("b.wav", "two")],
        "test": [("deep/c.wav", "é")],
    }
    np.testing.assert_array_equal(found["test"][0].waveform * 2**15, noise("deep/c.wav"))


def test_a_name_is_the_same_however_it_is_written(tmp_path):
    rows = [("./a.wav", "one", "train"), ("deep/../b.wav", "two", "valid"), ROWS[2]]
    found = recordings.load_folder(folder(tmp_path, rows=rows), 8000)
    assert [own[0].name for own in found.values()] == ["a.wav", "b.wav", "deep/c.wav"]


def test_a_folder_may_be_read_by_any_path_to_it(tmp_path, monkeypatch):
    folder(tmp_path)
    monkeypatch.chdir(tmp_path / "deep")
    assert recordings.load_folder(Path(".."), 8000)["train"][0].name == "a.wav"


def test_quotation_marks_of_tabbed_transcripts_are_said(tmp_path):
    rows = [("a.wav", '"so', "train"), ("b.wav", 'so "he', "valid"), ("deep/c.wav", '""', "test")]
    found = recordings.load_folder(
        folder(tmp_path, "file\ttext\tsplit", rows, "transcripts.tsv"), 8000
    )
    assert [own[0].text for own in found.values()] == ['"so', 'so "he', '""']


def test_without_a_column_split_the_name_decides(tmp_path):
    rows = []
    for number in range(40):
        name = f"{number}.wav"
        (tmp_path / name).write_bytes(wav(name))
        rows.append((name, f'"said,  ""{number}"""'))
    folder(tmp_path, "file,text", rows)
    found = recordings.load_folder(tmp_path, 8000)
    hashes = {name: hashlib.sha256(name.encode()).digest() for name, _ in rows}
    ordered = sorted(hashes, key=hashes.get)
    assert {split: {r.name for r in own} for split, own in found.items()} == {
        "test": set(ordered[:4]),
        "valid": set(ordered[4:8]),
        "train": set(ordered[8:]),
    }
    for recording in itertools.chain.from_iterable(found.values()):
        assert recording.text == f'said, "{recording.name[:-4]}"'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"header": "a.wav,one,train"}, "transcripts.csv line 1 begins with 'a.wav,one,train'"),
        ({"header": "file,text"}, "transcripts.csv line 2 has 3 cells, but the first line has 2"),
        ({"rows": [*ROWS, ("a.wav", "x", "test")]}, "line 5 names a.wav twice"),
        ({"rows": [*ROWS, ("./a.wav", "x", "test")]}, "line 5 names a.wav twice"),
        ({"rows": [*ROWS, ("deep/../a.wav", "x", "test")]}, "line 5 names a.wav twice"),
        ({"rows": [*ROWS, ("deep//c.wav", "x", "train")]}, "line 5 names deep/c.wav twice"),
        ({"rows": [*ROWS, ("../a.wav", "x", "test")]}, "line 5 names ../a.wav, out of the"),
        ({"rows": [*ROWS, ("deep/../../a.wav", "x", "test")]}, "line 5 names ../a.wav, out of the"),
        ({"rows": [*ROWS, ("/a.wav", "x", "test")]}, "/a.wav, out of the folder; give a path"),
        ({"rows": [*ROWS, (".", "x", "test")]}, "line 5 names no file"),
        ({"rows": [*ROWS, ("d.wav", "x", "test")]}, "d.wav cannot be read (No such file"),
        ({"rows": [*ROWS, ("d.wav", "  ", "test")]}, "line 5 has no text for d.wav"),
        ({"rows": [*ROWS, (" ", "x", "test")]}, "line 5 names no file"),
        ({"rows": [*ROWS, ('"d\n.wav"', "x", "test")]}, "line 6 names no file"),
        ({"rows": [*ROWS, ("d.wav", "x", "dev")]}, "line 5 has the split 'dev', it must be one of"),
        ({"rows": [*ROWS, ("d.wav", '"x', "test")]}, "line 5 unexpected end of data"),
        ({"rows": ROWS[:2]}, "transcripts.csv leaves no recording to the split test; name some"),
        ({"rows": []}, "transcripts.csv leaves no recording to the split train; name some"),
        ({"name": "transcript.txt"}, "has no transcripts.csv or transcripts.tsv that says what"),
    ],
)
def test_what_is_no_folder_of_recordings_is_refused(tmp_path, change, message):
    with pytest.raises(ConfigError) as raised:
        recordings.load_folder(folder(tmp_path, **change), 8000)
    assert str(raised.value).startswith(f"config.task.path: {tmp_path}")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(500, np.int16), 8000, "is silent; give a recording of something"),
        (np.full(500, 0.3, np.float32), 8000, "is silent"),
        (noise("a"), 3999, "has 3999 Hz, it must be 4000 to 192000 Hz"),
        (noise("a"), 4_000_000_000 % 2**31, "Hz, it must be 4000 to 192000 Hz"),
        (np.zeros(0, np.int16), 8000, "has 0 samples at 8000 Hz"),
    ],
)
def test_recordings_of_nothing_are_refused_by_their_names(tmp_path, samples, rate, message):
    wavfile.write(tmp_path / "a.wav", rate, samples)
    with pytest.raises(ConfigError) as raised:
        recordings.read(tmp_path / "a.wav", "--prompt", 8000)
    assert str(raised.value).startswith(f"--prompt: {tmp_path / 'a.wav'} ")
    assert message in str(raised.value)


def test_channels_are_averaged_and_rates_converted(tmp_path):
    time = np.arange(4410) / 44100
    left, right = (np.sin(2 * np.pi * f * time) for f in (300.0, 500.0))
    wavfile.write(tmp_path / "a.wav", 44100, np.stack([left, right], 1).astype(np.float32))
    found = recordings.read(tmp_path / "a.wav", "--prompt", 8000)
    time = np.arange(800) / 8000
    expected = sum(np.sin(2 * np.pi * f * time) for f in (300.0, 500.0)) / 2
    np.testing.assert_allclose(found[100:-100], expected[100:-100], atol=5e-3)


def test_a_damaged_folder_is_refused_or_read(tmp_path):
    folder(tmp_path)
    transcripts, first = tmp_path / "transcripts.csv", tmp_path / "a.wav"
    whole = {path: path.read_bytes() for path in (transcripts, first)}
    rng, outcomes = np.random.default_rng(6), Counter()
    for number in range(200):
        path = (transcripts, first)[number % 2]
        damaged = bytearray(whole[path])
        damaged[rng.integers(60)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            outcomes["read"] += len(recordings.load_folder(tmp_path, 8000)["train"])
        except ConfigError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
        path.write_bytes(whole[path])
    assert min(outcomes["read"], outcomes["refused"]) > 30
