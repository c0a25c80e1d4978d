"""Puzzles of missing lines: what they are made of, and the rules that solve them."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from experiments.language.missing_lines import (
    CANDIDATES,
    Puzzle,
    accuracy,
    by_context,
    by_ngrams,
    by_words,
    join,
    puzzles,
    show,
    widths,
)
from experiments.language.ngrams import NGrams
from experiments.language.vocabulary import build

KNOWN = build("word", ["a b c\nd e f\na a"], 20, marks=True)


def random_passages(number=30, lines=5, seed=0):
    """Passages of lines of one to four words; the line [7] is one of five."""
    rng = np.random.default_rng(seed)

    def line():
        return np.array([7]) if rng.random() < 0.2 else rng.integers(0, 6, rng.integers(1, 5))

    return [[line().astype(np.int32) for _ in range(lines)] for _ in range(number)]


def text(lines):
    return [line.tobytes() for line in lines]


def test_a_passage_is_its_lines_with_line_ends_between():
    words = join([KNOWN.encode("a b"), KNOWN.encode("c"), KNOWN.encode("f")], KNOWN)
    assert KNOWN.decode(words) == "a b\nc\nf"
    np.testing.assert_array_equal(join([KNOWN.encode("c d")], KNOWN), KNOWN.encode("c d"))


@pytest.mark.parametrize("lines", [3, 4, 5])
def test_a_puzzle_is_a_passage_with_its_middle_line_among_ten(lines):
    passages = [*random_passages(lines=lines), random_passages(1, lines - 1)[0]]
    found = puzzles(passages, lines, 100)
    assert len(found) == len(passages) - 1  # the last passage is short
    pool = set(text(line for passage in passages for line in passage))
    originals = sorted(text(passage) for passage in passages[:-1])
    assert sorted(text(puzzle.filled(puzzle.answer)) for puzzle in found) == originals
    for puzzle in found:
        passage = puzzle.filled(puzzle.answer)
        assert len(puzzle.before) == lines // 2
        assert len(puzzle.candidates) == CANDIDATES
        others = set(text(puzzle.candidates)) - {puzzle.candidates[puzzle.answer].tobytes()}
        assert len(others) == CANDIDATES - 1
        assert others <= pool - set(text(passage))


def test_answers_are_anywhere_and_candidates_as_frequent_as_in_the_text():
    """Lines that occur often would give themselves away if they were drawn more seldom."""
    passages = random_passages(2000, lines=3)
    found = puzzles(passages, 3, 300)
    answers = np.bincount([puzzle.answer for puzzle in found], minlength=CANDIDATES)
    assert (answers > 300 / CANDIDATES * 0.4).all()
    seven = np.array([7], np.int32).tobytes()
    without = [puzzle for puzzle in found if seven not in text(puzzle.filled(puzzle.answer))]
    share = np.mean([seven in text(puzzle.candidates) for puzzle in without])
    assert share > 0.75  # 1 - 0.8^9 = 0.87 or more; below 0.01 if all that differ were alike


def test_a_seed_gives_the_same_puzzles_and_another_one_others():
    def made(seed):
        return [(p.answer, text(p.candidates)) for p in puzzles(random_passages(), 5, 100, seed)]

    assert made(0) == made(0) != made(1)
    assert len(puzzles(random_passages(), 5, 7)) == 7


def test_there_are_no_puzzles_without_nine_other_lines():
    same = [[np.array([n], np.int32) for n in range(3)] for _ in range(40)]
    assert puzzles(same, 3, 9) == []
    assert puzzles([], 3, 9) == []


def example(answer=2):
    candidates = [np.array([k], np.int32) for k in range(CANDIDATES)]
    return Puzzle([np.array([1, 2], np.int32)], candidates, [np.array([3], np.int32)], answer)


def test_accuracy_is_the_share_of_right_choices():
    def rule(puzzle):
        return np.where(np.arange(CANDIDATES) == 2, 1.0, 0.0)

    assert accuracy(rule, [example(2), example(3), example(2), example(2)]) == 0.75


def test_the_rule_of_words_adds_their_log_probabilities():
    odds = np.log(np.random.default_rng(0).random(10))
    lines = [np.random.default_rng(k).integers(0, 10, 1 + k % 4) for k in range(CANDIDATES)]
    puzzle = Puzzle([], lines, [], 0)
    expected = [sum(odds[word] for word in line.tolist()) for line in lines]
    np.testing.assert_allclose(by_words(odds, puzzle), expected)


def test_the_rule_of_ngrams_asks_how_much_likelier_a_line_is_in_its_passage():
    """After "a" comes "b", so the line "b" gains most; the twin walks the passage by hand."""
    lines = [KNOWN.encode(f"{one} {other}") for one, other in ["ab", "bc", "ab", "ba", "cd"] * 8]
    model = NGrams.fit([join([line, line[:1]], KNOWN) for line in lines], 2, KNOWN.size)
    for puzzle in puzzles(random_passages(), 5, 4):
        scores = by_ngrams(model, KNOWN, puzzle)
        for k, line in enumerate(puzzle.candidates):
            whole = np.concatenate(
                [part for own in puzzle.filled(k) for part in (KNOWN.encode("\n"), own)]
            )[1:]
            expected = model.log_probability(whole).sum() - model.log_probability(line).sum()
            assert scores[k] == pytest.approx(expected)
        assert np.ptp(scores) > 0


def test_the_rule_of_context_compares_the_filled_passage_with_the_line_alone():
    """A model whose nats depend on the whole text, zero past its length."""
    cost = np.random.default_rng(3).random(100)

    def nats(words, lengths):
        there = np.arange(len(words))[:, None] < lengths
        return np.where(there, cost[(words * there).sum(axis=0) % 100] + words * 0.01, 0)

    def total(words):
        return sum(cost[sum(words) % 100] + 0.01 * word for word in words)

    found = puzzles(random_passages(), 5, 6)
    for puzzle in found:
        scores = by_context(nats, KNOWN, widths(found), puzzle)
        for k, line in enumerate(puzzle.candidates):
            together = total(join(puzzle.filled(k), KNOWN).tolist())
            assert scores[k] == pytest.approx(total(line.tolist()) - together)


def test_widths_hold_every_candidate_in_every_passage():
    found = puzzles(random_passages(), 5, 30)
    passage, line = widths(found)
    filled = [len(join(p.filled(k), KNOWN)) for p in found for k in range(CANDIDATES)]
    assert line == max(len(c) for p in found for c in p.candidates)
    assert max(filled) <= passage <= max(filled) + line


def test_a_puzzle_shows_what_was_chosen_and_what_was_there():
    lines = [KNOWN.encode(word) for word in ["a", "b", "c", "d", "e", "f"]]
    lines += [KNOWN.encode(pair) for pair in ("a b", "b c", "c d", "d e")]
    puzzle = Puzzle([KNOWN.encode("a a")], lines, [KNOWN.encode("f f")], answer=6)
    shown = show(lambda puzzle: np.arange(CANDIDATES) == 3, puzzle, KNOWN).splitlines()
    assert shown[:3] == ["a a", "____", "f f"]
    marks = Counter(line[:6] for line in shown[3:])
    assert marks == {"      ": 8, "  >   ": 1, "    * ": 1}
    assert shown[3 + 3] == "  >   d"
    assert shown[3 + 6] == "    * a b"
    both = show(partial(by_words, np.where(np.arange(KNOWN.size) == 0, 1.0, 0)), puzzle, KNOWN)
    assert "  >   a\n" in both or "  > * a b\n" in both
