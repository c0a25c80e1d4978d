"""The command that exports a run."""

import json

import jax
import numpy as np
import pytest

from experiments import command_line, export
from experiments.config import ConfigError
from experiments.sample import best_member
from experiments.serving import stablehlo
from experiments.training.loop import fit, load_best
from lstm_jax.interop import files
from tests.experiments.tasks.test_tasks import tiny

pytest.importorskip("safetensors", reason="safetensors is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A character model of two seeds, trained for some steps."""
    directory = tmp_path_factory.mktemp("run")
    config = tiny("char_lm", directory, seeds=2)
    task = command_line.build_task(config)
    fit(task, config, directory)
    params = best_member(task, load_best(task, config, directory))
    return config, directory, task.serve(params), params


def problem(served):
    symbols = np.random.default_rng(0).integers(0, served.inputs.symbols, (5, 2)).astype(np.int32)
    return symbols, np.array([5, 3], np.int32), served.fresh(2)


def test_stablehlo_is_the_best_member(run, capsys):
    config, directory, served, _ = run
    written = export.export(config, directory, "stablehlo")
    found = stablehlo.read(written / "whole.stablehlo")(*problem(served))[1]
    np.testing.assert_allclose(found, served.whole(*problem(served))[1], atol=1e-6)
    said = json.loads((written / "model.json").read_text())
    assert said["state"] == served.fresh(1).shape[1] and said["streams"]
    assert said["inputs"]["names"] == list(served.inputs.names) == said["outputs"]["names"]
    assert "step.stablehlo" in capsys.readouterr().out


def test_quantized_metrics_stand_beside_the_exact_ones(run, capsys):
    config, directory, served, _ = run
    written = export.export(config, directory, "stablehlo", "dynamic")
    said = capsys.readouterr().out
    assert said.count("float32, seed") == said.count("int8, dynamic, seed") == 2
    bits = [line.split("│")[2] for line in said.splitlines() if "seed" in line]
    assert len(set(bits)) > 1 and np.ptp([float(b) for b in bits[::2]]) < 0.1
    found = stablehlo.read(written / "whole.stablehlo")(*problem(served))[1]
    assert 1e-6 < np.abs(found - served.whole(*problem(served))[1]).max() < 0.2


def test_safetensors_hold_all_parameters_and_the_network(run):
    config, directory, served, params = run
    written = export.export(config, directory, "safetensors")
    tensors, metadata = files.read(written / "variables.safetensors")
    again = files.take(written, tensors, params)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, params))
    assert json.loads(metadata["config"])["task"]["name"] == "char_lm"
    network, own = files.load(written / "network.safetensors")
    assert network == served.network
    assert jax.tree.all(jax.tree.map(np.array_equal, own, served.params))


def test_onnx(run):
    pytest.importorskip("onnx", reason="onnx is not installed")
    config, directory, _, _ = run
    assert (export.export(config, directory, "onnx", "weights") / "model.onnx").stat().st_size


@pytest.mark.parametrize(
    ("kind", "mode", "message"),
    [
        ("onnx", "dynamic", "onnx takes --quantize=weights, and onnxruntime.quantization can go"),
        ("safetensors", "dynamic", "safetensors takes --quantize=weights"),
    ],
)
def test_what_cannot_be_is_refused(run, kind, mode, message):
    config, directory, *_ = run
    with pytest.raises(ConfigError, match=message):
        export.export(config, directory, kind, mode)


def test_models_that_are_more_than_a_network_keep_their_parameters(tmp_path):
    config = tiny("translation", tmp_path)
    task = command_line.build_task(config)
    with pytest.raises(ConfigError, match="holds no checkpoint; train there first"):
        export.export(config, tmp_path, "stablehlo")
    fit(task, config, tmp_path)
    with pytest.raises(ConfigError, match="'translation' has more than inputs, a recurrent netw"):
        export.export(config, tmp_path, "onnx")
    written = export.export(config, tmp_path, "safetensors") / "variables.safetensors"
    like = jax.eval_shape(task.init, jax.random.key(0))
    assert files.take(written, files.read(written).tensors, like)
    with pytest.raises(ConfigError, match="more than one network; leave --quantize out"):
        export.export(config, tmp_path, "safetensors", "weights")
