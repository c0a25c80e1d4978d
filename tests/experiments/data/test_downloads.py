"""Finding data sets on disk, and downloading them from servers that behave in many ways."""

import http.server
import os
import random
import resource
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.data import downloads
from experiments.data.downloads import DataSet
from experiments.data.files import sha256

CONTENT = random.Random(5).randbytes(300_000)
HALF = 200_000
FILE = "plays/hamlet.txt"


class Origin(http.server.ThreadingHTTPServer):
    """A server that gives its answers one after the other, the last one again and again.

    Attributes:
        answers: functions of the request's handler.
        asked: the Range that each request came with, or None.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Request)
        self.answers, self.asked = [whole], []
        self.ended = threading.Event()
        self.data_set = DataSet(FILE, f"http://127.0.0.1:{self.server_port}/a", sha256(CONTENT))

    def handle_error(self, *request):
        """A client that went away is what some tests are about."""


class Request(http.server.BaseHTTPRequestHandler):
    """Hands every request to the next answer."""

    def do_GET(self):
        answers = self.server.answers
        self.server.asked.append(self.headers["Range"])
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def reply(self, code, content=b"", length=None, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Says nothing."""


def whole(request):
    request.reply(200, CONTENT)


def cut(request):
    request.reply(200, CONTENT[:HALF], len(CONTENT))


def stall(request):
    cut(request)
    request.server.ended.wait(30)


def slow(request):
    time.sleep(0.2)
    whole(request)


def part(request):
    """The rest from where the client wants it; 416 if there is none."""
    start = int((request.headers["Range"] or "bytes=0-")[len("bytes=") : -1])
    if start >= len(CONTENT):
        request.reply(416)
    else:
        given = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        request.reply(206, CONTENT[start:], Content_Range=given)


def page(request):
    request.reply(200, b"<html>please log in</html>", Content_Type="text/html; charset=utf-8")


def refuse(code):
    return lambda request: request.reply(code, b"no")


def elsewhere(location):
    return lambda request: request.reply(302, Location=location)


@pytest.fixture
def origin(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "TIMEOUT", 0.4)
    monkeypatch.setattr(downloads, "PAUSES", (0.01, 0.02))
    with Origin() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A cache and an environment variable that point to empty directories."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path / "environment"))
    return tmp_path


def put(directory: Path, content: bytes = CONTENT, name: str = FILE) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def failure(origin) -> str:
    """The one line that a download ends with: it names the origin and says what to do."""
    with pytest.raises(ConfigError) as raised:
        downloads.locate(origin.data_set)
    message = str(raised.value)
    directories = [os.environ["LSTM_JAX_DATA"], downloads.cache_directory()]
    looked = ", ".join(f"{directory}/{FILE}" for directory in directories)
    start = f"{FILE} is not at {looked}, and {origin.data_set.url} cannot be downloaded to "
    assert message.startswith(start)
    assert message.endswith(f"as {FILE} and name that with --config.data_dir")
    assert "\n" not in message
    return message


def test_the_given_directory_comes_before_the_environment_and_the_cache(places, origin):
    cached = put(places / "cache" / "lstm_jax")
    assert downloads.locate(origin.data_set) == cached
    named = put(places / "environment")
    assert downloads.locate(origin.data_set) == named
    given = put(places / "given")
    assert downloads.locate(origin.data_set, str(places / "given")) == given
    assert origin.asked == []


def test_an_absent_file_is_downloaded_into_the_cache_once(places, origin):
    path = downloads.locate(origin.data_set)
    assert path == places / "cache" / "lstm_jax" / FILE
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert downloads.locate(origin.data_set) == path
    assert origin.asked == [None]


@pytest.mark.parametrize("ending", [part, whole], ids=["206", "200"])
@pytest.mark.parametrize("trouble", [cut, stall])
def test_a_cut_or_stalled_download_goes_on_from_what_came(origin, trouble, ending):
    """By a request for the rest; a server that knows no parts sends everything again."""
    origin.answers = [trouble, ending]
    started = time.perf_counter()
    path = downloads.locate(origin.data_set)
    assert time.perf_counter() - started < 10
    assert path.read_bytes() == CONTENT
    first, second = origin.asked
    assert first is None
    assert HALF - 65_536 < int(second[len("bytes=") : -1]) <= HALF


def test_the_next_run_goes_on_where_the_last_one_gave_up(places, origin):
    origin.answers = [cut, refuse(503)]
    assert "HTTP Error 503" in failure(origin)
    assert origin.asked == [None, f"bytes={HALF}-", f"bytes={HALF}-"]
    path = places / "cache" / "lstm_jax" / FILE
    assert not path.exists()
    origin.answers = [part]
    assert downloads.locate(origin.data_set).read_bytes() == CONTENT
    assert origin.asked[3:] == [f"bytes={HALF}-"]
    assert list(path.parent.iterdir()) == [path]


def test_a_server_that_always_cuts_is_given_up(origin):
    origin.answers = [cut]
    assert f"cut {len(CONTENT) - HALF} bytes before the end" in failure(origin)
    assert len(origin.asked) == 3


@pytest.mark.parametrize("size", [1000, len(CONTENT), len(CONTENT) + 1])
def test_a_part_of_something_else_is_thrown_away(places, origin, size):
    put(places / "cache" / "lstm_jax", b"x" * size, f"{FILE}.part")
    origin.answers = [part]
    assert downloads.locate(origin.data_set).read_bytes() == CONTENT
    assert origin.asked == [f"bytes={size}-", None]


def test_wrong_content_is_described_and_not_kept(places, origin):
    origin.answers = [page]
    message = failure(origin)
    assert "it gave text/html that begins with b'<html>please log in</html>'" in message
    assert f"must be {sha256(CONTENT)}" in message
    assert not (places / "cache" / "lstm_jax" / FILE).exists()
    origin.answers = [lambda request: request.reply(200, CONTENT[:-1] + b"?")]
    assert "it gave text/plain" in failure(origin)
    origin.answers = [part]
    assert downloads.locate(origin.data_set).read_bytes() == CONTENT
    assert origin.asked == [None] * 3


@pytest.mark.parametrize("code", [403, 404, 407])
def test_what_a_server_or_proxy_refuses_is_not_asked_again(origin, code):
    origin.answers = [refuse(code)]
    assert f"HTTP Error {code}" in failure(origin)
    assert len(origin.asked) == 1


def test_a_busy_server_is_asked_again(origin):
    origin.answers = [refuse(503), refuse(429), whole]
    assert downloads.locate(origin.data_set).read_bytes() == CONTENT


def test_redirections_are_followed_with_their_range_but_not_for_ever(origin):
    origin.answers = [elsewhere("/b"), cut, elsewhere("/c"), part]
    assert downloads.locate(origin.data_set).read_bytes() == CONTENT
    assert origin.asked == [None, None, f"bytes={HALF}-", f"bytes={HALF}-"]
    origin.answers = [elsewhere("/a")]
    (downloads.cache_directory() / FILE).unlink()
    assert "redirect error that would lead to an infinite loop" in failure(origin)


def test_of_two_at_once_one_downloads_and_the_other_waits(places, origin):
    origin.answers = [slow]
    path = downloads.cache_directory() / FILE
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: downloads.download(origin.data_set, path), range(4)))
    assert [*found, downloads.download(origin.data_set, path)] == [path] * 5
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert origin.asked == [None]


def test_a_full_disk_is_named_and_does_not_pass(origin):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, limits[1]))
    try:
        assert "File too large" in failure(origin)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(origin.asked) == 1


def test_a_place_that_cannot_be_written_is_named(places, origin):
    put(places, b"a file where a directory must be", "cache")
    assert "Not a directory" in failure(origin)
    assert origin.asked == []


def test_without_a_network_the_message_comes_at_once(origin, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES", (15.0,))
    origin.shutdown()
    origin.server_close()
    started = time.perf_counter()
    assert "Connection refused" in failure(origin)
    assert time.perf_counter() - started < 10


def test_a_wrong_file_is_refused_wherever_it_is(places, origin):
    put(places / "given", CONTENT[:-1])
    wanted = f"must be {origin.data_set.sha256}; replace it by {origin.data_set.url}"
    with pytest.raises(ConfigError, match=wanted):
        downloads.locate(origin.data_set, str(places / "given"))
    assert origin.asked == []


def pack(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def found(digest, path):
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)  # as after a download
        return digest(file)


def test_an_archive_is_known_by_what_is_inside(tmp_path):
    """However it was packed, and whatever else is in it."""
    sounds = [(f"a/{n}.wav", random.Random(n).randbytes(999)) for n in range(5)]
    digest = downloads.members_digest(".wav")
    one = pack(tmp_path / "one.zip", sounds)
    moved = [(name.replace("a/", "b/c/"), content) for name, content in sounds[::-1]]
    other = pack(tmp_path / "other.zip", [("read.me", b"!"), *moved], zipfile.ZIP_DEFLATED)
    assert one.read_bytes() != other.read_bytes()
    assert found(digest, one) == found(digest, other)
    by_hand = b"".join(f"{n}.wav".encode() + bytes.fromhex(sha256(c)) for n, (_, c) in
                       enumerate(sounds))
    assert found(digest, one) == sha256(by_hand)
    for changed in (sounds[1:], [("a/0.wav", b"other"), *sounds[1:]],
                    [("a/9.wav", sounds[0][1]), *sounds[1:]]):
        assert found(digest, pack(tmp_path / "changed.zip", changed)) != found(digest, one)


def test_arrays_are_known_by_their_numbers(tmp_path):
    arrays = {"x": np.arange(12, dtype=np.uint8).reshape(3, 4), "y": np.arange(3.0)}
    one, other, changed = (tmp_path / f"{name}.npz" for name in ("one", "other", "changed"))
    np.savez(one, **arrays)
    np.savez_compressed(other, **dict(reversed(arrays.items())))
    assert one.read_bytes() != other.read_bytes()
    assert found(downloads.arrays_digest, one) == found(downloads.arrays_digest, other)
    x = arrays["x"]
    for name, array in (("x", x.T), ("x", x.astype(np.int8)), ("z", x)):
        np.savez(changed, **{**arrays, name: array})
        assert found(downloads.arrays_digest, changed) != found(downloads.arrays_digest, one)


@pytest.mark.parametrize("digest", [downloads.members_digest(".wav"), downloads.arrays_digest])
def test_what_is_no_archive_is_known_by_its_bytes(tmp_path, digest):
    path = tmp_path / "file"
    whole = pack(tmp_path / "whole.zip", [("a.wav", CONTENT), ("x.npy", CONTENT)]).read_bytes()
    for content in (CONTENT, b"", whole[:-30], whole[:2000]):
        path.write_bytes(content)
        assert found(digest, path) == sha256(content)


def test_a_data_set_may_be_known_by_what_is_inside(tmp_path):
    digest = downloads.members_digest(".wav")
    path = pack(tmp_path / "sounds.zip", [("a.wav", CONTENT)], zipfile.ZIP_DEFLATED)
    data_set = DataSet("sounds.zip", "http://localhost:1/", found(digest, path), digest)
    assert downloads.locate(data_set, str(tmp_path)) == path
    pack(path, [("a.wav", CONTENT[1:])])
    with pytest.raises(ConfigError, match=f"must be {data_set.sha256}"):
        downloads.locate(data_set, str(tmp_path))
