"""What PyTorch's exporters write around recurrent nodes, read by `from_onnx`."""

import io
import logging

import jax
import numpy as np
import pytest

from lstm_jax.interop.onnx import from_onnx

onnx = pytest.importorskip("onnx", reason="reads models")
torch = pytest.importorskip("torch", reason="exports the models")
pytestmark = [
    pytest.mark.usefixtures("single_precision"),
    pytest.mark.filterwarnings("ignore::Warning"),
]


class Tagger(torch.nn.Module):
    """Two bidirectional layers under a linear one."""

    def __init__(self, kind, batch_first):
        super().__init__()
        layer = getattr(torch.nn, kind)
        self.layers = layer(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first)
        self.head = torch.nn.Linear(8, 5)

    def forward(self, x):
        y, state = self.layers(x)
        return torch.log_softmax(self.head(y), -1), state if self.plain(state) else state[1]

    @staticmethod
    def plain(state):
        return isinstance(state, torch.Tensor)


def exported(module, x, dynamo):
    if dynamo:
        pytest.importorskip("onnxscript", reason="the newer exporter needs it")
        logging.disable(logging.WARNING)
        auto = torch.export.Dim.AUTO
        shapes = ({0: auto, 1: auto},)
        program = torch.onnx.export(module, (x,), dynamo=True, verbose=False, dynamic_shapes=shapes)
        logging.disable(logging.NOTSET)
        return program.model_proto
    file = io.BytesIO()
    axes = {"x": {0: "first", 1: "second"}}
    torch.onnx.export(module, (x,), file, dynamo=False, input_names=["x"], dynamic_axes=axes)
    return file.getvalue()


EXPORTERS = [
    pytest.param(False, id="TorchScript"),
    pytest.param(True, id="dynamo", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("dynamo", EXPORTERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_tagger(kind, dynamo):
    torch.manual_seed(1)
    module = Tagger(kind, batch_first=kind != "RNN").eval()
    x = torch.randn(4, 2, 3)
    model = from_onnx(exported(module, x, dynamo))
    assert len(model.networks) == (0 if (kind, dynamo) == ("RNN", True) else 2)
    other = x if (kind, dynamo) == ("RNN", True) else torch.randn(5, 3, 3)  # unrolled there
    wanted = [v.detach().numpy() for v in module(other)]
    for call in (model, jax.jit(model)):
        for a, b in zip(call(other.numpy()), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
