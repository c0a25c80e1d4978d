"""Finding data sets, the standard library's text, and text in streams."""

import json
from pathlib import Path

import grain
import numpy as np
import pytest

from experiments import data
from experiments.config import ConfigError
from experiments.data import DataSet, Windows

CONTENT = b"to be or not to be"
DATA_SET = DataSet("plays/hamlet.txt", "https://origin.invalid/hamlet.txt", data.sha256(CONTENT))


def put(directory: Path, content: bytes = CONTENT) -> Path:
    path = directory / DATA_SET.file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A cache and an environment variable that point to empty directories."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path / "environment"))
    return tmp_path


def serve(monkeypatch, path: Path) -> None:
    """Lets the data set's origin be a file."""
    opened = data.urllib.request.urlopen
    monkeypatch.setattr(
        data.urllib.request, "urlopen", lambda url, timeout: opened(path.as_uri(), timeout=timeout)
    )


def test_the_given_directory_comes_before_the_environment_and_the_cache(places):
    cached = put(places / "cache" / "lstm_jax")
    assert data.locate(DATA_SET) == cached
    named = put(places / "environment")
    assert data.locate(DATA_SET) == named
    given = put(places / "given")
    assert data.locate(DATA_SET, str(places / "given")) == given


def test_an_absent_file_is_downloaded_into_the_cache_once(places, monkeypatch):
    (places / "origin").write_bytes(CONTENT)
    serve(monkeypatch, places / "origin")
    path = data.locate(DATA_SET)
    assert path == places / "cache" / "lstm_jax" / DATA_SET.file
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    (places / "origin").unlink()
    assert data.locate(DATA_SET) == path


def test_a_wrong_file_is_refused_wherever_it_is(places, monkeypatch):
    (places / "origin").write_bytes(CONTENT[:-1])
    serve(monkeypatch, places / "origin")
    with pytest.raises(ConfigError, match="gave the sha256"):
        data.locate(DATA_SET)
    assert not (places / "cache" / "lstm_jax" / DATA_SET.file).exists()
    put(places / "given", b"something else")
    with pytest.raises(ConfigError, match=rf"must be {DATA_SET.sha256}; replace it by https"):
        data.locate(DATA_SET, str(places / "given"))


def test_without_a_network_the_message_says_where_to_put_the_file():
    with pytest.raises(ConfigError, match=r"as plays/hamlet.txt and name that with --config.data_"):
        data.locate(DATA_SET)


def test_the_standard_library_gives_a_large_capped_text():
    text = data.stdlib_text()
    assert 1_500_000 < len(text) <= data.STDLIB_CAP
    assert text.count("\ndef ") > 500
    assert data.STDLIB_MODULES.split() == sorted(data.STDLIB_MODULES.split())
    assert data.stdlib_text(cap=1000) == text[:1000]
    with pytest.raises(ConfigError, match=r"no source file .*nothing_like_this\.py"):
        data.stdlib_text(modules="abc nothing_like_this")


def test_reading_text_names_the_field(tmp_path):
    (tmp_path / "mixed.txt").write_bytes("a\r\nß".encode())
    assert data.read_text(tmp_path / "mixed.txt", "config.task.path") == "a\r\nß"
    (tmp_path / "latin").write_bytes(b"abc\xff")
    with pytest.raises(ConfigError, match=r"config.task.path: .*latin is no UTF-8 text \(byte 3\)"):
        data.read_text(tmp_path / "latin", "config.task.path")
    with pytest.raises(ConfigError, match="config.task.path: .*absent cannot be read"):
        data.read_text(tmp_path / "absent", "config.task.path")


@pytest.mark.parametrize("warm_up", [False, True])
@pytest.mark.parametrize(
    ("size", "streams", "steps"), [(100, 4, 5), (101, 4, 5), (23, 3, 7), (9, 4, 8), (2, 3, 4)]
)
def test_every_symbol_but_the_first_is_predicted_once(size, streams, steps, warm_up):
    symbols = np.arange(size)
    windows = Windows(symbols, streams, steps, warm_up)
    counted = []
    for window in windows:
        assert window.inputs.shape == (steps, streams)
        np.testing.assert_array_equal(window.targets, window.inputs + 1)
        counted += window.targets[window.weights == 1.0].tolist()
        assert set(window.weights.ravel()) <= {0.0, 1.0}
    assert sorted(counted) == list(range(1, size))


def test_windows_go_on_where_the_one_before_ended():
    first, second, third = Windows(np.arange(13), streams=2, steps=2)
    np.testing.assert_array_equal(first.inputs, [[0, 6], [1, 7]])
    np.testing.assert_array_equal(second.inputs, [[2, 8], [3, 9]])
    np.testing.assert_array_equal(third.inputs, [[4, 10], [5, 11]])
    assert first.fresh.all()
    assert not second.fresh.any()
    assert not third.fresh.any()


def test_warm_up_gives_every_stream_the_window_before_its_own():
    windows = list(Windows(np.arange(13), streams=2, steps=2, warm_up=True))
    np.testing.assert_array_equal(windows[0].inputs[:, 1], [4, 5])
    assert windows[0].weights.sum() == 0
    np.testing.assert_array_equal([w.fresh for w in windows], [[1, 1], [1, 0], [0, 0], [0, 0]])


def test_restarts_come_at_another_time_in_every_stream():
    windows = Windows(np.arange(37), streams=3, steps=2, restart=4)
    np.testing.assert_array_equal(
        [window.fresh for window in windows],
        [[1, 1, 1], [0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]],
    )


def test_an_iterator_restored_from_json_goes_on_where_it_was():
    def iterator():
        source = grain.MapDataset.source(np.arange(10)).seed(3).shuffle().repeat()
        return data.iterate(source.batch(4))

    running = iterator()
    for _ in range(4):
        next(running)
    restored = iterator()
    restored.set_state(json.loads(json.dumps(running.get_state())))
    after = [next(running).tolist() for _ in range(5)]
    assert [next(restored).tolist() for _ in range(5)] == after
    assert after[0] != after[-1]
