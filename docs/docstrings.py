"""Our docstrings, which read like Markdown, as the reStructuredText that Sphinx reads.

Backticks become literals or links, indented blocks keep their lines, and Google's sections
become fields, lists and code.
"""

from __future__ import annotations

import re
import textwrap

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Example):$")
FIELD = re.compile(r"(\*{0,2}\w+(?:, \w+)*):\s")
COLUMNS = re.compile(r"\S {3,}\S")
STARS = re.compile(r"(?<!\w)\*(?=\w)[^*\n]*\w\*(?!\w)|\*")  # emphasis, or a lone one
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
LANGUAGES = {"import ": "python", "from ": "python", ">>> ": "pycon", "python -m": "sh"}


def convert(docstring: str) -> str:
    """A docstring as reStructuredText."""
    blocks = [_section(block) or _prose(block) for block in _blocks(docstring.splitlines())]
    return "\n\n".join(blocks) + "\n"


def _blocks(lines: list[str]) -> list[list[str]]:
    """Sections, paragraphs and indented blocks (with the empty lines inside them)."""
    blocks: list[list[str]] = []
    for i, line in enumerate(lines):
        indented = line.startswith("  ")
        after_blank = i == 0 or not lines[i - 1].strip()
        whole = blocks and (SECTION.match(blocks[-1][0]) or blocks[-1][0].startswith("    "))
        if SECTION.match(line) or (after_blank and line and not (indented and whole)):
            blocks.append([line])
        elif line or whole:
            blocks[-1].append(line)
    return blocks


def _section(block: list[str]) -> str | None:
    """One of Google's sections; None if the block is none."""
    match = SECTION.match(block[0])
    if not match:
        return None
    body = textwrap.dedent("\n".join(block[1:])).strip("\n")
    entries = re.split(r"\n(?=\S)", body)
    match match[1]:
        case "Args":
            return _fields(entries, ":param {}: ")
        case "Raises":
            return _fields(entries, ":raises {}: ")
        case "Returns":
            return ":returns: " + textwrap.indent(inline(body), "  ").lstrip()
        case "Attributes":
            return ".. rubric:: Attributes\n\n" + _fields(entries)
        case _:
            return ".. rubric:: Example\n\n" + code(body, "python")


def _fields(entries: list[str], head: str = "* ``{}``: ") -> str:
    """What has a name, each with a head of its own."""
    lines = []
    for entry in entries:
        name = FIELD.match(entry)
        if name is None:
            raise ValueError(f"an entry of a docstring has no name: {entry!r}")
        shown = name[1].replace(", ", ",\u00a0")
        shown = shown if head.startswith("*") else shown.replace("*", r"\*")
        lines.append(head.format(shown) + inline(entry[name.end() :]))
    return "\n".join(lines)


def _prose(block: list[str]) -> str:
    """A paragraph, a list of fields, or a block whose lines stay as they are."""
    text = textwrap.dedent("\n".join(block)).strip("\n")
    if block[0].startswith("    ") or text.startswith("python -m"):
        return code(text)
    if any(COLUMNS.search(line) for line in block):
        return code(text)
    entries = re.split(r"\n(?=\S)", text)
    fields = all(FIELD.match(entry) for entry in entries)
    if fields and (len(entries) > 1 or "\n" in text or "_" in text.split(":")[0]):
        return _fields(entries)
    return inline(text)


def code(text: str, language: str = "text") -> str:
    """A block of code, by its first word in one of LANGUAGES."""
    for start, known in LANGUAGES.items():
        language = known if text.startswith(start) else language
    return f".. code-block:: {language}\n\n{textwrap.indent(text, '   ')}"


def inline(text: str) -> str:
    """Prose with backticks, its other special characters escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        raise ValueError(f"a backtick of a docstring is not closed: {text!r}")
    marked = [_literal(part) if i % 2 else _escape(part) for i, part in enumerate(parts)]
    return re.sub(r"\x00(?=\w)", r"\\ ", "".join(marked)).replace("\x00", "")


def _literal(text: str) -> str:
    """A link where it names something of the library, otherwise a literal."""
    text = " ".join(text.split())
    if re.fullmatch(r"(lj|lstm_jax)(\.\w+)+", text):
        return f":py:obj:`{text} <{re.sub('^lj', 'lstm_jax', text)}>`\x00"
    if re.fullmatch(r"Cell|[A-Z]\w*(Options|Params|State)", text):
        return f":py:obj:`.{text}`\x00"
    return f"``{text}``\x00"


def _escape(text: str) -> str:
    text = re.sub(r"\A(?=\w\.(\s|\Z))|(?=\|)", r"\\", text)  # "H." is no list, |c| no name
    text = re.sub(r"(?<!\S)--\w[\w.]*(=\S+\w)?", r"``\g<0>``", text)
    text = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", text)
    text = STARS.sub(lambda star: star[0] if len(star[0]) > 1 else r"\*", text)
    return ARXIV.sub(r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text)


def linked(markdown: str) -> str:
    """Markdown in which the numbers of arXiv are links."""
    return ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", markdown)
