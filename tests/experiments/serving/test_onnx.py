"""Whole models in ONNX, as ONNX Runtime computes them."""

import numpy as np
import pytest

from experiments.config import ConfigError
from experiments.serving import check, onnx
from lstm_jax.interop.quantization import quantize
from tests.experiments.serving.served import LENGTHS, MODELS, inputs, served

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.mark.parametrize("name", MODELS)
def test_files_compute_what_the_model_does(name, tmp_path):
    own, given = served(name), inputs(MODELS[name]())
    onnx.write(own, tmp_path / "model.onnx")
    for steps, rows in [(7, 3), (1, 2)]:
        lengths = np.minimum(LENGTHS[:rows], steps)
        arguments = given[:steps, :rows], lengths, np.asarray(own.fresh(rows) + 0.3)
        found = check.run_onnx(own, tmp_path / "model.onnx", *arguments)
        for a, b in zip(found, own.whole(*arguments), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["embedded", "music"])
def test_int8_kernels_are_those_of_quantize(name, tmp_path):
    own, given = served(name), inputs(MODELS[name]())
    paths = tmp_path / "whole.onnx", tmp_path / "int8.onnx"
    onnx.write(own, paths[0])
    onnx.write(own, paths[1], quantize=True)
    small = own._replace(params=quantize(own.network, own.params))
    arguments = given, LENGTHS, np.asarray(own.fresh(3))
    found = check.run_onnx(own, paths[1], *arguments)
    for a, b in zip(found, small.whole(*arguments), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.abs(found[1] - own.whole(*arguments)[1]).max() > 1e-4


def test_what_onnx_has_no_operator_for_is_not_quantized(tmp_path):
    with pytest.raises(ConfigError, match="no operator of its own in ONNX"):
        onnx.write(served("mean"), tmp_path / "model.onnx", quantize=True)
