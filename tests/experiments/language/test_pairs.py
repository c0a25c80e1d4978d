"""What tasks on pairs of texts share: which pairs they train on, and what they show."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.data.files import sha256
from experiments.language import pairs
from experiments.language.corpora import Pair
from experiments.language.vocabulary import build
from experiments.language.writer import Written

WORDS = build("word", ["a b c d e f"], 20, marks=True)


def stub(texts, attention="luong"):
    """A writer that writes these texts, one symbol a word, and looks at all places alike."""

    def describe(params, inputs):
        assert inputs.symbols.shape[1] == len(inputs.lengths) == len(texts)
        symbols = [WORDS.encode(text) for text in texts]
        places = inputs.symbols.shape[0]
        return [
            Written(text, written, np.full((len(written), places), 1 / places))
            for text, written in zip(texts, symbols, strict=True)
        ]

    task = SimpleNamespace(attention=attention)
    return SimpleNamespace(describe=describe, vocabulary=WORDS, config=SimpleNamespace(task=task))


def test_pairs_that_are_long_on_a_named_side_are_left_out():
    few = [Pair("a b c", "a"), Pair("a", "a b c"), Pair("a b", "b a"), Pair("", "")]
    both = pairs.short(few, 3, source=WORDS, target=WORDS)
    assert both == [few[2], few[3]]
    assert pairs.short(few, 3, target=WORDS) == [few[0], few[2], few[3]]
    assert pairs.short(few, 4, source=WORDS, target=WORDS) == few
    with pytest.raises(ConfigError, match=r"config\.task\.longest is 2, but every"):
        pairs.short(few[:1], 2, source=WORDS)


def test_examples_are_the_symbols_of_both_sides():
    examples = pairs.examples([Pair("a b c", "f"), Pair("z", "e d")], WORDS, WORDS)
    assert examples.lengths.tolist() == [3, 1]
    assert [WORDS.decode(target) for target in examples.targets] == ["f", "e d"]
    draw = pairs.Draw(np.array([1, -1, 0]), (4, 2))
    text = examples.inputs(draw)
    assert text.lengths.tolist() == [1, 0, 3]
    assert text.symbols[0, 0] == WORDS.unknown
    assert WORDS.decode(text.symbols[:3, 2]) == "a b c"


def test_facts_count_pairs_and_pin_their_texts():
    splits = {"train": [Pair("a", "b"), Pair("c d", "e")], "test": [Pair("f", "g")]}
    expected = {"train_pairs": 2, "test_pairs": 1, "sha256": sha256(b"a\tb\nc d\te\nf\tg")}
    assert pairs.facts(splits) == expected


def test_a_sample_shows_both_texts_and_the_reference(tmp_path, capsys):
    long = " ".join(["c"] * 200)
    chosen = [Pair("a b", "d"), Pair(long, "")] + [Pair("a", "f")] * 20
    writer = stub(["e f", "b"] + ["a"] * (pairs.SHOWN - 2))
    pairs.show(writer, WORDS, chosen, None, tmp_path, "summary")
    text = (tmp_path / "samples.txt").read_text(encoding="utf-8")
    blocks = text.split("\n\n")
    assert len(blocks) == pairs.SHOWN
    assert blocks[0] == "source:    a b\nsummary:   e f\nreference: d"
    lines = blocks[1].split("\n")
    assert [line[:11] for line in lines] == ["source:    ", " " * 11, " " * 11, "summary:   "]
    assert lines[2].endswith("c ...")
    assert max(map(len, lines)) <= 100
    assert text in capsys.readouterr().out
    assert (tmp_path / "attention.png").read_bytes().startswith(b"\x89PNG")


def test_a_prompt_takes_the_place_of_the_test_split(tmp_path, capsys):
    test, give = [Pair("a", "f")], partial(pairs.sample, stub(["e"]), WORDS)
    give(test, "summary", None, None, tmp_path, prompt="b zebra")
    assert (tmp_path / "samples.txt").read_text() == "source:    b zebra\nsummary:   e\n"
    said = capsys.readouterr().err
    assert said.endswith("1 of 2 symbols of the prompt are unknown to this model: 'zebra'\n")
    give([Pair("zebra", "f")], "summary", None, None, tmp_path)
    assert "reference: f" in (tmp_path / "samples.txt").read_text()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("level", ["character", "word"])
@pytest.mark.parametrize("prompt", ["", "   "])
def test_a_prompt_without_a_word_is_refused(tmp_path, level, prompt):
    known = build(level, ["a b c d e f"], 20, marks=True)
    with pytest.raises(ConfigError, match="--prompt has no word in it; give a sentence"):
        pairs.sample(stub(["e"]), known, [Pair("a", "f")], "summary", None, None, tmp_path, prompt)


def test_there_is_no_picture_without_attention_or_words(tmp_path):
    pairs.show(stub(["e"], "none"), WORDS, [Pair("a", "b")], None, tmp_path, "translation")
    pairs.show(stub([""]), WORDS, [Pair("a", "b")], None, tmp_path, "translation")
    assert not (tmp_path / "attention.png").exists()
    assert (tmp_path / "samples.txt").read_text() == "source:      a\nreference:   b\n"
    with pytest.raises(ConfigError, match="--prompt has no word in it; give a sentence"):
        pairs.show(stub([""]), WORDS, [Pair(" ", "")], None, tmp_path, "translation")
