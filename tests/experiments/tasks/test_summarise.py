"""Summarisation: what is read, the baselines by hand, what is refused, whole runs."""

import random
import sysconfig

import jax
import numpy as np
import pytest

from configs import summarise as summarise_config
from experiments.config import ConfigError, resolve
from experiments.language import corpora
from experiments.language.corpora import Documented, Pair
from experiments.language.vocabulary import build
from experiments.tasks.summarise import as_pair, baselines, cut, load, rate, summarise
from experiments.training.loop import fit

WORDS = ["queue", "item", "file", "line", "read", "the", "of", "a", "wait", "lock"]
COUNTS = {"train": 60, "valid": 8, "test": 9}


@pytest.fixture
def config(tmp_path):
    """Random bodies of two sentences, summarised by some of their words."""
    rng = random.Random(4)
    for split, count in COUNTS.items():
        bodies = [rng.choices(WORDS, k=12) for _ in range(count)]
        lines = [" ".join(body[:6]) + ". " + " ".join(body[6:]) + "." for body in bodies]
        (tmp_path / f"{split}.body").write_text("\n".join(lines))
        lines = [" ".join(body[1:4]).capitalize() + "." for body in bodies]
        (tmp_path / f"{split}.summary").write_text("\n".join(lines))
    config = summarise_config.get_config()
    config.mode = "tiny"
    overrides = {"task.path": str(tmp_path), "task.vocabulary_size": 60, "task.longest": 30}
    return resolve(config, overrides).unlock()


def test_a_name_comes_before_the_body():
    text = Documented("queue put", "Waits for a slot.", "Put an item.")
    assert as_pair(text) == Pair("queue put: Waits for a slot.", "Put an item.")
    assert as_pair(text._replace(name="")) == Pair("Waits for a slot.", "Put an item.")


def test_only_the_first_symbols_of_a_source_are_read():
    known = build("word", ["a b c d"], 20, marks=True)
    short = cut(known, 3)
    assert short.decode(short.encode("d c b a")) == "d c b"
    assert short.decode(short.encode("a")) == "a"
    assert (short.size, short.end, short.symbols) == (known.size, known.end, known.symbols)


def test_both_sides_have_one_vocabulary_and_long_sources_are_cut(config):
    config.task.update(level="word", longest_source=7)
    task = summarise(config)
    texts = load(config)
    sides = [side for text in texts["train"] for side in text[1:]]
    known = build("word", sides, 60, marks=True)
    assert task.facts["vocabulary_size"] == known.size
    assert {name: task.facts[f"{name}_pairs"] for name in COUNTS} == COUNTS
    seen = []
    for batch in task.eval_batches("test"):
        for column in np.flatnonzero(batch.lengths):
            read = batch.inputs.symbols[: batch.inputs.lengths[column], column]
            seen.append((known.decode(read), known.decode(batch.symbols[:, column])))
    expected = [
        (known.decode(known.encode(text.body)[:7]), known.decode(known.encode(text.summary)))
        for text in texts["test"]
    ]
    assert sorted(seen) == sorted(expected)


def test_summaries_are_rated_by_hand():
    """LCS "put item" of 2 in 3 and 4 words: P = 2/3, R = 2/4; the other one is the reference."""
    texts = [Documented("", "", "Put an item away."), Documented("", "", "Wait.")]
    known = build("word", ["Put, wait."], 9, marks=True)
    found = rate(["put item now", "Wait ."], texts, known)
    f1 = 2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4)
    assert found == {
        "rouge_l": pytest.approx(100 * (f1 + 1) / 2),
        "rouge_l_standard_error": pytest.approx(100 * (1 - f1) / 2),
        "exact_match": 50.0,
    }
    letters = build("character", ["Wait ."], 0, marks=True)
    assert rate(["Wait ."], texts[1:], letters)["exact_match"] == 0.0


def test_baselines_by_hand():
    """The first sentence of three words holds two of four; the name one of two."""
    test = [Documented("item queue", "Put one item. Wait until e.g. noon.", "Put an item away")]
    known = build("character", ["abc"], 0, marks=True)
    found = baselines(test, known)
    assert found["the body's first sentence"]["rouge_l"] == pytest.approx(100 * 4 / 7)
    assert found["the name"]["rouge_l"] == pytest.approx(100 * 2 / 6)
    assert found["the name and that sentence"]["rouge_l"] == pytest.approx(100 * 4 / 9)
    unnamed = baselines([test[0]._replace(name="")], known)
    assert list(unnamed) == ["the body's first sentence"]


def test_docstrings_are_the_default_texts(config, monkeypatch):
    text = Documented("os walk", " ".join(WORDS), "Walk it.")
    splits = {name: [text._replace(summary=f"Walk {name} it.")] for name in COUNTS}
    monkeypatch.setattr(corpora, "docstrings", lambda: splits)
    config.task.path = None
    assert load(config) == splits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "none"}, "attention looks, but config.task.attention is 'none'; choose"),
        ({"attention": "loung"}, "did you mean 'luong'"),
        ({"longest": 2}, "config.task.longest is 2, but every"),
        ({"path": sysconfig.get_path("stdlib")}, r"has no file train\.body; it must have"),
    ],
)
def test_what_cannot_be_is_refused(config, changes, message):
    config.task.update(changes)
    with pytest.raises(ConfigError, match=message):
        summarise(config)


def test_a_prompt_is_summarised(config, tmp_path):
    task = summarise(config)
    params = task.init(jax.random.key(0))
    assert params["params"]["decoder"]["point"]["gate"]["bias"].shape == (1,)
    task.sample(params, None, tmp_path, prompt="Wait for the lock. Read a line.")
    text = (tmp_path / "samples.txt").read_text(encoding="utf-8")
    assert text.startswith("source:    Wait for the lock. Read a line.\n")


@pytest.mark.slow
def test_without_a_pointer_and_attention_it_trains_too(config, tmp_path):
    config.task.update(pointer=False, attention="none")
    test = fit(summarise(config), config, tmp_path)["members"][0]["test"]
    assert 0 <= test["rouge_l"] <= 100
    assert 0 <= test["exact_match"] <= 100
