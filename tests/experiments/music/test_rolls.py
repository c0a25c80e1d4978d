"""Pieces out of MATLAB and JSON files: what is read, what is refused."""

import copy
import itertools
import json
import os

import numpy as np
import pytest
import scipy.io

from experiments.config import ConfigError
from experiments.data import downloads, files
from experiments.music.midi import LOWEST
from experiments.music.rolls import counts, load
from tests.experiments.music.pieces import NOTES, SIZES, random_cells


@pytest.fixture
def path(tmp_path):
    scipy.io.savemat(tmp_path / "pieces.mat", random_cells())
    return tmp_path / "pieces.mat"


def test_a_files_pieces_are_read_as_they_are(path):
    pieces = load(path).pieces
    for split, name in [("train", "traindata"), ("valid", "validdata"), ("test", "testdata")]:
        assert len(pieces[split]) == SIZES[name]
        for piece, original in zip(pieces[split], random_cells()[name][0], strict=True):
            np.testing.assert_array_equal(piece, original)


def put(name, value):
    """Puts a value into a place of some pieces."""

    def damage(cells):
        cells[name][0, 2] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda cells: cells.pop("testdata"), "has no pieces testdata; give it the cells traind"),
        (lambda cells: cells.update(testdata=np.eye(3)), "has no pieces testdata"),
        (lambda cells: cells.update(traindata=np.empty((1, 0), object)), "has no pieces traindata"),
        (put("validdata", np.full((4, NOTES), 2)), r"validdata\[2\] holds more than zeros"),
        (put("traindata", np.full((4, NOTES), np.nan)), r"traindata\[2\] holds more than zeros"),
        (put("traindata", np.eye(NOTES) / 2), r"traindata\[2\] holds more than zeros and ones"),
        (put("testdata", np.ones((4, 3))), r"testdata\[2\] has the shape \(4, 3\), it must"),
        (put("testdata", np.ones((1, NOTES))), r"testdata\[2\] has the shape \(1, 8\)"),
        (put("testdata", np.ones((0, NOTES))), r"testdata\[2\] has the shape \(0, 8\)"),
        (put("traindata", np.ones((2, 3, NOTES))), r"traindata\[2\] has the shape \(2, 3, 8\)"),
        (put("validdata", "do re mi"), r"MATLAB file .*\(a cell holds something else than real"),
        (put("validdata", 1j * np.ones((4, NOTES))), "something else than real numbers"),
        (put("validdata", {"notes": 1.0}), "something else than real numbers"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, damage, message):
    cells = random_cells()
    damage(cells)
    scipy.io.savemat(tmp_path / "damaged.mat", cells)
    with pytest.raises(ConfigError, match=rf"config.task.path: .*d.mat .*{message}") as raised:
        load(tmp_path / "damaged.mat")
    assert str(raised.value).count("config.task.path") == 1


def test_pieces_without_notes_are_refused(tmp_path):
    cells = {name: np.empty((1, 1), object) for name in SIZES}
    for name in SIZES:
        cells[name][0, 0] = np.ones((4, 0))
    scipy.io.savemat(tmp_path / "silent.mat", cells)
    with pytest.raises(ConfigError, match=r"traindata\[0\] has the shape \(4, 0\)"):
        load(tmp_path / "silent.mat")


def test_files_that_are_no_matlab_files_are_refused(tmp_path, path):
    whole = path.read_bytes()
    for content, message in [
        (b"do re mi " * 50, "is no whole MATLAB file of version 5 to 7.2"),
        (whole[: len(whole) // 2], "is no whole MATLAB file of version 5 to 7.2"),
        (b"", "is empty"),
    ]:
        (tmp_path / "notes").write_bytes(content)
        with pytest.raises(ConfigError, match=f"config.task.path: .*notes {message}"):
            load(tmp_path / "notes")
    with pytest.raises(ConfigError, match=r"absent cannot be read \(No such file"):
        load(tmp_path / "absent")


VOICES = {  # of two and four voices
    "train": [[[60, 64], [60, -1]], [[21, 108, 60, 60], [-1, -1, -1, -1], [70, 71, 72, 73]]],
    "valid": [[[50], [], [51]]],
    "test": [[[50], [52]]],
}


def write_json(directory, content, name="pieces.json"):
    text = content if isinstance(content, str) else json.dumps(content)
    (directory / name).write_text(text)
    return directory / name


def test_a_json_file_s_voices_are_merged(tmp_path):
    path = write_json(tmp_path, VOICES)
    music = load(path)
    for split, pieces in VOICES.items():
        for roll, frames in zip(music.pieces[split], pieces, strict=True):
            assert roll.shape == (len(frames), 88)
            for row, frame in zip(roll, frames, strict=True):
                assert set(np.flatnonzero(row) + LOWEST) == set(frame) - {-1}
                assert set(np.unique(row)) <= {0, 1}
    assert music.facts == {"file": "pieces.json", "sha256": files.sha256(path.read_bytes())}
    assert counts(music.pieces) == {
        "notes": 88,
        "train_pieces": 2,
        "valid_pieces": 1,
        "test_pieces": 1,
        "train_frames": 3,
        "valid_frames": 2,
        "test_frames": 1,
    }


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("valid",), None, "has no pieces at valid; give it a list of pieces there"),
        (("valid",), [], "has no pieces at valid"),
        (("valid",), {"0": []}, "has no pieces at valid"),
        (("train", 1), "do", r"train\[1\] must be a list of two frames or more"),
        (("train", 1), [[60]], r"train\[1\] must be a list of two frames or more"),
        (("train", 1, 2), 60, r"train\[1\]\[2\] must be a list of MIDI numbers"),
        (
            ("train", 1, 2, 3),
            20,
            r"train\[1\]\[2\] holds '20', where must be a MIDI number fr",
        ),
        (("train", 1, 2, 3), 109, r"train\[1\]\[2\] holds '109'"),
        (("train", 1, 2, 3), 60.0, r"train\[1\]\[2\] holds '60.0'"),
        (("train", 1, 2, 3), True, r"train\[1\]\[2\] holds 'True'"),
        (("train", 1, 2, 3), None, r"train\[1\]\[2\] holds 'None'"),
        (("train", 1, 2, 3), -2, r"train\[1\]\[2\] holds '-2'"),
    ],
)
def test_json_files_of_another_form_are_refused(tmp_path, place, value, message):
    content = copy.deepcopy(VOICES)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(ConfigError, match=rf"^config\.task\.path: .*pieces\.json {message}"):
        load(write_json(tmp_path, content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1, 2]", "must be an object of train, valid, test"),
        ("", "is empty"),
        ("\0\1", "is no text"),
        ("{}", "has no pieces at train"),
    ],
)
def test_files_that_are_no_json_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=rf"^config\.task\.path: .*x\.JSON {message}"):
        load(write_json(tmp_path, text, "x.JSON"))


def real(data_set):
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    return load(downloads.locate(data_set))


def test_the_chorales_in_quarters_are_read_whole():
    found = counts(real(downloads.JSB_CHORALES).pieces)
    assert found["notes"] == 88
    assert [found[f"{split}_pieces"] for split in ("train", "valid", "test")] == [229, 76, 77]
    frames = [found[f"{split}_frames"] for split in ("train", "valid", "test")]
    assert frames == [13578, 4526, 4648]


def test_the_chorales_in_sixteenths_are_read_whole():
    music = real(downloads.JSB_SIXTEENTHS)
    found = counts(music.pieces)
    assert [found[f"{split}_pieces"] for split in ("train", "valid", "test")] == [229, 76, 77]
    frames = [found[f"{split}_frames"] for split in ("train", "valid", "test")]
    assert frames == [54999, 18332, 18823]
    sounding = np.concatenate(list(itertools.chain(*music.pieces.values()))).sum(axis=1)
    assert sounding.max() == 4
    assert sounding.mean() > 3.8
