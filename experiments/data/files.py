"""Files that users bring: read whole, checked, with one clear error for what they may hold."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import Path as ZipPath

import numpy as np
from scipy.io import wavfile

from experiments.config import ConfigError, hint

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # the byte order mark
LONGEST_LINE = 1_000_000  # characters; a longer line is no row of a series


def sha256(content: bytes) -> str:
    """The hexadecimal digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def refusal(path: Path | ZipPath, field: str, what: str) -> ConfigError:
    """The error that names the config's field, the file and what is wrong with it."""
    return ConfigError(f"{field}: {path} {what}")


def read_bytes(path: Path | ZipPath, field: str) -> bytes:
    """A file's content, at least one byte.

    Raises:
        ConfigError: naming the config's `field` if the file cannot be read or is empty.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "there is no such file"
        what = f"cannot be read ({reason}); give the path of a file that is there"
        raise refusal(path, field, what) from error
    if not content:
        raise refusal(path, field, "is empty; give the path of a file that holds something")
    return content


def read_text(path: Path | ZipPath, field: str) -> str:
    """A UTF-8 file's characters, line ends as they are, without a byte order mark at the start.

    Raises:
        ConfigError: naming the config's `field` if the file is absent or holds something else.
    """
    content = read_bytes(path, field)
    if (byte := content.find(b"\0")) >= 0:
        what = f"is no text (byte {byte} is zero, {_place(content, byte)}); give a UTF-8 text"
        raise refusal(path, field, what)
    try:
        return content.decode().removeprefix(BOM)
    except UnicodeDecodeError as error:
        where = f"byte {error.start}, {_place(content, error.start)}"
        raise refusal(path, field, f"is no UTF-8 text ({where}); convert it to UTF-8") from error


def _place(content: bytes, byte: int) -> str:
    """The line and the column, from 1, of a byte of a text."""
    lines = content[:byte].decode("utf-8-sig", "replace").split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}"


def read_csv(
    path: Path | ZipPath, field: str, columns: Sequence[str] = (), rows: int = 2
) -> tuple[tuple[str, ...], np.ndarray]:
    """Series of numbers from a comma-separated file whose first line names its columns.

    Args:
        path: the file, UTF-8.
        field: the config's field that names it.
        columns: the names of the columns to read; none: all of them, but for a first one that
            holds dates.
        rows: the fewest rows that will do.

    Returns:
        The names of the columns, and their numbers [rows, columns], float64.

    Raises:
        ConfigError: naming the line and the column of what is no finite number, or what else is
            wrong with the file.
    """
    records = _records(path, field)
    _, header = next(records, (0, []))
    first = list(itertools.islice(records, 1))
    dated = any(cells and cells[0] and not _is_number(cells[0]) for _, cells in first)
    names = tuple(columns) or tuple(header[dated:])
    _check_header(path, field, header, names)
    places = [header.index(name) for name in names]
    table = []
    for line, cells in itertools.chain(first, records):
        try:
            table.append(_row(cells, header, places))
        except ValueError as error:
            raise refusal(path, field, f"line {line} {error}") from error
    if len(table) < rows:
        raise refusal(path, field, f"has {len(table)} rows of numbers, give at least {rows}")
    return names, np.stack(table)


def read_wav(path: Path | ZipPath, field: str) -> tuple[int, np.ndarray]:
    """A recording, PCM or floating point; the mean of its channels if there are several.

    Returns:
        Its samples a second and its waveform [samples], float32 in [-1, 1].

    Raises:
        ConfigError: naming the config's `field` if the file is cut short or holds something else.
    """
    content = io.BytesIO(read_bytes(path, field))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            for cut in ("Reached EOF", "Incomplete chunk"):
                warnings.filterwarnings("error", cut)
            rate, samples = wavfile.read(content)
    except Exception as error:  # whatever a damaged file makes SciPy raise
        raise refusal(path, field, f"is no whole PCM or float WAV file ({error})") from error
    if not rate or not samples.size:
        raise refusal(path, field, f"has {samples.size} samples at {rate} Hz, give at least one")
    waveform = _waveform(samples)
    if not (np.abs(waveform) <= 1).all():
        raise refusal(path, field, "holds NaN or samples beyond [-1, 1]; scale them")
    return rate, waveform if waveform.ndim == 1 else waveform.mean(axis=1)


def _waveform(samples: np.ndarray) -> np.ndarray:
    """Samples of any type as float32, those of full scale as -1 and 1."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    full = 2.0 ** (8 * samples.dtype.itemsize - 1)
    middle = full if samples.dtype.kind == "u" else 0.0
    return ((samples - middle) / full).astype(np.float32)


def _records(path: Path | ZipPath, field: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of every line that is not blank, with the line's number from 1."""
    lines = io.StringIO(read_text(path, field), newline="")
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            what = f"line {number} has {len(line)} characters, at most {LONGEST_LINE} will do"
            raise refusal(path, field, what)
    lines.seek(0)
    reader = csv.reader(lines, strict=True)
    try:
        yield from ((reader.line_num, cells) for cells in reader if cells)
    except csv.Error as error:
        raise refusal(path, field, f"line {reader.line_num} is no CSV ({error})") from error


def _check_header(
    path: Path | ZipPath, field: str, header: Sequence[str], names: Sequence[str]
) -> None:
    """Raises `ConfigError` unless the header is one and has all the names, each once."""
    if all(map(_is_number, header[1:] or header)):
        raise refusal(path, field, "must have the names of its columns on its first line")
    for name in names:
        if name not in header:
            has = f"it has {', '.join(header)[:200]}{hint(name, header)}"
            raise refusal(path, field, f"has no column {name!r}; {has}")
        if header.count(name) > 1:
            raise refusal(path, field, f"has several columns {name!r}; rename them")
    if not names:
        raise refusal(path, field, "has no column of numbers; separate its columns by commas")


def _row(cells: Sequence[str], header: Sequence[str], places: Sequence[int]) -> np.ndarray:
    """The finite numbers at some places of a line."""
    if len(cells) != len(header):
        raise ValueError(f"has {len(cells)} cells, but the first line names {len(header)} columns")
    for place in places:
        if not _is_number(cells[place]) or not math.isfinite(float(cells[place])):
            what = f"{cells[place][:40]!r} in the column {header[place]!r}"
            raise ValueError(f"has {what}, where a finite number must be")
    return np.array([float(cells[place]) for place in places])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
