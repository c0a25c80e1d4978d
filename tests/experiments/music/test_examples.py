"""Batches of pieces: padding, epochs, other keys, going on from a position."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest

from configs import music as music_config
from experiments.config import resolve
from experiments.mesh import Part
from experiments.music.examples import Batches, transpose
from tests.experiments.music.pieces import NOTES, random_cells

CELLS = random_cells()
PIECES = {split: list(CELLS[f"{split}data"][0]) for split in ("train", "valid", "test")}


def batches(**overrides):
    config = music_config.get_config()
    config.mode = "tiny"
    return Batches(resolve(config, overrides), PIECES)


def columns(batch):
    """A batch's pieces without padding, which must be silent."""
    for column, length in enumerate(batch.lengths):
        assert not batch.roll[length:, column].any()
        yield batch.roll[:length, column]


@pytest.mark.parametrize("buckets", [1, 3])
def test_evaluation_has_every_piece_once_as_it_is(buckets):
    source = batches(**{"task.buckets": buckets, "train.batch_size": 4, "task.transpose": 5})
    for split, pieces in PIECES.items():
        found = [p.tobytes() for b in source.evaluation(split) for p in columns(b) if len(p)]
        expected = [piece.astype(np.float32).tobytes() for piece in pieces]
        assert sorted(found) == sorted(expected)


def test_every_training_piece_comes_in_each_epoch_in_another_order():
    iterator = batches(**{"train.batch_size": 4}).train(Part())
    drawn = [[p.tobytes() for p in columns(next(iterator))] for _ in range(12)]
    epochs = [list(itertools.chain(*drawn[k : k + 3])) for k in range(0, 12, 3)]
    expected = {piece.astype(np.float32).tobytes() for piece in PIECES["train"]}
    assert all(set(epoch) == expected for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_training_goes_on_from_a_position_to_the_bit():
    source = batches(**{"train.batch_size": 4, "task.transpose": 3, "task.buckets": 2})
    iterator = source.train(Part())
    for _ in range(5):
        next(iterator)
    position = json.loads(json.dumps(iterator.get_state()))
    again = batches(**{"train.batch_size": 4, "task.transpose": 3, "task.buckets": 2}).train(Part())
    again.set_state(position)
    for _ in range(4):
        expected, got = next(iterator), next(again)
        np.testing.assert_array_equal(got.roll, expected.roll)
        np.testing.assert_array_equal(got.lengths, expected.lengths)


def test_processes_share_what_one_would_have():
    overrides = {"train.batch_size": 4, "task.transpose": 3}
    whole = batches(**overrides).train(Part())
    parts = [batches(**overrides).train(Part(k, 2)) for k in range(2)]
    for _ in range(3):
        expected, shares = next(whole), [next(part) for part in parts]
        np.testing.assert_array_equal(
            np.concatenate([s.roll for s in shares], axis=1), expected.roll
        )


def test_training_moves_each_piece_anew_and_as_a_whole():
    source = batches(**{"train.batch_size": 4, "task.transpose": 2})
    known = {
        np.roll(piece, shift, axis=1).astype(np.float32).tobytes()
        for piece in PIECES["train"]
        for shift in range(-2, 3)
        if not np.roll(piece, shift, axis=1)[:, _lost(shift)].any()
    }
    found = Counter(p.tobytes() for number in range(30) for p in columns(source.drawn(number)))
    assert set(found) <= known
    assert len(found) > len(PIECES["train"])
    other = batches(**{"train.batch_size": 4, "task.transpose": 2, "seed": 1})
    assert any((other.drawn(n).roll != source.drawn(n).roll).any() for n in range(3))


def _lost(shift):
    """The notes that a roll by some semitones brings round from the other end."""
    return slice(0, shift) if shift >= 0 else slice(NOTES + shift, NOTES)


@pytest.mark.parametrize("most", [1, 3, 87])
def test_transposition_is_a_move_that_keeps_every_note(most):
    """All moves that are possible are equally likely."""
    random, rng = np.random.default_rng(0), np.random.default_rng(1)
    piece = np.zeros((6, 20), np.uint8)
    piece[:, 2:16] = random.random((6, 14)) < 0.4
    piece[0, 2] = piece[1, 15] = 1
    possible = [s for s in range(-most, most + 1) if s >= -2 and s <= 4]
    moved = Counter(transpose(piece, most, rng).tobytes() for _ in range(400 * len(possible)))
    by_hand = {}
    for shift in possible:
        other = np.zeros_like(piece)
        for frame, note in np.argwhere(piece):
            other[frame, note + shift] = 1
        by_hand[other.tobytes()] = shift
    assert set(moved) == set(by_hand)
    assert min(moved.values()) > 300


def test_silence_may_be_moved():
    piece = np.zeros((4, 9))
    np.testing.assert_array_equal(transpose(piece, 5, np.random.default_rng(0)), piece)
