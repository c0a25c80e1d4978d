"""Files that users bring: what they hold, or one clear error."""

import os
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from experiments.config import ConfigError
from experiments.data import files

SERIES = "date,OT,load\n2016-07-01 00:00:00,1.5,-2\n2016-07-01 01:00:00,2.5e1, 3\n\n"


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
@pytest.mark.parametrize("read", [files.read_text, files.read_csv])
def test_what_is_no_text_is_refused(tmp_path, read, content, message):
    assert message in refused(read, put(tmp_path, content))


@pytest.mark.parametrize("read", [files.read_text, files.read_csv, files.read_wav])
def test_what_cannot_be_read_is_refused(tmp_path, read):
    message = refused(read, tmp_path / "absent")
    assert "cannot be read (No such file or directory); give the path of a file that" in message
    assert "cannot be read (Is a directory)" in refused(read, tmp_path)
    assert "is empty" in refused(read, put(tmp_path, b""))


def test_a_series_is_read_without_its_dates(tmp_path):
    names, values = files.read_csv(put(tmp_path, SERIES), "config.task.path")
    assert names == ("OT", "load")
    np.testing.assert_array_equal(values, [[1.5, -2.0], [25.0, 3.0]])


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
def test_named_columns_come_in_the_order_of_their_names(tmp_path, separator):
    text = '\ufeff"a","b, c",d\n"1",2,x\n3,"4",\n'.replace("\n", separator)
    names, values = files.read_csv(put(tmp_path, text), "config.task.path", ("b, c", "a"))
    assert names == ("b, c", "a")
    np.testing.assert_array_equal(values, [[2.0, 1.0], [4.0, 3.0]])


def test_random_numbers_survive(tmp_path):
    """Exactly, and the first column too, as it holds no dates."""
    expected = np.random.default_rng(0).normal(size=(50, 3)) * 10.0 ** np.arange(-9, 9, 6)
    lines = [",".join(map(repr, row)) for row in expected.tolist()]
    path = put(tmp_path, "\n".join(["x,y,z", *lines]))
    names, values = files.read_csv(path, "config.task.path", rows=50)
    assert names == ("x", "y", "z")
    np.testing.assert_array_equal(values, expected)
    assert "has 50 rows of numbers, give at least 51" in refused(files.read_csv, path, rows=51)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2.5e1", "x" * 99, "line 3 has " + repr("x" * 40) + " in the column 'OT', where"),
        ("2.5e1", "nan", "line 3 has 'nan' in the column 'OT'"),
        ("-2", "-inf", "line 2 has '-inf' in the column 'load'"),
        ("-2", "1e999", "line 2 has '1e999' in the column 'load'"),
        ("1.5", "", "line 2 has '' in the column 'OT'"),
        ("1.5", "1,5", "line 2 has 4 cells, but the first line names 3 columns"),
        (", 3", "", "line 3 has 2 cells"),
        (",", ";", "has no column of numbers; separate its columns by commas"),
        ("date,OT,load\n", "", "must have the names of its columns on its first line"),
        ("load", "OT", "has several columns 'OT'"),
        ("2016-07-01 01", '"2016', "line 4 is no CSV (unexpected end of data)"),
        ("2016-07-01 01", '"2016" ', "line 3 is no CSV (',' expected after '\"')"),
        (SERIES[13:], "", "has 0 rows of numbers, give at least 2"),
        ("\n2016-07-01 01:00:00,2.5e1, 3", "", "has 1 rows of numbers, give at least 2"),
        (SERIES, "\n\n", "must have the names"),
        (SERIES, "date\n2016-07-01\n2016-07-02\n", "has no column of numbers"),
        (",OT", f",{'x' * 140_000}", "line 1 is no CSV (field larger than field limit (131072))"),
    ],
)
def test_what_is_no_series_is_refused(tmp_path, old, new, message):
    assert old in SERIES
    assert message in refused(files.read_csv, put(tmp_path, SERIES.replace(old, new)))


def test_a_column_that_is_absent_has_a_hint(tmp_path):
    message = refused(files.read_csv, put(tmp_path, SERIES), columns=("loads",))
    assert message.endswith("has no column 'loads'; it has date, OT, load; did you mean 'load'?")
    message = refused(files.read_csv, put(tmp_path, SERIES), columns=("date",))
    assert "line 2 has '2016-07-01 00:00:00' in the column 'date'" in message


@pytest.mark.parametrize("content", ["1," * 5_000_000, SERIES + "x" * 10_000_000, "a," * 5_000_000])
def test_a_line_without_end_is_refused_at_once(tmp_path, content):
    path = put(tmp_path, content)
    tracemalloc.start()
    started = time.process_time()
    assert "0000 characters, at most 1000000 will do" in refused(files.read_csv, path)
    assert time.process_time() - started < 3.0
    assert tracemalloc.get_traced_memory()[1] < 10 * len(content)
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "names", "shape", "first", "last"),
    [
        ("ett/ETTh1", ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"), 17420, 5.827, 9.567),
        ("univariate/airline-passengers", ("Passengers",), 144, 112.0, 432.0),
        ("univariate/daily-min-temperatures", ("Temp",), 3650, 20.7, 13.0),
        ("univariate/monthly-sunspots", ("Sunspots",), 2820, 58.0, 33.4),
    ],
)
def test_real_series_are_read(data_dir, name, names, shape, first, last):
    found, values = files.read_csv(data_dir / f"{name}.csv", "config.task.path")
    assert found == names
    assert values.shape == (shape, len(names))
    assert values[0, 0] == pytest.approx(first)
    assert values[-1, -1] == pytest.approx(last)


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
