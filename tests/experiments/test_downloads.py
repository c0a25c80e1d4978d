"""Finding data sets on disk, and downloading them."""

from pathlib import Path

import pytest

from experiments import downloads
from experiments.config import ConfigError
from experiments.downloads import DataSet
from experiments.files import sha256

CONTENT = b"to be or not to be"
DATA_SET = DataSet("plays/hamlet.txt", "https://origin.invalid/hamlet.txt", sha256(CONTENT))


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
    opened = downloads.urllib.request.urlopen
    local = lambda url, timeout: opened(path.as_uri(), timeout=timeout)  # noqa: E731
    monkeypatch.setattr(downloads.urllib.request, "urlopen", local)


def test_the_given_directory_comes_before_the_environment_and_the_cache(places):
    cached = put(places / "cache" / "lstm_jax")
    assert downloads.locate(DATA_SET) == cached
    named = put(places / "environment")
    assert downloads.locate(DATA_SET) == named
    given = put(places / "given")
    assert downloads.locate(DATA_SET, str(places / "given")) == given


def test_an_absent_file_is_downloaded_into_the_cache_once(places, monkeypatch):
    (places / "origin").write_bytes(CONTENT)
    serve(monkeypatch, places / "origin")
    path = downloads.locate(DATA_SET)
    assert path == places / "cache" / "lstm_jax" / DATA_SET.file
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    (places / "origin").unlink()
    assert downloads.locate(DATA_SET) == path


def test_a_wrong_file_is_refused_wherever_it_is(places, monkeypatch):
    (places / "origin").write_bytes(CONTENT[:-1])
    serve(monkeypatch, places / "origin")
    with pytest.raises(ConfigError, match="gave the sha256"):
        downloads.locate(DATA_SET)
    assert not (places / "cache" / "lstm_jax" / DATA_SET.file).exists()
    put(places / "given", b"something else")
    with pytest.raises(ConfigError, match=rf"must be {DATA_SET.sha256}; replace it by https"):
        downloads.locate(DATA_SET, str(places / "given"))


def test_without_a_network_the_message_says_where_to_put_the_file():
    with pytest.raises(ConfigError, match=r"as plays/hamlet.txt and name that with --config.data_"):
        downloads.locate(DATA_SET)
