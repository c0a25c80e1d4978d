"""MATLAB's files as far as cells of matrices of numbers go, safe with whatever bytes come.

SciPy's reader does not check the types of elements: a damaged byte ends the process (1.18.1).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

NUMBERS = dict(zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), "bBhHiIfdqQ", strict=True))
MATRIX, COMPRESSED = 14, 15  # with those above, the types of elements
CELL, NUMERIC = 1, range(6, 16)  # the classes of matrices
COMPLEX = 0x800  # a flag of a matrix
LARGEST = 1 << 28  # bytes of a variable, unpacked


class Element(NamedTuple):
    """A piece of a file: the type of its content, and that."""

    kind: int
    data: memoryview


def read_cells(content: bytes) -> dict[str, list[np.ndarray]]:
    """The variables of a file of version 5 to 7.2 that are cells, by name.

    Args:
        content: the file's bytes.

    Returns:
        The matrices of numbers that each holds, in the file's order.

    Raises:
        ValueError: if the file is cut short, damaged or of another version, or if a cell holds
            anything but real numbers, such as text, objects or sparse matrices.

    Source: MathWorks, "MAT-File Format", chapter 1, "Level 5 MAT-File Format".
    """
    order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(content[124:128])
    if order is None:
        raise ValueError("its header is another")
    found = {}
    try:
        for element in _elements(memoryview(content)[128:], order):
            flags, parts = _matrix(_unpack(element, order), order)
            if flags & 0xFF == CELL:
                shape, name, *cells = parts
                _check_count(shape, len(cells), order)
                found[bytes(name.data).decode()] = [_numbers(cell, order) for cell in cells]
    except (struct.error, zlib.error) as error:
        raise ValueError(f"it is damaged: {error}") from error
    return found


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """The elements that follow one another; the content of a small one is inside its tag."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start, padding = place + 8, 0 if kind == COMPRESSED else -size % 8
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            start, padding = place + 4, 4 - size
        place = start + size + padding
        if padding < 0 or start + size > len(data):
            raise ValueError("it is cut short or damaged")
        yield Element(kind, data[start : start + size])


def _unpack(element: Element, order: str) -> Element:
    """An element as it was before it was compressed, if it was."""
    if element.kind != COMPRESSED:
        return element
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(element.data, LARGEST)
    if not unpacker.eof:
        raise ValueError(f"a variable is cut short or has more than {LARGEST} bytes")
    (unpacked,) = _elements(memoryview(data), order)
    return unpacked


def _matrix(element: Element, order: str) -> tuple[int, list[Element]]:
    """A matrix's flags, the lowest byte of which is its class, and the elements after them."""
    if element.kind != MATRIX or not element.data:
        raise ValueError("a variable or a cell is empty or no matrix")
    flags, *parts = _elements(element.data, order)
    return struct.unpack_from(f"{order}I", flags.data)[0], parts


def _numbers(element: Element, order: str) -> np.ndarray:
    """A matrix of real numbers."""
    flags, parts = _matrix(element, order)
    if flags & 0xFF not in NUMERIC or flags & COMPLEX or len(parts) != 3:
        raise ValueError("a cell holds something else than real numbers")
    shape, _, numbers = parts
    if numbers.kind not in NUMBERS:
        raise ValueError(f"there are no numbers of the type {numbers.kind}")
    code = NUMBERS[numbers.kind]
    values = np.frombuffer(numbers.data, order + code).astype(code)
    return values.reshape(_check_count(shape, len(values), order), order="F")


def _check_count(shape: Element, count: int, order: str) -> tuple[int, ...]:
    """The sizes of a matrix's axes, if its content has as many entries as they say."""
    sizes = tuple(size for (size,) in struct.iter_unpack(f"{order}i", shape.data))
    if min(sizes, default=-1) < 0 or math.prod(sizes) != count:
        raise ValueError(f"a matrix of the sizes {sizes} has {count} entries")
    return sizes
