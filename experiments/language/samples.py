"""What a task gives to read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.language.vocabulary import Vocabulary, split_words


def write_samples(directory: Path, texts: Sequence[str], name: str = "samples.txt") -> None:
    """Prints texts, a line between them, and writes them to a file.

    Args:
        directory: where the file goes.
        texts: each ends with a line's end.
        name: of the file.
    """
    text = "\n".join(texts)
    (directory / name).write_text(text, encoding="utf-8")
    print(text)


def warn_of_unknown(prompt: str, known: Vocabulary) -> None:
    """Says on stderr how many symbols of a prompt a model does not know, and which."""
    symbols = known.encode(prompt)
    if count := np.sum(symbols == known.unknown):
        pieces = split_words(prompt, known.tokenized) if known.level == "word" else prompt
        unknown = [repr(p) for p in dict.fromkeys(pieces) if known.unknown in known.encode(p)]
        share = f"{count} of {len(symbols)} symbols of the prompt"
        which = ", ".join(unknown)[:200]
        print(f"warning: {share} are unknown to this model: {which}", file=sys.stderr)
