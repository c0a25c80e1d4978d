"""Texts for language models: what a user's file may lack, under the name that it has."""

import pytest

from configs import char_lm
from experiments.config import ConfigError, resolve
from experiments.language import texts
from experiments.language.vocabulary import build


def load(path, content):
    path.write_text(content, encoding="utf-8")
    return texts.load(resolve(char_lm.get_config(), {"task.path": str(path)}))


def test_a_text_is_cut_in_three_without_its_byte_order_mark(tmp_path):
    corpus = load(tmp_path / "mine.txt", "\ufeff" + "ab" * 50)
    assert corpus.name == "mine.txt"
    assert corpus.splits == {"train": "ab" * 45, "valid": "ababa", "test": "babab"}


def test_a_short_text_is_named(tmp_path):
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "mine.txt", "x" * 19)
    expected = "config.task.path: mine.txt has 19 characters; give a text of at least 40"
    assert str(raised.value) == expected
    assert min(map(len, load(tmp_path / "mine.txt", "x" * 40).splits.values())) == 2


@pytest.mark.parametrize("field", ["path", "text"])
def test_a_text_with_too_few_words_is_named_by_its_field(tmp_path, field):
    corpus = load(tmp_path / "mine.txt", "x" * 60)
    if field == "text":
        corpus = texts.split_text("mine.txt", "x" * 60)
    with pytest.raises(ConfigError) as raised:
        texts.encode(corpus, build("word", ["x"], 9, marks=False))
    assert str(raised.value) == (
        f"config.task.{field}: the train split of mine.txt has fewer than two symbols of the level"
        " 'word'; give a longer text"
    )
