"""Buckets by length: the least padding, every example in each epoch, draws that can be repeated."""

import itertools
import time
from collections import Counter

import numpy as np
import pytest

from experiments.data.buckets import Buckets, divide, pad


def random_lengths(seed, examples=41, sequences=2, longest=9):
    return np.random.default_rng(seed).integers(0, longest + 1, (examples, sequences))


def places(lengths, intervals):
    """How many places the intervals of the longer length pad to, example by example."""
    total = 0
    for low, high in intervals:
        members = [row for row in lengths.tolist() if low < max(row) <= high]
        total += len(members) * sum(max(column) for column in zip(*members, strict=True))
    return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sequences", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_no_division_pads_less(seed, sequences, count):
    lengths = random_lengths(seed, sequences=sequences)
    found = divide(lengths, count)
    ends = sorted({max(row) for row in lengths.tolist()})
    least = min(
        places(lengths, zip((-1, *cuts), (*cuts, ends[-1]), strict=True))
        for k in range(min(count, len(ends)))
        for cuts in itertools.combinations(ends[:-1], k)
    )
    assert places(lengths, found) == least
    assert len(found) <= count
    assert [low for low, _ in found] == [-1, *(high for _, high in found[:-1])]
    assert found[-1][1] == ends[-1]


def test_thousands_of_lengths_are_divided_at_once():
    lengths = np.random.default_rng(0).integers(0, 2000, (20_000, 1))
    started = time.process_time()
    assert len(divide(lengths, 6)) == 6
    assert time.process_time() - started < 5.0


@pytest.mark.parametrize("size", [1, 4, 50])
def test_an_epoch_has_every_example_once_but_for_what_fills_up(size):
    buckets = Buckets(random_lengths(1), size, count=3)
    members = {}
    for draw in buckets.in_order():
        members.setdefault(draw.widths, set()).update(draw.examples[draw.examples >= 0].tolist())
    for epoch in range(3):
        found = {widths: [] for widths in members}
        for index in range(len(buckets)):
            draw = buckets.draw(epoch * len(buckets) + index)
            assert len(draw.examples) == size
            found[draw.widths].extend(draw.examples.tolist())
        for widths, own in members.items():
            assert set(found[widths]) == own
            filled_up = -len(own) % size
            assert len(found[widths]) == len(own) + filled_up
            counts = Counter(found[widths]).values()
            assert max(counts) - min(counts) <= 1


def test_no_sequence_is_longer_than_its_width_and_one_is_as_long():
    lengths = random_lengths(2)
    buckets = Buckets(lengths, 4, count=3)
    longest = {}
    for draw in buckets.in_order():
        rows = lengths[draw.examples[draw.examples >= 0]]
        longest.setdefault(draw.widths, []).extend(rows.tolist())
    assert len(longest) == 3
    for widths, rows in longest.items():
        assert widths == tuple(map(max, zip(*rows, strict=True)))


def test_epochs_and_seeds_differ_and_buckets_are_mixed():
    def epoch(seed, number):
        buckets = Buckets(random_lengths(1), 4, count=3, seed=seed)
        return [buckets.draw(number * len(buckets) + k) for k in range(len(buckets))]

    orders = [epoch(0, 0), epoch(0, 1), epoch(1, 0)]
    for one, two in itertools.combinations(orders, 2):
        pairs = list(zip(one, two, strict=True))
        assert any(a.widths != b.widths for a, b in pairs)
        assert {tuple(a.examples) for a, _ in pairs} != {tuple(b.examples) for _, b in pairs}


def test_a_draw_is_a_function_of_its_number():
    lengths = random_lengths(3)
    buckets = Buckets(lengths, 4, count=3, seed=5)
    numbers = list(range(4 * len(buckets)))
    forwards = {n: buckets.draw(n) for n in numbers}
    shuffled = np.random.default_rng(0).permutation(numbers).tolist()
    fresh = Buckets(lengths, 4, count=3, seed=5)
    for n in shuffled:
        for again in (buckets.draw(n), fresh.draw(n)):
            np.testing.assert_array_equal(again.examples, forwards[n].examples)
            assert again.widths == forwards[n].widths


def test_in_order_has_every_example_once_and_leaves_places_empty():
    buckets = Buckets(random_lengths(4), 4, count=3)
    examples = np.concatenate([draw.examples for draw in buckets.in_order()])
    assert sorted(examples[examples >= 0].tolist()) == list(range(41))
    assert (examples < 0).sum() == 4 * len(buckets) - 41
    assert {len(draw.examples) for draw in buckets.in_order()} == {4}


def test_the_padding_is_the_share_of_empty_places():
    lengths = np.array([[2, 1], [9, 4], [3, 2], [8, 8]])
    # Two batches: examples 0 and 2 padded to 3 and 2, examples 1 and 3 to 9 and 8.
    padding = Buckets(lengths, 2, count=2).padding()
    assert padding == pytest.approx(1 - (3 + 5 + 13 + 16) / (10 + 34))
    once = Buckets(lengths[:1], 5, count=1)
    assert once.draw(0).examples.tolist() == [0] * 5
    assert once.padding() == 0


def test_a_pool_gives_its_widths_to_all_that_share_it():
    lengths, others = random_lengths(5), random_lengths(6, longest=12)
    pool = np.concatenate([lengths, others])
    expected = {draw.widths for draw in Buckets(pool, 4, count=3).in_order()}
    for own in (lengths, others):
        buckets = Buckets(own, 4, count=3, pool=pool)
        assert {draw.widths for draw in buckets.in_order()} <= expected
        for draw in buckets.in_order():
            assert (own[draw.examples[draw.examples >= 0]] <= draw.widths).all()
        examples = np.concatenate([draw.examples for draw in buckets.in_order()])
        assert sorted(examples[examples >= 0].tolist()) == list(range(len(own)))


def test_an_example_of_length_zero_has_its_place():
    buckets = Buckets(np.array([[0], [0], [3]]), 2, count=2)
    found = {draw.widths: draw.examples.tolist() for draw in buckets.in_order()}
    assert found == {(0,): [0, 1], (3,): [2, -1]}


def test_pad_lays_sequences_side_by_side():
    columns = [np.array([5, 6, 7]), np.array([], int), np.array([8])]
    padded = pad(columns, width=2, filler=9)
    assert padded.dtype == np.int32
    assert padded.tolist() == [[5, 9, 8], [6, 9, 9]]
