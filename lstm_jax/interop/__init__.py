"""Weights in and out: PyTorch, Keras, Flax, Haiku, Equinox, ONNX, files, and models to serve.

    from lstm_jax.interop import from_torch, save, to_onnx

    network, params = from_torch(torch.nn.LSTM(32, 64, num_layers=2))
    state, ys = lj.unroll(network, params, xs)
    save("model.safetensors", network, params)
    model = to_onnx(network, params, lengths=True)

Each `from_` function returns a network and its parameters, for `lj.unroll`; each `to_` function
takes them, and refuses with the reason what the other library cannot express. `quantize` puts the
kernels into int8. Another library is imported when it is first needed, and not before; `pip install
'lstm_jax[interop]'` brings them all.
"""

from lstm_jax.interop.describe import describe, rebuild
from lstm_jax.interop.equinox import from_equinox
from lstm_jax.interop.files import load, save
from lstm_jax.interop.flax import from_flax, to_flax
from lstm_jax.interop.haiku import from_haiku
from lstm_jax.interop.keras import from_keras, to_keras
from lstm_jax.interop.onnx import from_onnx, to_onnx
from lstm_jax.interop.quantization import quantize
from lstm_jax.interop.torch import from_torch, to_torch

__all__ = [
    "describe",
    "from_equinox",
    "from_flax",
    "from_haiku",
    "from_keras",
    "from_onnx",
    "from_torch",
    "load",
    "quantize",
    "rebuild",
    "save",
    "to_flax",
    "to_keras",
    "to_onnx",
    "to_torch",
]
