"""Files that users bring: what they hold, or one clear error."""

import pytest

from experiments import files
from experiments.config import ConfigError


def test_reading_text_names_the_field(tmp_path):
    (tmp_path / "mixed.txt").write_bytes("a\r\nß".encode())
    assert files.read_text(tmp_path / "mixed.txt", "config.task.path") == "a\r\nß"
    (tmp_path / "latin").write_bytes(b"abc\xff")
    with pytest.raises(ConfigError, match=r"config.task.path: .*latin is no UTF-8 text \(byte 3\)"):
        files.read_text(tmp_path / "latin", "config.task.path")
    with pytest.raises(ConfigError, match="config.task.path: .*absent cannot be read"):
        files.read_text(tmp_path / "absent", "config.task.path")
