"""Files that users bring: what they hold, or one clear error."""

import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from experiments.config import ConfigError
from experiments.data import files


@pytest.fixture
def data_dir():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    return Path(os.environ["LSTM_JAX_DATA"])


def put(directory, content):
    path = directory / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(read, path, **options):
    """The one line with which a file is refused; it names the field and the file."""
    with pytest.raises(ConfigError) as raised:
        read(path, "config.task.path", **options)
    message = str(raised.value)
    assert message.startswith(f"config.task.path: {path} ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message


def test_a_file_that_is_nearly_there_is_named(tmp_path):
    put(tmp_path, "some text").rename(tmp_path / "my_book.txt")
    said = refused(files.read_text, tmp_path / "my_bok.txt")
    assert said.endswith(f"; did you mean '{tmp_path / 'my_book.txt'}'?")
    assert "did you mean" not in refused(files.read_text, put(tmp_path, ""))
    assert "did you mean" not in refused(files.read_text, tmp_path / "xyz")


def test_a_text_is_read_as_it_is(tmp_path):
    path = put(tmp_path, "a\ufeff\r\nß😀\r\n\n")
    assert files.read_text(path, "config.task.path") == "a\ufeff\r\nß😀\r\n\n"
    long = "ab" * 5_000_000
    assert files.read_text(put(tmp_path, long), "config.task.path") == long


def test_one_byte_order_mark_is_dropped(tmp_path):
    path = put(tmp_path, "\ufeff\ufeffa\n\ufeff")
    assert files.read_text(path, "config.task.path") == "\ufeffa\n\ufeff"
    assert files.read_text(put(tmp_path, "\ufeff"), "config.task.path") == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give the path of a file that holds something"),
        (b"abc\xff", "is no UTF-8 text (byte 3, line 1, column 4); convert it to UTF-8"),
        ("ä\r\n\nöü".encode() + b"\xff", "(byte 9, line 3, column 3); convert it"),
        ("\ufeffä".encode() + b"\xff", "(byte 5, line 1, column 2); convert it"),
        ("a\nß".encode() + b"\0c", "is no text (byte 4 is zero, line 2, column 2); give a UTF-8"),
        ("ab".encode("utf-16"), "is no text (byte 3 is zero, line 1, column 4)"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, message):
    assert message in refused(files.read_text, put(tmp_path, content))


@pytest.mark.parametrize("read", [files.read_text, files.read_wav])
def test_what_cannot_be_read_is_refused(tmp_path, read):
    message = refused(read, tmp_path / "absent")
    assert "cannot be read (No such file or directory); give the path of a file that" in message
    assert "cannot be read (Is a directory)" in refused(read, tmp_path)
    assert "is empty" in refused(read, put(tmp_path, b""))


def wav(directory, samples, rate=8000):
    wavfile.write(directory / "file", rate, samples)
    return directory / "file"


def pcm(data, channels=1, bits=24, tag=1, rate=8000):
    """A WAV file, byte by byte."""
    frame = channels * bits // 8
    header = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + header
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_waveforms_of_every_type_are_those_that_were_written(tmp_path, dtype):
    expected = np.append(np.random.default_rng(1).uniform(-1, 1, 500), [-1.0, 0.0, 0.5])
    kind, scale = np.dtype(dtype).kind, 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
    written = expected if kind == "f" else np.round(expected * scale) + scale * (kind == "u")
    written = np.minimum(written, scale * (1 + (kind == "u")) - 1) if kind != "f" else written
    rate, found = files.read_wav(wav(tmp_path, written.astype(dtype), 11025), "config.task.path")
    assert (rate, found.dtype) == (11025, np.float32)
    np.testing.assert_allclose(found, expected, atol=1.01 / scale if kind != "f" else 1e-7)
    assert found[500:].tolist() == [-1.0, 0.0, 0.5]


def test_samples_of_24_bits_are_read(tmp_path):
    values = [-(2**23), -1, 0, 2**22]
    data = b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    _, found = files.read_wav(put(tmp_path, pcm(data)), "config.task.path")
    np.testing.assert_array_equal(found, np.float32([-1.0, -(2.0**-23), 0.0, 0.5]))


@pytest.mark.parametrize("channels", [2, 3])
def test_several_channels_become_their_mean(tmp_path, channels):
    values = np.random.default_rng(3).integers(-(2**15), 2**15, (50, channels))
    content = pcm(values.astype("<i2").tobytes(), channels, bits=16)
    _, found = files.read_wav(put(tmp_path, content), "config.task.path")
    np.testing.assert_allclose(found, values.mean(axis=1) / 2**15, atol=1e-7)


def test_the_extensible_header_of_24_bits_is_read(tmp_path):
    """What recorders write: format tag 0xFFFE, and the samples' type in its extension."""
    header = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16000, 48000, 3, 24, 22, 24, 4)
    header += struct.pack("<IHH", 1, 0, 0x10) + b"\x80\x00\x00\xaa\x00\x38\x9b\x71"
    chunks = b"WAVEfmt " + struct.pack("<I", len(header)) + header
    chunks += b"data" + struct.pack("<I", 6) + b"\x00\x00\x40\x00\x00\x80"
    path = put(tmp_path, b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    rate, found = files.read_wav(path, "config.task.path")
    assert (rate, found.tolist()) == (16000, [0.5, -1.0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF", "is no whole PCM or float WAV file"),
        (b"do re mi" * 99, "is no whole PCM or float WAV file (File format b'do r'"),
        (pcm(b"\1\2" * 100, bits=16)[:-60], "is no whole PCM or float WAV file (Reached EOF"),
        (pcm(b"\1\2" * 100, bits=16)[:-61], "is no whole PCM or float WAV file"),
        (pcm(b"\1\2" * 100, bits=16)[:30], "is no whole PCM or float WAV file"),
        (pcm(b"\1\2" * 100, bits=8, tag=7), "Unknown wave file format: MULAW"),
        (pcm(b"\1\2" * 100, bits=16, channels=3), "is no whole PCM or float WAV file"),
        (pcm(b"\1\2" * 100, bits=16, channels=0), "is no whole PCM or float WAV file"),
        (pcm(b"\1\2" * 100, bits=16, rate=0), "has 100 samples at 0 Hz"),
        (pcm(b"", bits=16), "has 0 samples at 8000 Hz"),
        (pcm(np.float32([0.5, np.nan]).tobytes(), bits=32, tag=3), "holds NaN or samples beyond"),
        (pcm(np.float32([0.5, -1.1]).tobytes(), bits=32, tag=3), "holds NaN or samples beyond"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, content, message):
    assert message in refused(files.read_wav, put(tmp_path, content))


def test_a_damaged_recording_is_refused_or_read(tmp_path):
    random = np.random.default_rng(2)
    original = pcm(random.bytes(60), bits=16)
    outcomes = set()
    for _ in range(200):
        damaged = bytearray(original)
        damaged[random.integers(44)] = random.integers(256)
        try:
            rate, found = files.read_wav(put(tmp_path, damaged), "config.task.path")
            outcomes.add(rate > 0 and np.abs(found).max() <= 1)
        except ConfigError:
            outcomes.add("refused")
    assert outcomes == {True, "refused"}


def test_real_recordings_are_read_out_of_their_archive(data_dir):
    archive = zipfile.ZipFile(data_dir / "fsdd" / "free-spoken-digit-dataset.zip")
    names = [name for name in archive.namelist() if name.endswith("_0.wav")]
    assert len(names) == 60
    for name in names:
        rate, waveform = files.read_wav(zipfile.Path(archive, name), "config.task.path")
        samples = np.frombuffer(archive.read(name)[44:], "<i2")[: len(waveform)]
        assert rate == 8000
        assert len(waveform) > 1000
        np.testing.assert_array_equal(waveform * 32768, samples)
    assert "cannot be read" in refused(files.read_wav, zipfile.Path(archive, "absent.wav"))
