"""Folders of MIDI files: how they are divided, what is kept once, what is refused."""

import itertools
import math

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.data import files
from experiments.music.midi import write_midi
from experiments.music.rolls import load


def piece(seed, frames=8, low=30, high=60):
    random = np.random.default_rng(seed)
    roll = np.zeros((frames, 88), np.uint8)
    roll[:, low:high] = random.random((frames, high - low)) < 0.2
    roll[0, low] = roll[-1, high - 1] = 1
    return roll


def write(folder, rolls):
    for name, roll in rolls.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_midi(folder / name, roll)
    return folder


def tell(pieces):
    """The rolls of each split as bytes, in order."""
    return {split: [roll.tobytes() for roll in own] for split, own in pieces.items()}


def by_hand(rolls):
    """The splits of different rolls of one range and no silence: by the order of their sha256."""

    def key(roll):
        notes = np.flatnonzero(roll.any(axis=0))
        inner = roll[:, notes[0] : notes[-1] + 1]
        return files.sha256(f"{inner.shape}".encode() + inner.tobytes())

    ranked = sorted(rolls, key=key)
    held = math.ceil(len(rolls) / 10)
    return {
        "test": ranked[:held],
        "valid": ranked[held : 2 * held],
        "train": ranked[2 * held :],
    }


@pytest.mark.parametrize(("count", "sizes"), [(3, (1, 1, 1)), (10, (8, 1, 1)), (25, (19, 3, 3))])
def test_the_music_decides_on_the_split(tmp_path, count, sizes):
    rolls = {f"{number:02}.mid": piece(number) for number in range(count)}
    music = load(write(tmp_path / "a", rolls))
    assert tuple(len(music.pieces[split]) for split in ("train", "valid", "test")) == sizes
    for split, expected in by_hand(list(rolls.values())).items():
        order = [roll.tobytes() for roll in rolls.values()]
        assert tell(music.pieces)[split] == sorted((r.tobytes() for r in expected), key=order.index)
    renamed = {f"{number // 2}/{99 - number}.MIDI": r for number, r in enumerate(rolls.values())}
    again = load(write(tmp_path / "b", renamed))
    assert {k: set(v) for k, v in tell(again.pieces).items()} == {
        k: set(v) for k, v in tell(music.pieces).items()
    }
    assert music.facts["split"] == "by sha256"
    assert music.facts["files"] == count
    assert music.facts["data"] == "a"
    assert again.facts["sha256"] != music.facts["sha256"] == load(tmp_path / "a").facts["sha256"]


def test_the_same_music_is_kept_once_in_whatever_key(tmp_path):
    rolls = {f"{number}.mid": piece(number) for number in range(4)}
    silent = np.zeros((3, 88), np.uint8)
    rolls["5.mid"] = np.roll(rolls["0.mid"], 7, axis=1)
    rolls["6.mid"] = np.concatenate([silent, rolls["1.mid"], silent])
    rolls["7.mid"] = rolls["2.mid"]
    music = load(write(tmp_path, rolls))
    kept = list(itertools.chain(*tell(music.pieces).values()))
    assert sorted(kept) == sorted(rolls[f"{number}.mid"].tobytes() for number in range(4))
    assert music.facts["repeated_pieces"] == 3


def test_folders_named_after_the_splits_are_the_splits(tmp_path):
    rolls = {
        "train/a.mid": piece(0),
        "train/deep/b.mid": piece(1),
        "train/again.mid": piece(2),
        "valid/a.mid": piece(3),
        "test/c.mid": piece(4),
        "test/d.mid": np.roll(piece(2), 3, axis=1),
    }
    music = load(write(tmp_path, rolls))
    assert tell(music.pieces) == {
        "train": [piece(0).tobytes(), piece(1).tobytes()],
        "valid": [piece(3).tobytes()],
        "test": [piece(4).tobytes(), rolls["test/d.mid"].tobytes()],
    }
    assert music.facts["split"] == "by folder"
    assert music.facts["repeated_pieces"] == 1
    write(tmp_path, {"stray.mid": piece(5)})
    with pytest.raises(ConfigError, match="has folders .*, and stray.mid is in none; move it"):
        load(tmp_path)


def test_files_are_read_on_the_grid_that_is_asked_for(tmp_path):
    for number in range(3):
        write_midi(tmp_path / f"{number}.mid", piece(number), grid=4)
    assert {len(roll) for own in load(tmp_path, 4).pieces.values() for roll in own} == {8}
    assert {len(roll) for own in load(tmp_path, 1).pieces.values() for roll in own} == {2}


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("do re mi")
    with pytest.raises(ConfigError, match=r"^config.task.path: .* holds no file \*.mid or \*.midi"):
        load(tmp_path)
    write(tmp_path, {"a.mid": piece(0), "b.mid": piece(1), "c.mid": piece(1)})
    with pytest.raises(ConfigError, match=r"too few pieces that differ \(1 for test, 1 for val"):
        load(tmp_path)
    write(tmp_path, {"d.mid": piece(2)})
    assert load(tmp_path).facts["repeated_pieces"] == 1
    (tmp_path / "e.mid").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"e\.mid is empty"):
        load(tmp_path)
    (tmp_path / "e.mid").write_bytes((tmp_path / "a.mid").read_bytes()[:-9])
    with pytest.raises(ConfigError, match=r"e\.mid is no whole MIDI file .*; replace it or take"):
        load(tmp_path)
    write(tmp_path, {"e.mid": piece(3)[:1]})
    with pytest.raises(ConfigError, match=r"e\.mid has one frame, with 1 in a quarter note"):
        load(tmp_path)
