"""Vocabularies of every level, against plain loops and numbers by hand."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.language.vocabulary import LEVELS, build, is_tokenized, split_words

TEXT = "The cat sat.\nA fat cat, they said, sat on the mat!\n\nThat's that: the end.\n"
KNOWN = "A cat sat on the mat,\nthe fat cat.\n"


def random_text(seed, length=400):
    return "".join(random.Random(seed).choices("abc \n", [5, 4, 2, 2, 1], k=length))


def greedy(text, known):
    """The longest known start of what is left, again and again."""
    pieces = []
    while text:
        piece = next((text[:n] for n in (3, 2, 1) if text[:n] in known), None)
        pieces.append(piece)
        text = text[len(piece or " ") :]
    return pieces


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("marks", [False, True])
def test_known_text_comes_back_and_symbols_have_their_order(level, marks):
    vocabulary = build(level, [TEXT], 60, marks)
    ids = vocabulary.encode(KNOWN)
    assert ids.dtype == np.int32
    assert ids.max() < vocabulary.unknown == len(vocabulary.symbols)
    assert "".join(vocabulary.decode(ids).split(" ")) == "".join(KNOWN.split(" "))
    if level != "word":
        assert vocabulary.decode(ids) == KNOWN == "".join(vocabulary.tokens(ids))
    assert vocabulary.size == vocabulary.unknown + (3 if marks else 1)
    assert len(set(vocabulary.symbols)) == len(vocabulary.symbols)
    if marks:
        assert (vocabulary.start, vocabulary.end) == (vocabulary.size - 2, vocabulary.size - 1)
        framed = [vocabulary.start, *ids, vocabulary.end]
        assert vocabulary.decode(framed) == vocabulary.decode(ids)
        assert vocabulary.tokens(framed)[:: len(ids) + 1] == ["<start>", "<end>"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("text", [KNOWN, "the ☃ cat\n\n☃", "", "\n", "☃☃"])
def test_lengths_and_blanks_add_up_to_the_decoded_text(level, text):
    vocabulary = build(level, [TEXT], 60, marks=True)
    ids = vocabulary.encode(text)
    blanks = sum(vocabulary.spaced[a] * vocabulary.spaced[b] for a, b in itertools.pairwise(ids))
    assert vocabulary.lengths[ids].sum() + blanks == len(vocabulary.decode(ids))
    assert vocabulary.lengths.shape == vocabulary.spaced.shape == (vocabulary.size,)
    assert vocabulary.lengths[vocabulary.unknown :].tolist() == [1, 0, 0]


@pytest.mark.parametrize("level", LEVELS)
def test_what_training_lacks_is_unknown(level):
    vocabulary = build(level, [TEXT], 60, marks=False)
    ids = vocabulary.encode("the ☃ cat")
    assert (ids == vocabulary.unknown).sum() == 1
    assert vocabulary.decode(ids) == "the \ufffd cat"


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_texts_give_the_same_vocabulary(level):
    texts = [random_text(seed) for seed in range(4)]
    one, two = build(level, texts, 40, True), build(level, iter(texts), 40, True)
    assert one.symbols == two.symbols
    assert one.facts() == two.facts()
    assert one.facts() != build(level, [*texts, "new " * 99], 40, True).facts()
    assert one.size <= 40


def test_characters_are_in_the_order_of_their_code_points():
    vocabulary = build("character", ["banana split\n"], 0, marks=False)
    assert "".join(vocabulary.symbols) == "\n abilnpst"
    assert vocabulary.size == 11
    np.testing.assert_array_equal(vocabulary.encode("nab"), [6, 2, 3])
    assert vocabulary.decode(vocabulary.encode("a plain\nstab")) == "a plain\nstab"
    np.testing.assert_array_equal(vocabulary.encode("a!\x00é😀b"), [2, 10, 10, 10, 10, 3])
    assert vocabulary.decode(vocabulary.encode("ab😀")) == "ab\ufffd"


@pytest.mark.parametrize("seed", range(5))
def test_ngrams_are_the_most_frequent_and_read_greedily(seed):
    texts = [random_text(seed), random_text(seed + 100)]
    counts = Counter(
        text[place : place + length]
        for text in texts
        for length in (2, 3)
        for place in range(len(text) - length + 1)
        if "\n" not in text[place : place + length]
    )
    vocabulary = build("ngram", texts, 20, marks=False)
    assert vocabulary.symbols[:5] == ("\n", " ", "a", "b", "c")
    assert [-counts[gram] for gram in vocabulary.symbols[5:]] == sorted(
        -count for count in counts.values()
    )[:14]
    assert list(vocabulary.symbols[5:]) == sorted(
        vocabulary.symbols[5:], key=lambda gram: (-counts[gram], gram)
    )
    text = random_text(seed + 7) + "é"
    pieces = greedy(text, set(vocabulary.symbols))
    expected = [vocabulary.symbols.index(p) if p else vocabulary.unknown for p in pieces]
    assert vocabulary.encode(text).tolist() == expected


def test_words_are_the_most_frequent_with_ties_in_alphabetical_order():
    vocabulary = build("word", ["b a c a\n", "c d d\n"], 4, marks=False)
    assert vocabulary.symbols == ("\n", "a", "c")
    assert vocabulary.decode(vocabulary.encode("a d  c\na")) == "a \ufffd c\na"


@pytest.mark.parametrize("level", LEVELS)
def test_a_text_is_spelled_as_it_is_decoded(level):
    known = build(level, [TEXT], 200, marks=True)
    assert known.spell(TEXT) == known.decode(known.encode(TEXT))
    assert known.spell("a  b,c ") == ("a b , c" if level == "word" else "a  b,c ")


def test_tokenized_words_are_spelled_with_the_marks_that_they_have():
    known = build("word", ["the cat , they said , sat ."], 200, marks=True)
    assert known.spell("e.g.  so ,\n ok?") == "e.g. so ,\nok?"


def test_punctuation_is_split_off_words_unless_it_already_was():
    assert split_words("'tis o'er, well-met friend!\n", False) == [
        *("'", "tis", "o'er", ",", "well-met", "friend", "!", "\n")
    ]
    line = "mr. x &apos;s t-shirt , ( no. 1 ) ."
    assert split_words(line, True) == line.split()
    assert is_tokenized(["a man , a dog .", "dogs run ."])
    assert not is_tokenized(["A man, a dog.", "Dogs run ."])
    vocabulary = build("word", ["a dog .", line], 60, marks=True)
    assert vocabulary.decode(vocabulary.encode(line)) == line


@pytest.mark.parametrize("text", ["  a\n\n\n b ", "\n", "ab", "a b\n", "\ta\r\n"])
def test_subwords_join_to_every_blank_and_line_end(text):
    vocabulary = build("subword", [text + "ab \n\t\r"], 100, marks=False)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_subwords_are_pairs_merged_by_frequency():
    vocabulary = build("subword", ["abab cab"] * 5 + ["cd"], 9, marks=False)
    assert vocabulary.symbols[0] == "ab"
    assert set("abcd ") < set(vocabulary.symbols)
    assert vocabulary.tokens(vocabulary.encode("abd"))[0] == "ab"


@pytest.mark.parametrize("level", ["subword", "ngram", "word"])
def test_a_small_text_gives_what_it_has(level):
    vocabulary = build(level, ["12 34"], 10_000, marks=True)
    assert 4 < vocabulary.size < 20
    assert vocabulary.decode(vocabulary.encode("12 34")) == "12 34"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("texts", [[], [""], ["", " \n\t"]])
def test_texts_without_words_are_refused(level, texts):
    with pytest.raises(ConfigError, match="the training text is empty"):
        build(level, texts, 100, marks=False)


@pytest.mark.parametrize(("level", "least"), [("ngram", 6), ("subword", 6), ("word", 2)])
def test_a_vocabulary_that_is_too_small_is_refused(level, least):
    text = ["hello hello"]
    message = f"config.task.vocabulary_size is {least - 1}, .*{level}.* at least {least}"
    with pytest.raises(ConfigError, match=message):
        build(level, text, least - 1, marks=False)
    assert build(level, text, least, marks=False).size == least
    with pytest.raises(ConfigError, match=f"at least {least + 2}"):
        build(level, text, least + 1, marks=True)
    with pytest.raises(ConfigError, match="did you mean 'word'"):
        build("words", text, 100, marks=False)


def test_a_line_of_any_length_gives_subwords():
    text = "the cat sat " * 20_000
    vocabulary = build("subword", [text], 40, marks=False)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary.encode(text)) < len(text) / 2


@pytest.mark.parametrize("level", ["word", "subword"])
def test_tokenized_captions_stay_as_they_are(level):
    place = os.environ.get("LSTM_JAX_DATA")
    path = Path(place or "") / "multi30k/val.lc.norm.tok.en"
    if not (place and path.is_file()):
        pytest.skip("Multi30k is not where LSTM_JAX_DATA points")
    lines = path.read_text(encoding="utf-8").splitlines()
    vocabulary = build(level, lines, 10_000, marks=True)
    assert all(vocabulary.decode(vocabulary.encode(line)) == line for line in lines)
