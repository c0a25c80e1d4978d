"""The page of the equations: what each cell's docstring says, in LaTeX, and its real parameters."""

from __future__ import annotations

import inspect
import re
import unicodedata
from typing import Any

import jax

from docs.docstrings import linked
from lstm_jax import CELLS

SYMBOLS = {
    "σ": r"\sigma", "φ": r"\varphi", "⊙": r" \odot ", "∗": " * ", "·": r" \cdot ", "−": "-",
    "ε": r"\varepsilon",
}  # fmt: skip
SIZES = {"D": 5, "H": 7, "P": 11}  # primes, so that a product of two tells which
SHAPES = {
    n * size: f"{n if n > 1 else ''}{name}" for name, size in SIZES.items() for n in range(1, 5)
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "lstmp": dict(projection_size=SIZES["P"]),
    "conv_lstm": dict(image_size=(13, 17), kernel_size=19),
}
LETTERS = {19: "k"} | SHAPES | {1: "1", 2: "2", 3: "3"}


def cells(_: str | None) -> str:
    """A section for every cell of the registry, as Markdown."""
    return "\n\n".join(section(name) for name in CELLS)


def section(name: str) -> str:
    """A cell: what it is, its equations, its blocks and parameters, its source."""
    doc = inspect.getdoc(CELLS[name]) or ""
    summary, equations, note = parts(doc)
    return "\n\n".join([
        f"## {name}", summary, f"$$\n{aligned(equations)}\n$$", *([note] if note else []),
        f"Gate blocks: {blocks(doc)}. Parameters: {parameters(name)}.",
        f"Source: {source(name, doc)}",
        f"Options and an example: {{py:func}}`lj.{name} <lstm_jax.{name}>`.",
    ])  # fmt: skip


def parts(doc: str) -> tuple[str, list[str], str]:
    """The first line, the indented equations, and what stands between these and `Args`."""
    summary, rest = doc.split("\n\n", 1)
    block = re.match(r"(?:    .*\n)+", rest)
    if block is None:
        raise ValueError(f"no indented equations follow the line {summary!r}")
    note = rest[block.end() : rest.index("\nArgs:")].strip()
    return summary, [line.strip() for line in block[0].splitlines()], note


def aligned(equations: list[str]) -> str:
    """Equations, one or more a line, below each other with their equals signs aligned."""
    single = [part for line in equations for part in re.split(r"[;,]\s+(?=\S+ \+?=)", line)]
    rows = [
        latex(line).replace(" = ", " &= ", 1).replace(" += ", r" &\mathrel{+}= ", 1)
        for line in single
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def latex(text: str) -> str:
    """Our way to write an equation in a docstring, in LaTeX."""
    text = unicodedata.normalize("NFD", text).replace("i\u0303", r"\tilde{\imath}")
    text = re.sub(r"(\w)\u0303", r"\\tilde{\1}", text)
    text = re.sub(r"\[(\w) (\w) (\w)\]", r"[\1\\;\2\\;\3]", text)
    text = re.sub(r"_(\w{2,})", r"_{\1}", text)
    for symbol, command in SYMBOLS.items():
        text = text.replace(symbol, command)
    text = re.sub(r"\btanh\b", r"\\tanh", text)
    text = re.sub(r"\b(LN|projection)\b", r"\\mathrm{\1}", text)
    return re.sub(r" +", " ", text)


def blocks(doc: str) -> str:
    """The gate blocks in their order, as the docstring has them."""
    match = re.search(r"\bblocks\s+((?:\w )*\w)\b", doc)
    return " ".join(f"*{letter}*" for letter in match[1].split()) if match else "one"


def parameters(name: str) -> str:
    """Every field of the cell's parameters with its shape in letters, peepholes included."""
    fields = init(name)
    listed = [f"`{field}` {letters(name, shape)}" for field, shape in fields.items()]
    state = CELLS[name](SIZES["H"], **ARGUMENTS.get(name, {})).initial_state(1)
    if "c" in state._fields and "peephole" not in fields:
        shape = init(name, peepholes="diagonal")["peephole"]
        listed.append(f"with peepholes `peephole` {letters(name, shape)}")
    return ", ".join(listed)


def init(name: str, **options: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of the cell's parameters at the sizes of SIZES, by field."""
    cell = CELLS[name](SIZES["H"], **ARGUMENTS.get(name, {}), **options)
    params = jax.eval_shape(lambda key: cell.init(key, SIZES["D"]), jax.random.key(0))
    return {field: leaf.shape for field, leaf in params._asdict().items() if leaf is not None}


def letters(name: str, shape: tuple[int, ...]) -> str:
    """A shape as the docstrings write it; a convolution's channels are C and F."""
    text = f"[{', '.join(LETTERS[size] for size in shape)}]"
    return text.replace("D", "C").replace("H", "F") if name == "conv_lstm" else text


def source(name: str, doc: str) -> str:
    """Where the equations are from: the cell's docstring says it, or that of its file."""
    module = inspect.getdoc(inspect.getmodule(CELLS[name])) or ""
    said = (re.search(r"Source(?: of all)?:\s+(.+?)(?:\n\n|\Z)", t, re.S) for t in (doc, module))
    return linked(" ".join(next(text[1] for text in said if text).split()))
