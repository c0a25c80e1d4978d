"""The README's Python examples run, one after the other, as a reader would type them."""

from pathlib import Path

import numpy as np
import pytest

from tests.examples import blocks, run

README = Path(__file__).parent.parent / "README.md"
CORE, OWN_CELL, FLAX, GPU, WEIGHTS, INSIDE = blocks(README)


def test_python_examples_run_and_give_what_their_comments_say():
    names = run(CORE, OWN_CELL, FLAX, source="README.md")
    assert names["forget_gates"].shape == (100, 8, 128)
    assert names["ys"].shape == (8, 100, 128)
    gradient = np.asarray(names["grads"].network.layers_0.recurrent_kernel[...])
    assert np.isfinite(gradient).all()
    assert gradient.std() > 0


def test_a_cell_with_heads_runs_anywhere():
    names = run(CORE, GPU, source="README.md")
    assert names["params"].recurrent_kernel.shape == (12, 64, 256)
    ys = np.asarray(names["ys"], np.float32)
    assert ys.shape == (100, 8, 768) and np.isfinite(ys).all() and ys.std() > 0.01


def test_weights_come_from_pytorch_and_go_to_files(tmp_path, monkeypatch):
    for library in ("torch", "safetensors", "onnx"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    names = run(CORE, WEIGHTS, source="README.md")
    assert names["ys"].shape == (100, 8, 128) and names["y"].shape == (1, 64)
    assert {node.op_type for node in names["model"].graph.node} >= {"LSTM"}
    assert names["small"][0][0].kernel.values.dtype == np.int8


def test_what_lies_inside_is_shown():
    names = run(CORE, OWN_CELL, INSIDE, source="README.md")
    assert names["flow"].shape == (100, 8) and names["steps"].shape == (128,)
    assert np.all(np.asarray(names["flow"]) > 0) and np.all(np.asarray(names["steps"]) > 0)
    assert names["figure"].axes[0].get_lines()
