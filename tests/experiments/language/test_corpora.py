"""Corpora: parallel files and what is wrong with them, docstrings of a library made up and real."""

import asyncio.locks
import binascii
import inspect
import os
import random
import sys
import textwrap
from pathlib import Path

import pytest

from experiments.config import ConfigError
from experiments.language import corpora
from experiments.language.corpora import (
    Documented,
    Pair,
    docstrings,
    multi30k,
    parallel_files,
    sentences,
)

NAMES = [f"{split}.{suffix}" for split in ("train", "valid", "test") for suffix in ("de", "en")]


@pytest.fixture
def parallel(tmp_path):
    """A directory of a user's pairs: random words, another number of lines in each split."""
    rng = random.Random(2)
    for number, name in enumerate(NAMES):
        lines = [" ".join(rng.choices(["aä", "b", "日本"], k=3)) for _ in range(3 + number // 2)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_parallel_files_are_read_line_by_line(parallel):
    splits = parallel_files(parallel, "en", "de")
    assert {split: len(pairs) for split, pairs in splits.items()} == dict(train=3, valid=4, test=5)
    for split, pairs in splits.items():
        for suffix, side in [("en", 0), ("de", 1)]:
            text = (parallel / f"{split}.{suffix}").read_text(encoding="utf-8")
            assert "".join(f"{pair[side]}\n" for pair in pairs) == text


def test_pairs_with_an_empty_line_are_dropped_whole(parallel):
    (parallel / "valid.de").write_bytes("\ufeffeins\r\n\r\n  drei \r\nvier\x85\u2028fünf".encode())
    (parallel / "valid.en").write_bytes(b"one\ntwo\nthree\nfour\n")
    pairs = parallel_files(parallel, "de", "en")["valid"]
    assert pairs == [("eins", "one"), ("drei", "three"), ("vier\x85\u2028fünf", "four")]
    (parallel / "valid.de").write_text("\n \n\t\n\n")
    with pytest.raises(ConfigError, match=r"task.path: .*valid\.de and .*valid\.en have no pair"):
        parallel_files(parallel, "de", "en")


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_file_is_named_and_where_it_was_looked_for(parallel, missing):
    (parallel / missing).unlink()
    with pytest.raises(ConfigError) as error:
        parallel_files(parallel, "de", "en")
    assert f"config.task.path: {parallel} has no file {missing}; " in str(error.value)
    assert f"it must have {', '.join(NAMES)}" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_directory_is_told_from_one_without_files(tmp_path):
    (tmp_path / "file").write_text("a\nb\n")
    wanted = f"; give a directory with {', '.join(NAMES)}, whose lines pair"
    for name, fault in [
        ("file", "is a file"),
        ("absent", "cannot be read (there is no such directory)"),
    ]:
        with pytest.raises(ConfigError) as error:
            parallel_files(tmp_path / name, "de", "en")
        assert str(error.value) == f"config.task.path: {tmp_path / name} {fault}{wanted}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb", r"train\.de has 3 lines, but .*train\.en has 2"),
        (b"a\nb\n\nc\n\n", r"train\.de has 3 lines, but .*train\.en has 5"),
        (b"a\n\xff\nc\n", r"train\.en is no UTF-8 text \(byte 2, line 2, column 1\)"),
        (b"", r"train\.en is empty"),
    ],
)
def test_files_that_do_not_pair_are_refused(parallel, content, message):
    (parallel / "train.en").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        parallel_files(parallel, "de", "en")


def test_sentences_are_the_lines_that_are_not_blank():
    assert sentences("to be\r\n\n \t\nor\x0cnot \n  to be") == ["to be", "or\x0cnot", "to be"]
    assert sentences("") == []


def test_multi30k_is_read_whole():
    place = Path(os.environ.get("LSTM_JAX_DATA") or "") / "multi30k"
    if not (place / "test_2016_flickr.lc.norm.tok.en").is_file():
        pytest.skip("Multi30k is not where LSTM_JAX_DATA points")
    splits = multi30k("de", "en")
    assert {name: len(pairs) for name, pairs in splits.items()} == {
        "train": 29000,
        "valid": 1014,
        "test": 1000,
    }
    for name, split in [("val", "valid"), ("test_2016_flickr", "test")]:
        for side, language in enumerate(("de", "en")):
            text = (place / f"{name}.lc.norm.tok.{language}").read_text(encoding="utf-8")
            assert [pair[side].split() for pair in splits[split]] == [
                line.split() for line in text.rstrip("\n").split("\n")
            ]
    assert multi30k("en", "de")["test"] == [pair[::-1] for pair in splits["test"]]


def test_languages_and_files_that_multi30k_lacks_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"config\.task\.target is 'fr', choose one of de, en"):
        multi30k("de", "fr", str(tmp_path))
    (tmp_path / "multi30k").mkdir()
    (tmp_path / "multi30k" / "train.lc.norm.tok.de").write_text("ein Hund .\n")
    with pytest.raises(ConfigError, match=r"train\.lc\.norm\.tok\.de has the sha256"):
        multi30k("de", "en", str(tmp_path))


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (
            "Find  one file.\n\n  a b c d\n\ne f g h  ",
            Pair("a b c d e f g h", "Find one file."),
        ),
        ("Find one file.\na b c d e f g h", Pair("a b c d e f g h", "Find one file.")),
        (
            "Find one\nfile or more\n \na b c d e f g h",
            Pair("a b c d e f g h", "Find one file or more"),
        ),
        ("Find a.b, e.g. c.\n\na b c d e f g h", Pair("a b c d e f g h", "Find a.b, e.g. c.")),
        ("Find one file.\n\na b c", Pair("a b c", "Find one file.")),
        ("Find one file.", Pair("", "Find one file.")),
        ("Find one file. Close it.\n\na b c d e f g h", None),
        ("Find it.\n\na b c d e f g h", None),
        (" ".join("x" * 21) + "\n\na b c d e f g h", None),
        ("", None),
    ],
)
def test_a_docstring_is_cut_into_its_body_and_first_line(docstring, expected):
    assert corpora.summarized("f", docstring) == (expected and Documented("f", *expected))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("asyncio.queues.Queue.put_nowait", "asyncio queues queue put nowait"),
        ("abc.ABCMeta.__new__", "abc abcmeta new"),
        ("a.LocaleTime._b2C", "a locale time b2c"),
    ],
)
def test_names_are_given_in_words(name, words):
    assert corpora.summarized(name, "Find one file.").name == words


def test_long_bodies_are_cut():
    body, first = [f"b{i}" for i in range(90)], [f"f{i}" for i in range(20)]
    found = corpora.summarized("f", "\n".join(first) + "\n\n" + "\n".join(body))
    assert found == ("f", " ".join(body[:60]), " ".join(first))


def source(name, count, extra=""):
    """A module with documented functions, methods and coroutines; `name` is in each sentence."""
    functions = [
        f"{'async ' * (i % 2)}def f{i}():\n"
        f"    '''The {i}th of {name}.\n\n    {name} {i} c d e f g h'''"
        for i in range(count)
    ]
    return "\n".join([f"'''Module {name} here.\n\n{name} b c d e f g h'''", extra, *functions])


def test_docstrings_come_from_the_library_alone_and_split_by_module(tmp_path):
    names = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))
    names = [name for name in names if name not in ("idlelib", "turtledemo", "test")]
    for name in names:
        (tmp_path / f"{name}.py").write_text(source(name, 2))
    for place in [
        tmp_path / "site-packages" / "numpy" / "core.py",
        tmp_path / "idlelib" / "abc.py",
        tmp_path / "xml" / "tests" / "abc.py",
        tmp_path / "test" / "abc.py",
        tmp_path / "sitecustomize.py",
    ]:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(source("outside", 3))
    (tmp_path / "abc.py").write_text("def f(:\n  '''One two three.\n\na b c d e f g h'''")
    (tmp_path / "ast.py").write_bytes(b"# coding: latin-1\n" + source("\xe9", 1).encode("latin-1"))
    method = "def g(self):\n        '''A method here.\n\n        body b c d e f g h'''"
    extra = f"class A:\n    {method}\n\n'no docstring'\n'\\d'"
    (tmp_path / "xml" / "dom.py").write_text(source("inner", 1, extra))
    found = {text: split for split, texts in docstrings(tmp_path).items() for text in texts}
    modules = {name: name for name in names if name not in ("abc", "ast")}
    modules |= {"ast": "é", "xml.dom": "inner"}
    expected = {}
    for module, name in modules.items():
        part = binascii.crc32(module.encode()) % 100
        split = "train" if part < 90 else "valid" if part < 95 else "test"
        count = 1 if name in ("é", "inner") else 2
        words = module.replace(".", " ").replace("_", " ").replace("cP", "c P").lower().strip()
        expected[Documented(words, f"{name} b c d e f g h", f"Module {name} here.")] = split
        for i in range(count):
            body, summary = f"{name} {i} c d e f g h", f"The {i}th of {name}."
            expected[Documented(f"{words} f{i}", body, summary)] = split
        if name == "inner":
            text = Documented(f"{words} a g", "body b c d e f g h", "A method here.")
            expected[text] = split
    assert found == expected


def test_training_has_what_is_documented_briefly_after_the_rest(tmp_path):
    """But for what a longer one has as its summary, and each summary once."""
    split_of = corpora.split_of
    names = sorted(sys.stdlib_module_names - {"idlelib", "turtledemo", "test"})
    train = [name for name in names if split_of(name) == "train"]
    tested = next(name for name in names if split_of(name) == "test")
    for name in names:
        body = "\n\n    x y" if name < "m" else ""
        extra = f"def g():\n    '''Brief words {name}.{body}'''\n"
        if name in (train[0], train[-1]):
            extra += f"def r():\n    '''Module {tested} here.'''\n"
            extra += "def s():\n    '''Brief of all.'''\n"
        (tmp_path / f"{name}.py").write_text(source(name, 1, extra))
    splits = docstrings(tmp_path)
    words = {name: [len(text.body.split()) for text in split] for name, split in splits.items()}
    assert set(words["valid"] + words["test"]) == {8}
    assert len(splits["test"]) == 2 * sum(split_of(name) == "test" for name in names)
    count = 2 * len(train)
    assert set(words["train"][:count]) == {8}
    added = [(text.summary, text.body) for text in splits["train"][count:]]
    expected = [(f"Brief words {name}.", "x y" if name < "m" else "") for name in train]
    assert sorted(added) == sorted([*expected, ("Brief of all.", "")])


def test_neither_a_body_nor_a_first_line_comes_twice(tmp_path):
    for name in sys.stdlib_module_names:
        (tmp_path / f"{name}.py").write_text(source(name, 1))
    with (tmp_path / "zlib.py").open("a") as file:
        file.write("\nclass A:\n    '''Other words here.\n\n    abc b c d e f g h'''")
        file.write("\nclass B:\n    '''Module abc here.\n\n    b c d e f g h i'''")
    texts = [text[1:] for split in docstrings(tmp_path).values() for text in split]
    for side in zip(*texts, strict=True):
        assert len(set(side)) == len(side)
    assert not {"Other words here.", "b c d e f g h i"} & {side for text in texts for side in text}


def test_a_python_without_its_sources_is_refused(tmp_path):
    (tmp_path / "abc.py").write_text(source("abc", 3))
    with pytest.raises(ConfigError, match="too few source files in .*; install a Python"):
        docstrings(tmp_path)


@pytest.mark.slow
def test_the_standard_library_has_thousands_of_pairs():
    splits = docstrings()
    long = {
        name: [text for text in split if len(text.body.split()) >= 8]
        for name, split in splits.items()
    }
    assert sum(map(len, long.values())) > 2000
    assert all(len(texts) > 50 for texts in long.values())
    assert len(splits["train"]) > 2 * len(long["train"])
    assert [long[name] for name in ("valid", "test")] == [splits["valid"], splits["test"]]
    if sys.version_info[:3] == (3, 11, 7):
        assert [len(long[name]) for name in ("train", "valid", "test")] == [2381, 118, 122]
    for module, name in ((textwrap, "textwrap shorten"), (asyncio.locks, "asyncio locks lock")):
        text = inspect.getdoc(module.shorten if module is textwrap else module.Lock)
        first, body = text.split("\n\n", 1)
        found = (name, " ".join(body.split()[:60]), " ".join(first.split()))
        assert found in splits[corpora.split_of(module.__name__)]


def test_the_standard_library_gives_a_large_capped_text():
    text = corpora.stdlib_text()
    assert 1_500_000 < len(text) <= corpora.STDLIB_CAP
    assert text.count("\ndef ") > 500
    assert corpora.STDLIB_MODULES.split() == sorted(corpora.STDLIB_MODULES.split())
    assert corpora.stdlib_text(cap=1000) == text[:1000]
    with pytest.raises(ConfigError, match=r"no source file .*nothing_like_this\.py"):
        corpora.stdlib_text(modules="abc nothing_like_this")
