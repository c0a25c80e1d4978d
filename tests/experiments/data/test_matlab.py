"""MATLAB's files: what SciPy reads of them, and no harm from damaged ones."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from experiments.data.matlab import read_cells

TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


def cell(*values):
    cells = np.empty((1, len(values)), object)
    cells[0] = [*values, None][:-1]
    return cells


def saved(compress=False, **variables):
    file = io.BytesIO()
    scipy.io.savemat(file, variables, do_compression=compress)
    return file.getvalue()


def random_cells(seed=0):
    """Matrices of every type and of many sizes, small and empty ones among them."""
    random = np.random.default_rng(seed)
    return [
        (200 * random.random(tuple(random.integers(0, 4, 2)) if n % 2 else (9, n))).astype(kind)
        for n, kind in enumerate(TYPES * 2)
    ]


@pytest.mark.parametrize("compress", [False, True])
def test_matrices_of_every_type_are_read(compress):
    values = random_cells()
    content = saved(compress, x=np.eye(3), pieces=cell(*values), s="text", no=cell()[:, :0])
    found = read_cells(content)
    assert list(found) == ["pieces", "no"]
    assert found["no"] == []
    for value, expected in zip(found["pieces"], values, strict=True):
        np.testing.assert_array_equal(value, expected, strict=True)


def element(order, kind, data):
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(order, flags, sizes, name, *parts):
    head = element(order, 6, struct.pack(f"{order}II", flags, 0))
    head += element(order, 5, struct.pack(f"{order}{len(sizes)}i", *sizes))
    return element(order, 14, head + element(order, 1, name) + b"".join(parts))


def handmade(order="<", flags=6, sizes=(2, 3), kind=3, numbers=range(6), cells=1, count=None):
    """A file of one cell, byte by byte."""
    packed = struct.pack(f"{order}{len(numbers)}h", *numbers)
    pieces = [matrix(order, flags, sizes, b"", element(order, kind, packed))] * cells
    variable = matrix(order, 1, (1, cells if count is None else count), b"c", *pieces)
    return b"x" * 124 + {"<": b"\0\1IM", ">": b"\1\0MI"}[order] + variable


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order):
    (found,) = read_cells(handmade(order))["c"]
    assert found.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert found.dtype == np.int16  # this machine's own, whatever the file's


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(x=cell("text")), "something else than real numbers"),
        (saved(x=cell(np.ones(2) * 1j)), "something else than real numbers"),
        (saved(x=cell(scipy.sparse.eye_array(3).tocsc())), "something else than real numbers"),
        (saved(x=cell(cell(np.eye(2)))), "something else than real numbers"),
        (saved(x=cell({"field": 1.0})), "something else than real numbers"),
        (handmade(flags=3), "something else than real numbers"),
        (handmade(flags=17), "something else than real numbers"),
        (handmade(flags=6 | 0x800), "something else than real numbers"),
        (handmade(kind=77), "no numbers of the type 77"),
        (handmade(kind=14), "no numbers of the type 14"),
        (handmade(sizes=(2, 2)), r"sizes \(2, 2\) has 6 entries"),
        (handmade(sizes=(-2, -3)), r"sizes \(-2, -3\) has 6 entries"),
        (handmade(sizes=()), r"sizes \(\) has 6 entries"),
        (handmade(cells=2, count=2**31 - 1), r"sizes \(1, 2147483647\) has 2 entries"),
        (handmade()[:-9], "cut short or damaged"),
        (handmade()[:-3], "damaged"),
        (handmade()[:128] + struct.pack("<HH", 14, 5) + bytes(12), "cut short or damaged"),
        (handmade()[:132], "damaged"),
        (handmade().replace(b"\0\1IM", b"\0\2IM"), "its header is another"),
        (b"do re mi" * 99, "its header is another"),
        (b"", "its header is another"),
        (saved(compress=True, x=np.eye(9))[:-6], "cut short"),
        (handmade()[:128] + element("<", 15, zlib.compress(b"")), "unpack"),
        (handmade()[:128] + element("<", 14, b""), "empty or no matrix"),
    ],
)
def test_what_holds_no_numbers_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_cells(content)


def test_what_unpacks_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("experiments.data.matlab.LARGEST", 1_000_000)
    with pytest.raises(ValueError, match="more than 1000000 bytes"):
        read_cells(saved(compress=True, x=cell(np.zeros(1_000_001, np.uint8))))
    assert len(read_cells(saved(compress=True, x=cell(np.zeros(900_000, np.uint8))))["x"]) == 1


@pytest.mark.parametrize("compress", [False, True])
def test_damaged_files_are_read_or_refused(compress):
    """Some bytes changed, or the end gone: SciPy's reader ends the process on many of these."""
    random = np.random.default_rng(4)
    original = saved(compress, pieces=cell(*random_cells()[:6]))
    read = refused = 0
    for _ in range(1500):
        damaged = bytearray(original)
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(damaged))] = random.choice([0, 1, 14, 127, 255])
        try:
            read_cells(bytes(damaged[: random.integers(len(damaged) // 2, 3 * len(damaged))]))
            read += 1
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
    assert min(read, refused) > 15


def test_a_real_file_is_read_as_by_scipy():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    path = Path(os.environ["LSTM_JAX_DATA"]) / "music" / "JSB_Chorales.mat"
    found, expected = read_cells(path.read_bytes()), scipy.io.loadmat(path)
    for name, count in [("traindata", 229), ("validdata", 76), ("testdata", 77)]:
        assert len(found[name]) == count
        for piece, other in zip(found[name], expected[name].ravel(), strict=True):
            np.testing.assert_array_equal(piece, other, strict=True)
