"""The command that converts files, between all pairs of formats."""

import os

import jax
import numpy as np
import pytest

import lstm_jax as lj
from experiments.config import ConfigError
from experiments.convert import convert
from lstm_jax.interop import files
from tests.experiments.command import Command

os.environ.setdefault("KERAS_BACKEND", "jax")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
for library in ("keras", "onnx", "safetensors"):
    pytest.importorskip(library, reason=f"{library} is not installed")

NAMES = {"torch": "a.pt", "keras": "a.keras", "onnx": "a.onnx", "safetensors": "a.safetensors"}


def network(kind="lstm"):
    cell = lj.CELLS[kind](4)
    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), 3))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda v: rng.standard_normal(v.shape).astype(np.float32), shapes)
    return cell, params


def start(directory, kind="lstm"):
    files.save(directory / "start.safetensors", *network(kind))
    return directory / "start.safetensors"


@pytest.mark.parametrize("kind", ["lstm", "gru_reset_after"])
def test_a_network_goes_round_all_formats(kind, tmp_path):
    """safetensors, PyTorch, ONNX, Keras, and back: to the bit, or nearly where signs turn."""
    path = start(tmp_path, kind)
    for target in ("torch", "onnx", "keras", "safetensors"):
        said = convert(path, tmp_path / NAMES[target])
        assert said.startswith(f"{kind}, ") and "largest difference 0.0e+00" in said
        path = tmp_path / NAMES[target]
    again, params = files.load(path)
    assert again.name == kind
    jax.tree.map(np.testing.assert_array_equal, params, network(kind)[1])


def test_parts_of_a_checkpoint(tmp_path):
    encoder = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    model = torch.nn.ModuleDict({"encoder": encoder, "decoder": torch.nn.GRU(3, 4)})
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, tmp_path / "checkpoint.pth")
    said = convert(tmp_path / "checkpoint.pth", tmp_path / "e.onnx", prefix="encoder.")
    assert said.startswith("stack of bidirectional lstm, lstm, bidirectional")
    convert(tmp_path / "checkpoint.pth", tmp_path / "d.safetensors", prefix="decoder.")
    weights = model["decoder"].weight_ih_l0.detach().numpy()
    np.testing.assert_array_equal(files.load(tmp_path / "d.safetensors")[1].kernel, weights.T)
    with pytest.raises(ConfigError, match="there are some under 'decoder.', 'encoder.'"):
        convert(tmp_path / "checkpoint.pth", tmp_path / "all.onnx")
    with pytest.raises(ConfigError, match="has the recurrent nodes .*; name one by --prefix"):
        convert(tmp_path / "e.onnx", tmp_path / "e.pt")


def test_names_of_pytorch_in_a_safetensors_file(tmp_path):
    module = torch.nn.GRU(3, 4)
    tensors = {f"rnn.{name}": v.detach().numpy() for name, v in module.named_parameters()}
    files.write(tmp_path / "hub.safetensors", tensors)
    convert(tmp_path / "hub.safetensors", tmp_path / "a.pt", "torch", prefix="rnn.")
    loaded = torch.load(tmp_path / "a.pt", weights_only=True)
    np.testing.assert_array_equal(loaded["weight_hh_l0"], module.weight_hh_l0.detach())


class Dangerous:
    def __reduce__(self):
        return print, ("code from a file ran",)


def test_nothing_is_unpickled(tmp_path, capfd):
    torch.save({"weight_ih_l0": Dangerous()}, tmp_path / "evil.pt")
    with pytest.raises(ConfigError, match="holds more than tensors, and is not unpickled"):
        convert(tmp_path / "evil.pt", tmp_path / "a.onnx")
    assert "code from a file ran" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("absent.pt", "a.onnx", "there is no file .*absent.pt"),
        ("start.safetensors", "a.weights", "a.weights has a name that says no format; add --to="),
        ("start.weights", "a.pt", "start.weights has a name that says no format; add --from="),
        ("broken.onnx", "a.pt", "broken.onnx: "),
        ("broken.keras", "a.pt", "broken.keras: "),
        ("broken.pt", "a.onnx", "broken.pt"),
    ],
)
def test_files_that_cannot_be_read_or_written(source, target, message, tmp_path):
    start(tmp_path)
    if source.startswith("broken"):
        (tmp_path / source).write_bytes(b"no model")
    with pytest.raises(ConfigError, match=message):
        convert(tmp_path / source, tmp_path / target)


def test_what_the_other_library_cannot_say(tmp_path):
    with pytest.raises(ConfigError, match="PyTorch has no peephole_lstm; it can express rnn, lst"):
        convert(start(tmp_path, "peephole_lstm"), tmp_path / "a.pt")


@pytest.mark.slow
def test_the_command(tmp_path):
    start(tmp_path)
    code, said = Command("convert", "start.safetensors", "a.pt", f"--workdir={tmp_path}").end()
    assert code == 0, said
    assert (tmp_path / "a.pt").stat().st_size
    code, said = Command("convert", "start.safetensors", f"--workdir={tmp_path}").end()
    assert code == 2 and said.splitlines()[-1] == "error: name two files, IN and OUT; 1 came"
