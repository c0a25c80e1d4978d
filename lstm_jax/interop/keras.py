"""Weights from and to Keras.

    Keras                              here
    LSTM, blocks i f c o               `lstm`, blocks i f g o: the same order
    GRU(reset_after=True), z r h       `gru_reset_after`, r z n; the second row of its bias is
                                       `recurrent_bias` for n, and adds to the first for r and z
    GRU(reset_after=False), z r h      `gru`, r z n; z negated, as Keras keeps the state by z
    SimpleRNN                          `rnn`, tanh or relu
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from lstm_jax.interop.blocks import reorder
from lstm_jax.interop.layers import Layer, assemble, filled, layers
from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Cell, Params

KNOWN = ("rnn", "lstm", "gru", "gru_reset_after")
SILENT = ("InputLayer", "Masking", "Dropout")  # they change nothing that a network does
ACTIVATIONS = {"SimpleRNN": ("tanh", "relu"), "LSTM": ("tanh",), "GRU": ("tanh",)}
Weights = list[np.ndarray]
Options = dict[str, Any]


def from_keras(source: Any) -> tuple[Network, Params]:
    """Recurrent layers of Keras as a network with parameters.

    Dropout, which is off at inference, is left out; state is not carried from batch to batch by
    `stateful`, but by handing it on. For a `Masking` layer in front, give
    `mask=(xs != mask_value).any(-1)`: a mask of Keras [B, T] is the `mask` of `lj.unroll` [T, B];
    where a step is masked, Keras repeats the output before it (zero with `zero_output_for_mask`),
    and `lj.unroll` gives zero.

    Args:
      source: a built `SimpleRNN`, `LSTM` or `GRU`, a `Bidirectional` around one (its merge mode
        "concat"), or a `Sequential` or other model that is a chain of them.

    Returns:
      (network, params) for `lj.unroll`. Where Keras returns the last output alone, it is `ys[-1]`
      of sequences without padding, or the final state's `.h`. A layer with `go_backwards` is to be
      run with `reverse=True`; Keras has its outputs in running order, `lj.unroll` in that of the
      inputs.

    Raises:
      TypeError: a layer of another kind.
      ValueError: a layer that is not built or has options that no cell here has, or a model that is
        not a chain.

    Example:
      layer = keras.layers.GRU(64, return_sequences=True)
      layer.build((None, None, 32))
      network, params = from_keras(layer)

    Source: Keras's documentation of the layers SimpleRNN, LSTM, GRU and Bidirectional.
    """
    whole = _chain(source)
    chain = [layer for layer in whole if _kind(layer) not in SILENT]
    if not chain:
        raise TypeError(f"{source.name} has no recurrent layers; give a SimpleRNN, LSTM or GRU")
    if "Masking" in map(_kind, whole[whole.index(chain[0]) :]):
        raise ValueError(
            f"{source.name} has a Masking layer above a recurrent one, and a stack has one mask for"
            " all layers; put it first"
        )
    built = []
    for layer in chain:
        halves = [layer]
        if _kind(layer) == "Bidirectional":
            halves = _halves(layer)
        elif len(chain) > 1 and layer.go_backwards:
            raise ValueError(
                f"{layer.name} has go_backwards=True among other layers, which a stack cannot"
                " express; convert the layers one by one"
            )
        cells, params = zip(*map(_layer, halves), strict=True)
        built.append((cells, params))
    return assemble(built)


def _chain(source: Any) -> list[Any]:
    """The layers of a model, or the one layer that it is."""
    if not hasattr(source, "layers") or _kind(source) == "Sequential":
        return list(getattr(source, "layers", [source]))
    if not hasattr(source, "inputs"):
        raise TypeError(
            f"{source.name} is a model with a call of its own; give its layers one by one, or a"
            " Sequential or functional model"
        )
    _check_chain(source)
    return list(source.layers)


def _check_chain(model: Any) -> None:
    """Raises unless each layer of a functional model reads the one below, and nothing else."""
    for below, above in pairwise(model.layers):
        read, *more = above.input if isinstance(above.input, list | tuple) else [above.input]
        masks = all(tensor.dtype == "bool" for tensor in more)
        if read is not _output(below) or not masks:
            raise ValueError(
                f"{model.name} is not a chain: {above.name} does not read the output of"
                f" {below.name} alone; convert its layers one by one"
            )
    if model.outputs[0] is not _output(model.layers[-1]):
        raise ValueError(
            f"{model.name} does not return the output of its last layer, {model.layers[-1].name},"
            " as it is; convert its layers one by one"
        )


def _output(layer: Any) -> Any:
    """The output sequence of a layer, which may return states behind it."""
    outputs = layer.output
    return outputs[0] if isinstance(outputs, list | tuple) else outputs


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _halves(layer: Any) -> list[Any]:
    if layer.merge_mode != "concat":
        raise ValueError(
            f"{layer.name} has merge_mode={layer.merge_mode!r}; a bidirectional network here has"
            " 'concat'"
        )
    if layer.forward_layer.go_backwards or not layer.backward_layer.go_backwards:
        raise ValueError(f"{layer.name} runs its layers the wrong way; the first goes forward")
    return [layer.forward_layer, layer.backward_layer]


def _layer(layer: Any) -> tuple[Cell, Params]:
    """One layer that runs one way."""
    kind = _kind(layer)
    if kind not in ACTIVATIONS:
        raise TypeError(
            f"{layer.name} is a {kind}; a network here has {', '.join(ACTIVATIONS)} and"
            " Bidirectional alone"
        )
    if not layer.built:
        raise ValueError(f"{layer.name} is not built; call it on inputs, or its build, before")
    activation = _name(layer.activation)
    if activation not in ACTIVATIONS[kind]:
        known = " or ".join(ACTIVATIONS[kind])
        raise ValueError(f"{layer.name} has activation={activation!r}; {kind} is {known} here")
    gates = _name(layer.recurrent_activation) if kind != "SimpleRNN" else "sigmoid"
    if gates != "sigmoid":
        raise ValueError(f"{layer.name} has recurrent_activation={gates!r}; it is sigmoid here")
    weights = [np.asarray(weight) for weight in layer.cell.get_weights()]
    mixed = layer.compute_dtype != layer.variable_dtype
    return MAKERS[kind](layer, weights, {"dtype": layer.compute_dtype} if mixed else {})


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)


def _rnn(layer: Any, weights: Weights, options: Options) -> tuple[Cell, Params]:
    activation = _name(layer.activation)
    return filled("rnn", layer.units, _named(weights), activation=activation, **options)


def _lstm(layer: Any, weights: Weights, options: Options) -> tuple[Cell, Params]:
    return filled("lstm", layer.units, _named(weights), **options)


def _gru(layer: Any, weights: Weights, options: Options) -> tuple[Cell, Params]:
    size = layer.units
    if not layer.reset_after:
        fields = _named([reorder(w, "zrn", "rzn", "z") for w in weights])
        return filled("gru", size, fields, **options)
    fields = _named([reorder(w, "zrn", "rzn") for w in weights])
    if "bias" in fields:
        inward, recurrent = fields["bias"]
        before = np.concatenate([recurrent[: 2 * size], np.zeros_like(recurrent[2 * size :])])
        fields |= {"bias": inward + before, "recurrent_bias": recurrent[2 * size :]}
    return filled("gru_reset_after", size, fields, **options)


MAKERS = {"SimpleRNN": _rnn, "LSTM": _lstm, "GRU": _gru}


def _named(weights: Weights) -> dict[str, np.ndarray]:
    return dict(zip(("kernel", "recurrent_kernel", "bias"), weights, strict=False))


def to_keras(network: Network, params: Params) -> Any:
    """A network with its parameters as a model of Keras.

    Args:
      network: `rnn`, `lstm`, `gru` or `gru_reset_after`, a bidirectional pair of cells of one kind
        and size, or a stack of these.
      params: its parameters.

    Returns:
      `keras.Sequential` of layers that return sequences, [B, T, D] -> [B, T, output_size], loaded,
      in the precision that Keras is set to. Outputs at masked steps are zero, as here.

    Raises:
      ValueError: Keras cannot express the network; the message says why.

    Example:
      model = to_keras(cell, params)
      ys = model(xs)                                                 # xs [B, T, D]

    Source: as `from_keras`.
    """
    import keras

    parts = layers("Keras", network, params, KNOWN)
    made = [_build(part) for part in parts]
    inputs = parts[0].params[0].kernel.shape[0]
    model = keras.Sequential([keras.Input((None, inputs)), *made])
    for part, layer in zip(parts, made, strict=True):
        layer.set_weights([w for c, p in zip(*part, strict=True) for w in _weights(c, p)])
    return model


def _build(part: Layer) -> Any:
    """A layer, not built yet."""
    import keras

    made = [_keras_layer(cell) for cell in part.cells]
    if len(made) == 1:
        return made[0]
    names = [(cell.recipe.constructor, cell.hidden_size) for cell in part.cells]  # type: ignore[union-attr]
    if names[0] != names[1]:
        raise ValueError(
            f"Keras has pairs of layers that are alike, and the network has {names[0]} and"
            f" {names[1]}; convert them one by one"
        )
    made[1].go_backwards = True
    return keras.layers.Bidirectional(made[0], backward_layer=made[1])


def _keras_layer(cell: Cell) -> Any:
    import keras

    recipe = cell.recipe
    assert recipe is not None
    options = {"return_sequences": True, "zero_output_for_mask": True}
    options["use_bias"] = recipe.options["use_bias"]
    if recipe.constructor == "rnn":
        options["activation"] = recipe.options["activation"]
        return keras.layers.SimpleRNN(cell.hidden_size, **options)
    if recipe.constructor == "lstm":
        return keras.layers.LSTM(cell.hidden_size, **options)
    after = recipe.constructor == "gru_reset_after"
    return keras.layers.GRU(cell.hidden_size, reset_after=after, **options)


def _weights(cell: Cell, params: Params) -> Weights:
    """A cell's parameters in the order and form of Keras."""
    kind = cell.recipe.constructor  # type: ignore[union-attr]
    found = [params.kernel, params.recurrent_kernel]
    if params.bias is not None:
        found.append(params.bias)
    found = [np.asarray(v) for v in found]
    if kind == "gru":
        return [reorder(v, "rzn", "zrn", "z") for v in found]
    if kind == "gru_reset_after":
        found = [reorder(v, "rzn", "zrn") for v in found]
        if params.bias is not None:
            recurrent = np.zeros_like(found[2])
            recurrent[2 * cell.hidden_size :] = params.recurrent_bias
            found[2] = np.stack([found[2], recurrent])
    return found
