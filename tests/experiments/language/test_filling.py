"""Gaps in texts: where they are drawn, what is counted as right, and what is shown."""

import re

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.language import filling
from experiments.language.filling import Gap, draw_runs, exact, fill_all, read_gaps, show
from experiments.language.gaps import Filled
from experiments.language.vocabulary import build

KNOWN = build("word", ["the cat sat on a mat , and a rat .\nthe end"], 40, marks=True)
WORDS = KNOWN.unknown


def random_texts(number=90, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, WORDS, rng.integers(1, 9)).astype(np.int32) for _ in range(number)]


def reader(words, lengths, gaps):
    """Knows the right words of the texts whose first word is even; else all are one too high."""
    right = np.take_along_axis(words.T, gaps, axis=1)
    best = np.where(words[0][:, None] % 2 == 0, right, right + 1)
    return Filled(np.stack([best, best * 0], axis=1), np.log([[0.5, 0.25]] * len(gaps)))


@pytest.mark.parametrize("run", [1, 2, 3])
def test_runs_are_in_longer_texts_each_drawn_once(run):
    texts = random_texts()
    drawn = draw_runs(texts, run, 1000)
    longer = [text for text in texts if len(text) > run]
    assert sorted(g.words.tobytes() for g in drawn) == sorted(t.tobytes() for t in longer)
    for gap in drawn:
        assert gap.places.tolist() == list(range(gap.places[0], gap.places[0] + run))
        assert 0 <= gap.places[0] <= gap.places[-1] < len(gap.words)
    ends = [gap.places[-1] == len(gap.words) - 1 for gap in drawn]
    starts = [gap.places[0] == 0 for gap in drawn]
    assert any(ends) and any(starts) and not all(ends) and not all(starts)
    assert len(draw_runs(texts, run, 7)) == 7
    again, other = (
        [g.places.tolist() for g in draw_runs(texts, run, 1000, seed)] for seed in (0, 1)
    )
    assert [g.places.tolist() for g in drawn] == again != other
    assert draw_runs([np.zeros(run, np.int32)], run, 5) == []


def test_all_are_filled_in_their_order_a_few_at_a_time(monkeypatch):
    shapes = set()

    def watched(words, lengths, gaps):
        shapes.add((words.shape, gaps.shape))
        return reader(words, lengths, gaps)

    gaps = draw_runs(random_texts(), 2, 1000)
    assert len(gaps) % 20
    monkeypatch.setattr(filling, "ROWS", 20)
    found = fill_all(watched, gaps)
    assert len(shapes) == 1
    assert found.words.shape == (len(gaps), 2, 2)
    for gap, words in zip(gaps, found.words[:, 0], strict=True):
        np.testing.assert_array_equal(words - gap.words[gap.places], gap.words[0] % 2)


def test_exact_is_the_share_of_texts_filled_wholly_right():
    gaps = draw_runs(random_texts(), 3, 1000)
    expected = sum(int(gap.words[0]) % 2 == 0 for gap in gaps) / len(gaps)
    assert 0.2 < expected < 0.8
    assert exact(reader, gaps) == pytest.approx(expected)

    def one_wrong(words, lengths, gaps):
        found = np.take_along_axis(words.T, gaps, axis=1)
        found[:, 1] += 1
        return Filled(found[:, None], np.zeros((len(gaps), 1)))

    assert exact(one_wrong, gaps) == 0


def test_a_prompts_gaps_are_read_as_words():
    gap = read_gaps("the ___ sat on ____, and a __ .", KNOWN)
    assert gap.places.tolist() == [1, 4, 8]
    shown = [KNOWN.decode([w]) for w in np.delete(gap.words, gap.places)]
    assert shown == ["the", "sat", "on", ",", "and", "a", "."]
    assert read_gaps("___", KNOWN).places.tolist() == [0]
    assert read_gaps("zebras ___", KNOWN).words.tolist() == [WORDS, WORDS]
    within = read_gaps("dog__cat __init__ ___a b___ (___) ___, _ ____", KNOWN)
    assert [within.words[place] for place in within.places] == [WORDS] * 3
    assert within.places.tolist() == [5, 7, 10]
    for prompt in ("", "the cat", "snake_case", "dog__cat", "__init__", "___a", "é___"):
        with pytest.raises(ConfigError, match="--prompt has no gap; write ___"):
            read_gaps(prompt, KNOWN)


def test_what_was_there_and_what_is_likely_are_shown():
    words = KNOWN.encode("the cat sat on a mat")
    blocks = show(
        lambda *_: Filled(
            np.array([[KNOWN.encode("a rat"), KNOWN.encode("the\nend")[:2], [0, 0]]]),
            np.array([[np.log(0.5), np.log(0.0625), -np.inf]]),
        ),
        [Gap(words, np.array([1, 2]))],
        KNOWN,
    )
    lines = [re.sub(" +", " ", line).strip() for line in blocks[0].splitlines()]
    assert lines == ["the ____ ____ on a mat", "was cat sat", "50.0% a rat", "6.2% the ↵"]


def test_a_text_of_several_lines_is_shown_in_lines():
    gap = Gap(KNOWN.encode("the cat\na mat"), np.array([3]))
    assert gap.show(KNOWN) == "the cat\n____ mat"
