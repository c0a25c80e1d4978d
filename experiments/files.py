"""Files that users bring: read whole, checked, with one clear error for what they may hold."""

from __future__ import annotations

import hashlib
from pathlib import Path

from experiments.config import ConfigError


def sha256(content: bytes) -> str:
    """The hexadecimal digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def read_text(path: Path, field: str) -> str:
    """A UTF-8 file's characters, line ends as they are.

    Raises:
        ConfigError: naming the config's `field` if the file is absent or holds something else.
    """
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"{field}: {path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{field}: {path} is no UTF-8 text (byte {error.start}); convert it to UTF-8"
        ) from error
