"""Parameters in safetensors files: exact, complete, and never code."""

import json
import pickle
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.interop import files
from lstm_jax.interop.quantization import quantize
from lstm_jax.trees import to_dict
from tests.cases import CASES, assert_close, random_params

safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")


def deep():
    both = lj.bidirectional(lj.lstm(3), lj.zoneout(lj.gru(2), 0.1))
    return lj.stack(both, lj.lstmp(4), dropout=0.2)


def leaky():
    def equations(params, state, x, affine):
        return lj.RNNState(0.5 * state.h + affine(x, state.h, params.recurrent_kernel)), {}

    return lj.Cell("leaky", 3, lj.rnn(3).init, lj.rnn(3).initial_state, equations)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_cell_is_what_it_was(case, tmp_path):
    cell = case.cell()
    params = random_params(cell, 1)
    files.save(tmp_path / "cell.safetensors", cell, params)
    loaded, again = files.load(tmp_path / "cell.safetensors")
    assert loaded == cell
    assert_close(again, params, 0)


def test_deep_networks_and_dtypes(tmp_path):
    params = random_params(deep(), 2)
    params = (params[0], jax.tree.map(lambda v: jnp.asarray(v, jnp.bfloat16), params[1]))
    files.save(tmp_path / "deep.safetensors", deep(), params)
    network, again = files.load(tmp_path / "deep.safetensors")
    assert network == deep()
    assert_close(again, params, 0)
    assert again[1].kernel.dtype == jnp.bfloat16
    assert "layers_0.forward.recurrent_kernel" in files.read(tmp_path / "deep.safetensors").tensors


@pytest.mark.parametrize("mode", ["weights", "dynamic"])
def test_quantized_kernels_stay_quantized(tmp_path, mode):
    params = quantize(deep(), random_params(deep(), 3), mode)
    files.save(tmp_path / "int8.safetensors", deep(), params)
    network, again = files.load(tmp_path / "int8.safetensors")
    xs = np.random.default_rng(4).standard_normal((5, 2, 4))
    np.testing.assert_array_equal(
        lj.unroll(network, again, xs)[1], lj.unroll(deep(), params, xs)[1]
    )
    assert again[1].kernel.values.dtype == jnp.int8


def test_a_cell_of_ones_own_is_given_again(tmp_path):
    params = random_params(leaky(), 5)
    files.save(tmp_path / "own.safetensors", leaky(), params)
    with pytest.raises(ValueError, match="does not say what its model is; give load the network"):
        files.load(tmp_path / "own.safetensors")
    assert_close(files.load(tmp_path / "own.safetensors", leaky())[1], params, 0)


def test_every_tensor_that_does_not_fit_is_named(tmp_path):
    path = tmp_path / "bad.safetensors"
    fields = to_dict(lj.lstm(5), random_params(lj.lstm(5), 6))
    fields["bias"] = fields["bias"][:-1]
    fields["peephole"] = np.ones((3, 5))
    del fields["recurrent_kernel"]
    files.write(path, fields)
    with pytest.raises(ValueError) as error:
        files.load(path, lj.lstm(5))
    text = str(error.value)
    assert "missing: recurrent_kernel [5, 20]" in text
    assert "of no use: peephole" in text
    assert "of another shape: bias [19] where [20] is wanted" in text
    assert "kernel [4, 20]" not in text.replace("recurrent_kernel", "")


def test_damaged_files_and_others(tmp_path):
    path = tmp_path / "cell.safetensors"
    files.save(path, lj.lstm(3), random_params(lj.lstm(3), 7))
    whole = path.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    bad_header = whole[:8] + b"?" * size + whole[8 + size :]
    for content in (b"", b"no tensors", whole[:-5], whole[:20], bad_header, pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no safetensors file, or damaged"):
            files.load(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        files.load(tmp_path / "absent.safetensors")


def test_a_description_that_lies_is_refused(tmp_path):
    path = tmp_path / "cell.safetensors"
    description = json.dumps({"kind": "eval", "arguments": ["1"], "options": {}})
    files.write(path, to_dict(lj.rnn(3), random_params(lj.rnn(3), 8)), {"network": description})
    with pytest.raises(ValueError, match="kind is 'eval'"):
        files.load(path)


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path, monkeypatch):
    path = tmp_path / "cell.safetensors"
    files.save(path, lj.lstm(3), random_params(lj.lstm(3), 9))
    before = path.read_bytes()

    def full(tensors, name, metadata):
        name.write_bytes(b"half")
        raise OSError("no space is left")

    monkeypatch.setattr("safetensors.flax.save_file", full)
    with pytest.raises(OSError, match="no space"):
        files.save(path, lj.gru(3), random_params(lj.gru(3), 9))
    assert path.read_bytes() == before
