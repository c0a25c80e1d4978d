"""ONNX in and out: `from_onnx` makes a model callable, `to_onnx` writes a network to serve.

    from lstm_jax.interop.onnx import from_onnx, to_onnx

    model = to_onnx(network, params, lengths=True)
    ys, *final_states = from_onnx(model)(xs, lengths)

Reading: `parsing` turns a model into plain Python, `reading` evaluates its nodes, of which
`operators` has RNN, LSTM and GRU, `glue` and `arithmetic` the rest. Writing: `writing` walks over
a network and puts nodes into a `graph`: those of `native` where an operator of ONNX is the cell,
else a `scan` over the cell's traced equations (`translation`, by the table in `primitives`). The
package `onnx` is needed when they are called, and not before.
"""

from lstm_jax.interop.onnx.reading import Imported, from_onnx
from lstm_jax.interop.onnx.writing import to_onnx

__all__ = ["Imported", "from_onnx", "to_onnx"]
