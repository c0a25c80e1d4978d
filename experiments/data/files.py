"""Files that users bring: read whole, checked, with one clear error for what they may hold."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from zipfile import Path as ZipPath

import numpy as np
from scipy.io import wavfile

from experiments.config import ConfigError
from experiments.nearest import path_hint

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"  # the byte order mark


def sha256(content: bytes) -> str:
    """The hexadecimal digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def refusal(path: Path | ZipPath, field: str, what: str) -> ConfigError:
    """The error that names the config's field, the file, what is wrong and a file that is near."""
    near = path_hint(path) if isinstance(path, Path) else ""
    return ConfigError(f"{field}: {path} {what}{near}")


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
