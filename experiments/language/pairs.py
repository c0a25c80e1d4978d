"""Tasks that read one text and write another: their model, their examples, what they show."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from experiments.config import ConfigError, make_network
from experiments.data.buckets import Draw
from experiments.data.files import sha256
from experiments.language.corpora import Pair, Splits
from experiments.language.decoder import Text, TextEncoder
from experiments.language.samples import warn_of_unknown, write_samples
from experiments.language.vocabulary import Vocabulary
from experiments.language.writer import Examples, Writer, Written, text_inputs

SHOWN, DRAWN = 8, 4  # pairs in a sample, and maps of attention
COLUMNS, LINES = 100, 3  # of a text in a sample
TEXT_AXES = Text._make((1, 0))


def pair_writer(
    config: ConfigDict,
    pairs: Splits,
    source: Vocabulary,
    target: Vocabulary,
    pointer: bool = False,
) -> Writer:
    """A writer with a recurrent encoder, bidirectional if `config.task.bidirectional` is on.

    Args:
        config: its `task` has the fields `WRITER_FIELDS` too.
        pairs: of each split.
        source: the symbols that are read.
        target: the symbols that are written.
        pointer: see `Decoder`; both vocabularies must then be one.
    """
    used = config.task
    network = make_network(config, used.bidirectional)
    encoder = TextEncoder(network, source.size, used.embedding, config.model.dropout)
    splits = {name: examples(split, source, target) for name, split in pairs.items()}
    return Writer(config, encoder, target, splits, TEXT_AXES, pointer)


def short(pairs: list[Pair], longest: int, **sides: Vocabulary) -> list[Pair]:
    """The pairs whose `sides`, source or target, take at most `longest` symbols with the end mark.

    Raises:
        ConfigError: if there are none.
    """
    kept = [
        pair
        for pair in pairs
        if all(len(known.encode(getattr(pair, side))) < longest for side, known in sides.items())
    ]
    if not kept:
        raise ConfigError(f"config.task.longest is {longest}, but every training text is longer")
    return kept


def examples(pairs: Sequence[Pair], source: Vocabulary, target: Vocabulary) -> Examples:
    """A split's pairs as symbols."""
    read = [source.encode(pair.source) for pair in pairs]
    written = [target.encode(pair.target) for pair in pairs]
    return Examples(text_inputs(read, source.end), np.array([len(r) for r in read]), written)


def facts(pairs: Splits) -> dict[str, Any]:
    """What the results say about the data."""
    text = "\n".join("\t".join(pair) for split in pairs.values() for pair in split)
    counts = {f"{name}_pairs": len(split) for name, split in pairs.items()}
    return {"sha256": sha256(text.encode()), **counts}


def sample(
    writer: Writer,
    source: Vocabulary,
    test: Sequence[Pair],
    written: str,
    params: Any,
    key: Any,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """What `Task.sample` is for pairs: `show` of the test split, or of a text of the user's."""
    if prompt is not None:
        warn_of_unknown(prompt, source)
        test = [Pair(prompt, "")]
    show(writer, source, test, params, directory, written)


def show(
    writer: Writer,
    source: Vocabulary,
    pairs: Sequence[Pair],
    params: Any,
    directory: Path,
    written: str,
) -> None:
    """Writes a text about each of the first few pairs: samples.txt and attention.png.

    Args:
        writer: the model.
        source: the symbols that are read.
        pairs: those whose target is empty have no reference.
        params: the parameters.
        directory: where the files go.
        written: what the text is called, "translation" or "summary".

    Raises:
        ConfigError: if there is nothing to read in a source.
    """
    pairs = pairs[:SHOWN]
    if not all(pair.source.strip() for pair in pairs):
        raise ConfigError("--prompt has no word in it; give a sentence")
    read = [source.encode(pair.source) for pair in pairs]
    draw = Draw(np.arange(len(read)), (max(map(len, read)),))
    found = writer.describe(params, text_inputs(read, source.end)(draw))
    blocks = [
        _block({"source": pair.source, written: text.text, "reference": pair.target})
        for pair, text in zip(pairs, found, strict=True)
    ]
    write_samples(directory, blocks)
    if writer.config.task.attention != "none":
        show_attention(writer, source, read, found, directory / "attention.png")


def _block(texts: dict[str, str]) -> str:
    """Texts below each other, each of a few lines, those that are empty left out."""
    indent = max(map(len, texts)) + 2
    return "".join(
        textwrap.fill(
            text,
            COLUMNS,
            initial_indent=f"{name}:".ljust(indent),
            subsequent_indent=" " * indent,
            max_lines=LINES,
            placeholder=" ...",
        )
        + "\n"
        for name, text in texts.items()
        if text
    )


def show_attention(
    writer: Writer, source: Vocabulary, read: list[np.ndarray], written: list[Written], path: Path
) -> None:
    """Draws where attention looked in the first few texts."""
    from experiments.language.alignment import Alignment, plot_alignments  # slow to import

    maps = [
        Alignment(source.tokens(r), writer.vocabulary.tokens(w.symbols), w.weights[:, : len(r)])
        for r, w in zip(read, written, strict=True)
        if len(w.symbols)
    ]
    if maps:
        plot_alignments(path, maps[:DRAWN])
        print(path)
