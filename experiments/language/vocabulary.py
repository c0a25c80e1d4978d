"""Vocabularies of characters, n-grams, sub-words and words: texts as numbered symbols."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from experiments.config import ConfigError, choose
from experiments.data.files import sha256

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
MARKS = ("<start>", "<end>")
BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # how sentencepiece writes a blank
LONGEST = 2000  # characters that sentencepiece learns from at a time
WORDS = re.compile(r"\n|\w+(?:['’-]\w+)*|[^\w\s]")
CHUNKS = re.compile(r"\n|\S+")
MARK_ALONE = re.compile(r"(?<!\S)[.,;:!?](?!\S)")
MARK_ATTACHED = re.compile(r"\w[.,;:!?](?!\S)")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Numbered symbols: the tokens first, then the unknown one, then the marks start and end.

    Attributes:
        level: one of LEVELS.
        symbols: the text of each token.
        encoder: a text's symbols [N], those that it does not know as `unknown`.
        marks: whether there are the marks start and end.
        tokenized: see `split_words`; of no use to other levels than words.

    Example:
        >>> vocabulary = build("character", ["banana"], size=0, marks=False)
        >>> vocabulary.decode(vocabulary.encode("nab!"))
        'nab\ufffd'
    """

    level: str
    symbols: tuple[str, ...]
    encoder: Callable[[str], np.ndarray]
    marks: bool
    tokenized: bool = True

    @property
    def unknown(self) -> int:
        """The symbol of every token that the training text lacks."""
        return len(self.symbols)

    @property
    def start(self) -> int:
        """The mark before a sequence, if there are marks."""
        return len(self.symbols) + 1

    @property
    def end(self) -> int:
        """The mark after a sequence, if there are marks."""
        return len(self.symbols) + 2

    @property
    def size(self) -> int:
        """The number of symbols, the unknown one and the marks among them."""
        return len(self.symbols) + reserved(self.marks)

    @property
    def lengths(self) -> np.ndarray:
        """The characters that each symbol stands for [size]; marks 0, unknown 1."""
        marks = len(MARKS) * self.marks
        return np.array([*map(len, self.symbols), 1, *[0] * marks], np.int32)

    @property
    def spaced(self) -> np.ndarray:
        """1 for the symbols between two of which `decode` puts a blank [size]."""
        words = [self.level == "word" and text != "\n" for text in (*self.symbols, UNKNOWN)]
        return np.array([*words, *[False] * (self.size - len(words))], np.int32)

    def encode(self, text: str) -> np.ndarray:
        """A text's symbols [N], int32, without marks."""
        return self.encoder(text).astype(np.int32)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of some symbols; marks are left out, the unknown symbol is U+FFFD."""
        known = (*self.symbols, UNKNOWN)
        texts = [known[symbol] for symbol in ids if symbol < len(known)]
        return join_words(texts) if self.level == "word" else "".join(texts)

    def spell(self, text: str) -> str:
        """A text as `decode` writes it: words with one blank between them, or the text itself."""
        return join_words(split_words(text, self.tokenized)) if self.level == "word" else text

    def tokens(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        """Each symbol's own text; marks as <start> and <end>."""
        texts = (*self.symbols, UNKNOWN, *MARKS)
        return [texts[symbol] for symbol in ids]

    def facts(self) -> dict[str, Any]:
        """What the results say about a vocabulary."""
        digest = sha256(json.dumps(self.symbols).encode())
        return {
            "level": self.level,
            "vocabulary_size": self.size,
            "vocabulary_sha256": digest,
        }


def build(level: str, texts: Iterable[str], size: int, marks: bool) -> Vocabulary:
    """The vocabulary of some training texts; the same texts give the same one.

    Args:
        level: "character": those of the texts, in the order of their code points. "ngram": these,
            and the most frequent of two and three characters in a row on a line; a text is read
            from the left, the longest that fits first. "subword": byte pair encoding by
            sentencepiece, line by line; fewer than `size` where the texts give no more. "word":
            the most frequent words and line ends, see `split_words`.
        texts: the training texts.
        size: the largest number of symbols, at all levels but "character".
        marks: whether to add the marks start and end.

    Raises:
        ConfigError: if the level is unknown, the texts hold nothing, or `size` is too small.

    Source of the sub-words: Sennrich et al. 2016, arXiv:1508.07909; Kudo and Richardson 2018,
    arXiv:1808.06226.
    """
    texts = list(texts)
    if not any(map(str.strip, texts)):
        raise ConfigError("config.task: the training text is empty; give one that holds words")
    make = LEVELS[choose("task.level", level, LEVELS)]
    least = (1 if level == "word" else len(set().union(*texts))) + reserved(marks)
    if level != "character" and size < least:
        raise ConfigError(
            f"config.task.vocabulary_size is {size}, at the level {level!r} this text needs at"
            f" least {least}"
        )
    made = make(texts, size - reserved(marks))
    return Vocabulary(level, tuple(made.symbols), made.encoder, marks, made.tokenized)


def reserved(marks: bool) -> int:
    """The number of symbols that are no tokens."""
    return 1 + len(MARKS) * marks


def split_words(text: str, tokenized: bool) -> list[str]:
    """Cuts a text at its blanks, with each line end as a word of its own.

    In a text that is not tokenized, each punctuation mark is a word too, but for apostrophes and
    hyphens inside a word.

    Example:
        >>> split_words("I'll go, now", tokenized=False)
        ["I'll", 'go', ',', 'now']
    """
    return (CHUNKS if tokenized else WORDS).findall(text)


def join_words(words: Iterable[str]) -> str:
    """Words with one blank between two of them, but none at line ends."""
    return " ".join(words).replace(" \n", "\n").replace("\n ", "\n")


def is_tokenized(texts: Iterable[str]) -> bool:
    """Whether no fewer of the marks .,;:!? stand alone than end a word, as in tokenized text."""
    surplus = 0
    for text in texts:
        surplus += len(MARK_ALONE.findall(text)) - len(MARK_ATTACHED.findall(text))
    return surplus >= 0


class Made(NamedTuple):
    """What a level makes of some texts, see `Vocabulary`."""

    symbols: Sequence[str]
    encoder: Callable[[str], np.ndarray]
    tokenized: bool = True


def _characters(texts: Sequence[str], room: int) -> Made:
    symbols = sorted(set().union(*texts))
    return Made(symbols, partial(_encode_characters, _code_points("".join(symbols))))


def _ngrams(texts: Sequence[str], room: int) -> Made:
    characters = sorted(set().union(*texts))
    counts: Counter[str] = Counter()
    for line in (line for text in texts for line in text.split("\n")):
        counts.update(map("".join, itertools.pairwise(line)))
        counts.update(map("".join, zip(line, line[1:], line[2:], strict=False)))
    symbols = characters + most_frequent(counts, room - len(characters))
    return Made(symbols, partial(_encode_ngrams, _numbered(symbols), max(map(len, symbols))))


def _words(texts: Sequence[str], room: int) -> Made:
    tokenized = is_tokenized(texts)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text, tokenized))
    symbols = most_frequent(counts, room)
    return Made(symbols, partial(_encode_words, _numbered(symbols), tokenized), tokenized)


def _subwords(texts: Sequence[str], room: int) -> Made:
    lines = [line for text in texts for line in text.split("\n") if line]
    ends = ["\n"] * any("\n" in text for text in texts)
    processor = _train_subwords(lines, room - len(ends))
    pieces = [processor.id_to_piece(place) for place in range(1, processor.get_piece_size())]
    symbols = [piece.replace(BLANK, " ") for piece in pieces] + ends
    unknown = len(symbols)
    return Made(symbols, partial(_encode_subwords, processor, unknown, unknown - len(ends)))


LEVELS: Mapping[str, Callable[[Sequence[str], int], Made]] = {
    "character": _characters,
    "ngram": _ngrams,
    "subword": _subwords,
    "word": _words,
}


def _train_subwords(lines: Sequence[str], size: int) -> Any:
    """A sentencepiece processor of `size` pieces besides <unk>, which is number 0."""
    import sentencepiece

    model = io.BytesIO()
    whole = (line + " " * line.endswith("\r") for line in lines)  # it drops a \r that is last
    parts = (line[i : i + LONGEST] for line in whole for i in range(0, len(line), LONGEST))
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=parts,
            model_writer=model,
            model_type="bpe",
            vocab_size=size + 1,
            hard_vocab_limit=False,
            character_coverage=1.0,
            max_sentence_length=8 * LONGEST,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ConfigError(
            f"config.task.vocabulary_size: sentencepiece finds no {size} sub-words in this text"
            f" ({str(error).splitlines()[0]}); choose config.task.level=character"
        ) from error
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def _encode_characters(known: np.ndarray, text: str) -> np.ndarray:
    points = _code_points(text)
    places = np.minimum(np.searchsorted(known, points), len(known) - 1)
    return np.where(known[places] == points, places, len(known))


def _encode_ngrams(ids: Mapping[str, int], longest: int, text: str) -> np.ndarray:
    symbols, place = [], 0
    while place < len(text):
        for length in range(longest, 0, -1):
            symbol = ids.get(text[place : place + length])
            if symbol is not None:
                break
        symbols.append(len(ids) if symbol is None else symbol)
        place += length
    return np.array(symbols, np.int32)


def _encode_words(ids: Mapping[str, int], tokenized: bool, text: str) -> np.ndarray:
    return np.array([ids.get(word, len(ids)) for word in split_words(text, tokenized)], np.int32)


def _encode_subwords(processor: Any, unknown: int, line_end: int, text: str) -> np.ndarray:
    """Sentencepiece counts from 1, its unknown symbol is 0; line ends are no part of a piece."""
    lines = [np.array(line, np.int32) for line in processor.encode(text.split("\n"))]
    numbers = np.concatenate(lines)
    symbols = np.where(numbers == 0, unknown, numbers - 1)
    ends = np.cumsum([len(line) for line in lines[:-1]], dtype=int)
    return np.insert(symbols, ends, line_end)


def most_frequent(counts: Counter[str], number: int) -> list[str]:
    """The tokens of the largest counts, ties in alphabetical order."""
    return sorted(counts, key=lambda token: (-counts[token], token))[:number]


def _numbered(symbols: Sequence[str]) -> dict[str, int]:
    return {symbol: number for number, symbol in enumerate(symbols)}


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
