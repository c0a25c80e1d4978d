"""Weights from and to the cells of Flax, Linen and NNX.

    cell                      Linen, by gate                  NNX
    LSTMCell                  ii … io; hi … ho with biases    the same layers; if is if_
    OptimizedLSTMCell         the same                        dense_i; dense_h with the bias
    GRUCell                   ir iz in with biases; hr hz     dense_i with the bias; dense_h
                              hn, n with a bias               (no recurrent bias)
    SimpleCell                i with the bias; h              dense_i with the bias; dense_h
    MGUCell                   as GRUCell, with f for r and z  (none)

Blocks are i f g o and r z n as here, a GRU's form is `gru_reset_after`, and carries are (c, h).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import lstm_jax as lj
from lstm_jax import linen as our_linen
from lstm_jax import nnx as our_nnx
from lstm_jax.interop.layers import Layer, filled, layers
from lstm_jax.recurrence.unroll import Network
from lstm_jax.trees import from_dict
from lstm_jax.types import Cell, Params

KNOWN = ("rnn", "lstm", "gru_reset_after")
KINDS = {
    "LSTMCell": "lstm",
    "OptimizedLSTMCell": "lstm",
    "GRUCell": "gru_reset_after",
    "MGUCell": "gru_reset_after",
    "SimpleCell": "rnn",
}
BLOCKS = {"lstm": "ifgo", "gru_reset_after": "rzn"}
ACTIVATIONS: dict[str, tuple[Callable, ...]] = {
    "tanh": (nn.tanh, nnx.tanh, jnp.tanh),
    "relu": (nn.relu, nnx.relu, jax.nn.relu),
    "sigmoid": (nn.sigmoid, nnx.sigmoid, jax.nn.sigmoid),
}
Arrays = dict[str, Any]


def from_flax(module: Any, variables: Mapping[str, Any] | None = None) -> tuple[Network, Params]:
    """A recurrent module of Flax as a network with parameters.

    Args:
      module: a Linen or NNX `LSTMCell`, `OptimizedLSTMCell`, `GRUCell` or `SimpleCell`, Linen's
        `MGUCell`, an `RNN` or a `Bidirectional` around them, a `Sequential` of these, or
        `Recurrent` and `RNNCell` of this library.
      variables: those of a Linen module, {"params": ...}, as its `init` returns them.

    Returns:
      (network, params) for `lj.unroll`, whose inputs and outputs are [T, B, ...] whatever
      `time_major` was. Flax's carry (c, h) is `LSTMState(h, c)`. An `RNN` with `reverse` is to be
      run with `reverse=True`; its outputs are in input order, as with `keep_order`.

    Raises:
      TypeError: a module of another kind.
      ValueError: no variables, or functions that the cells here do not have.

    Example:
      module = nn.RNN(nn.OptimizedLSTMCell(64))
      network, params = from_flax(module, module.init(jax.random.key(0), xs))

    Source: Flax's documentation of the cells in flax.linen and flax.nnx.
    """
    if not isinstance(module, nn.Module):
        return _from_nnx(module)
    name = type(module).__name__
    if variables is None:
        raise ValueError(f"variables are missing; give those of the {name}, which init returns")
    try:
        return _from_linen(module, variables["params"])
    except KeyError as error:
        raise ValueError(f"variables lack {error}; give those of the {name}") from error


def _from_linen(module: Any, own: Mapping[str, Any]) -> tuple[Network, Params]:
    if isinstance(module, our_linen.Recurrent | our_linen.RNNCell):
        return module.cell, from_dict(module.cell, own["network"])
    if isinstance(module, nn.RNN):
        return _from_linen(module.cell, own["cell"])
    if isinstance(module, nn.Sequential):
        return _above([_from_linen(m, own[f"layers_{k}"]) for k, m in enumerate(module.layers)])
    if isinstance(module, nn.Bidirectional):
        _check_merging(module)
        ahead = _from_linen(module.forward_rnn, own["forward_rnn"])
        back = _from_linen(module.backward_rnn, own["backward_rnn"])
        return _pair(ahead, back)
    kind = _kind(module)
    dense = {name: dict(layer) for name, layer in own.items()}
    if kind == "rnn":
        return filled(
            kind,
            dense["h"]["kernel"].shape[0],
            {
                "kernel": dense["i"]["kernel"],
                "recurrent_kernel": dense["h"]["kernel"],
                "bias": dense["i"]["bias"],
            },
            activation=_activation(module),
            **_precision(module, dense["h"]["kernel"]),
        )
    blocks = "ffn" if isinstance(module, nn.MGUCell) else BLOCKS[kind]
    fields = {
        "kernel": _joined(dense, "i", blocks, "kernel"),
        "recurrent_kernel": _joined(dense, "h", blocks, "kernel"),
        "bias": _joined(dense, "h" if kind == "lstm" else "i", blocks, "bias"),
    }
    if kind == "gru_reset_after":
        fields["recurrent_bias"] = dense["hn"]["bias"]
    recurrent = fields["recurrent_kernel"]
    return filled(kind, recurrent.shape[0], fields, **_precision(module, recurrent))


def _joined(dense: Mapping[str, Mapping[str, Any]], side: str, blocks: str, name: str) -> Any:
    return jnp.concatenate([dense[side + block][name] for block in blocks], axis=-1)


def _from_nnx(module: Any) -> tuple[Network, Params]:
    if isinstance(module, our_nnx.Recurrent | our_nnx.RNNCell):
        return module.cell, module.network.to_core(module.cell)
    if isinstance(module, nnx.RNN):
        return _from_nnx(module.cell)
    if isinstance(module, nnx.Sequential):
        return _above([_from_nnx(part) for part in module.layers])
    if isinstance(module, nnx.Bidirectional):
        _check_merging(module)
        return _pair(_from_nnx(module.forward_rnn), _from_nnx(module.backward_rnn))
    kind = _kind(module)
    if hasattr(module, "ii"):
        names = [side + block for side in "ih" for block in "ifgo"]
        dense = {n: _arrays(getattr(module, "if_" if n == "if" else n)) for n in names}
        kernel, recurrent, bias = (
            _joined(dense, side, "ifgo", name)
            for side, name in (("i", "kernel"), ("h", "kernel"), ("h", "bias"))
        )
    else:
        inward, back = _arrays(module.dense_i), _arrays(module.dense_h)
        kernel, recurrent = inward["kernel"], back["kernel"]
        bias = inward["bias"] if "bias" in inward else back["bias"]
    fields = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
    if kind == "gru_reset_after":
        fields["recurrent_bias"] = jnp.zeros(recurrent.shape[0], bias.dtype)
    more = _precision(module, recurrent)
    if kind == "rnn":
        more["activation"] = _activation(module)
    return filled(kind, recurrent.shape[0], fields, **more)


def _arrays(layer: Any) -> Arrays:
    """The kernel and, if there is one, the bias of an NNX layer."""
    return {"kernel": layer.kernel[...]} | ({"bias": layer.bias[...]} if layer.use_bias else {})


def _above(parts: list[tuple[Network, Params]]) -> tuple[Network, Params]:
    networks, params = zip(*parts, strict=True)
    return lj.stack(*networks), params


def _pair(ahead: tuple[Network, Params], back: tuple[Network, Params]) -> tuple[Network, Params]:
    return lj.bidirectional(ahead[0], back[0]), (ahead[1], back[1])


def _check_merging(module: Any) -> None:
    if module.merge_fn is not type(module).merge_fn:
        raise ValueError(
            "module has a merge_fn of its own; a bidirectional network here concatenates"
        )


def _precision(module: Any, kernel: Any) -> dict[str, Any]:
    """The dtype of the computation, where it is not that of the parameters."""
    apart = module.dtype is not None and jnp.dtype(module.dtype) != kernel.dtype
    return {"dtype": module.dtype} if apart else {}


def _kind(module: Any) -> str:
    """The name of our cell, if the module's functions are those of its equations."""
    name = type(module).__name__
    if name == "ConvLSTMCell":
        raise TypeError(
            "module is a ConvLSTMCell, which does not say how large its frames are, and conv_lstm"
            " has to know; set the parameters of an lj.conv_lstm"
        )
    kind = KINDS.get(name)
    if kind is None:
        raise TypeError(
            f"module is a {name}; give {', '.join(KINDS)}, or RNN or Bidirectional around them"
        )
    if getattr(module, "residual", False):
        raise ValueError("module has residual=True, which no cell here has; give a plain one")
    if not getattr(module, "reset_gate", True):
        raise ValueError("module has reset_gate=False, and all GRUs here have a reset gate")
    if kind != "rnn" and not (
        module.gate_fn in ACTIVATIONS["sigmoid"] and module.activation_fn in ACTIVATIONS["tanh"]
    ):
        raise ValueError(
            f"module has gate_fn or activation_fn of its own; {kind} has sigmoid and tanh"
        )
    return kind


def _activation(module: Any) -> str:
    for name in ("tanh", "relu"):
        if module.activation_fn in ACTIVATIONS[name]:
            return name
    raise ValueError("module has an activation_fn of its own; rnn has tanh or relu")


def to_flax(network: Network, params: Params, api: str = "linen") -> Any:
    """A network with its parameters as modules of Flax.

    Args:
      network: `rnn`, `lstm` or `gru_reset_after`, a bidirectional pair of them, or a stack.
      params: its parameters.
      api: "linen" or "nnx".

    Returns:
      With "linen" (module, variables), with "nnx" a module: an `RNN` or `Bidirectional` over
      [B, T, D], several of them in `Sequential`. A cell without bias gets one of zeros.

    Raises:
      ValueError: Flax cannot express the network, or another api.

    Example:
      module, variables = to_flax(cell, params)
      ys = module.apply(variables, xs)                               # xs [B, T, D]

    Source: as `from_flax`.
    """
    parts = layers("Flax", network, params, KNOWN)
    if api == "linen":
        return _to_linen(parts)
    if api != "nnx":
        raise ValueError(f"api is {api!r}; give 'linen' or 'nnx'")
    made = [_nnx_layer(part) for part in parts]
    return made[0] if len(made) == 1 else nnx.Sequential(*made)


def _to_linen(parts: list[Layer]) -> tuple[nn.Module, dict[str, Any]]:
    made = [_linen_layer(part) for part in parts]
    if len(made) == 1:
        return made[0][0], {"params": made[0][1]}
    variables = {f"layers_{k}": own for k, (_, own) in enumerate(made)}
    return nn.Sequential([module for module, _ in made]), {"params": variables}


def _linen_layer(layer: Layer) -> tuple[nn.Module, dict[str, Any]]:
    runs: list[Any] = [nn.RNN(_linen_cell(cell, p)) for cell, p in zip(*layer, strict=True)]
    own = [{"cell": _linen_params(cell, p)} for cell, p in zip(*layer, strict=True)]
    if len(runs) == 1:
        return runs[0], own[0]
    return nn.Bidirectional(*runs), dict(zip(("forward_rnn", "backward_rnn"), own, strict=True))


def _linen_cell(cell: Cell, params: Params) -> nn.RNNCellBase:
    options: dict[str, Any] = {"param_dtype": params.kernel.dtype}
    if _name(cell) == "rnn":
        function = ACTIVATIONS[_option(cell, "activation")][0]
        return nn.SimpleCell(cell.hidden_size, activation_fn=function, **options)
    kind = nn.OptimizedLSTMCell if _name(cell) == "lstm" else nn.GRUCell
    return kind(cell.hidden_size, **options)


def _linen_params(cell: Cell, params: Params) -> dict[str, Any]:
    bias = _bias(params)
    if _name(cell) == "rnn":
        return {
            "i": {"kernel": params.kernel, "bias": bias},
            "h": {"kernel": params.recurrent_kernel},
        }
    blocks = BLOCKS[_name(cell)]
    pieces = [jnp.split(v, len(blocks), axis=-1)
              for v in (params.kernel, params.recurrent_kernel, bias)]  # fmt: skip
    biased = "h" if _name(cell) == "lstm" else "i"
    own: dict[str, Any] = {}
    for block, kernel, recurrent, b in zip(blocks, *pieces, strict=True):
        own[f"i{block}"], own[f"h{block}"] = {"kernel": kernel}, {"kernel": recurrent}
        own[biased + block]["bias"] = b
    if _name(cell) == "gru_reset_after":
        own["hn"]["bias"] = _recurrent_bias(params)
    return own


def _nnx_layer(layer: Layer) -> Any:
    rngs = nnx.Rngs(0)
    runs = [nnx.RNN(_nnx_cell(cell, p), rngs=rngs) for cell, p in zip(*layer, strict=True)]
    return runs[0] if len(runs) == 1 else nnx.Bidirectional(*runs, rngs=rngs)


def _nnx_cell(cell: Cell, params: Params) -> Any:
    sizes = params.kernel.shape[0], cell.hidden_size
    options: dict[str, Any] = {"param_dtype": params.kernel.dtype, "rngs": nnx.Rngs(0)}
    if _name(cell) == "rnn":
        options["activation_fn"] = ACTIVATIONS[_option(cell, "activation")][1]
        made: Any = nnx.SimpleCell(*sizes, **options, dtype=params.kernel.dtype)
    elif _name(cell) == "lstm":
        made = nnx.OptimizedLSTMCell(*sizes, **options)
    else:
        if np.any(_recurrent_bias(params)):
            raise ValueError(
                "nnx.GRUCell has no bias inside the reset, and recurrent_bias is not zero; give"
                " api='linen'"
            )
        made = nnx.GRUCell(*sizes, **options)
    made.dense_i.kernel = nnx.Param(params.kernel)
    made.dense_h.kernel = nnx.Param(params.recurrent_kernel)
    biased = made.dense_h if _name(cell) == "lstm" else made.dense_i
    biased.bias = nnx.Param(_bias(params))
    return made


def _name(cell: Cell) -> str:
    return cell.recipe.constructor  # type: ignore[union-attr]


def _option(cell: Cell, name: str) -> Any:
    return cell.recipe.options[name]  # type: ignore[union-attr]


def _bias(params: Params) -> Any:
    width = params.kernel.shape[-1]
    return jnp.zeros(width, params.kernel.dtype) if params.bias is None else params.bias


def _recurrent_bias(params: Params) -> Any:
    own = params.recurrent_bias
    width = params.recurrent_kernel.shape[0]
    return jnp.zeros(width, params.kernel.dtype) if own is None else own
