"""The README's Python examples run, one after the other, as a reader would type them."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
CORE, OWN_CELL, FLAX, WEIGHTS = range(4)


def run(*numbers):
    """The names after some blocks."""
    names: dict = {"__name__": "readme"}
    for number in numbers:
        exec(compile(BLOCKS[number], "README.md", "exec"), names)
    return names


def test_python_examples_run_and_give_what_their_comments_say():
    names = run(CORE, OWN_CELL, FLAX)
    assert len(BLOCKS) == 4
    assert names["forget_gates"].shape == (100, 8, 128)
    assert names["ys"].shape == (8, 100, 128)
    gradient = np.asarray(names["grads"].network.layers_0.recurrent_kernel[...])
    assert np.isfinite(gradient).all()
    assert gradient.std() > 0


def test_weights_come_from_pytorch_and_go_to_files(tmp_path, monkeypatch):
    for library in ("torch", "safetensors", "onnx"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    names = run(CORE, WEIGHTS)
    assert names["ys"].shape == (100, 8, 128) and names["y"].shape == (1, 64)
    assert {node.op_type for node in names["model"].graph.node} >= {"LSTM"}
    assert names["small"][0][0].kernel.values.dtype == np.int8
