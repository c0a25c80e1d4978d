"""A part of the page: a picture and the text that explains it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Section(NamedTuple):
    """A picture of the page.

    Attributes:
        name: of its file, without the suffix.
        title: its heading.
        text: what it shows, and how to read it.
        figure: the picture.
        found: what it comes to here, a sentence each.
    """

    name: str
    title: str
    text: str
    figure: Figure
    found: list[str]


def file_name(*parts: str) -> str:
    """What a picture is called, of words in which anything may stand."""
    return re.sub(r"\W+", "_", "_".join(parts)).strip("_")
