"""Weights from and to PyTorch.

    PyTorch                            here
    weight_ih [G·H, D], weight_hh      kernel, recurrent_kernel, transposed
    bias_ih + bias_hh                  bias; of a GRU, b_hh of n alone is `recurrent_bias`
    weight_hr [P, H]                   projection, transposed
    blocks i f g o, r z n              the same
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from lstm_jax.interop.layers import Layer, assemble, filled, layers
from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Cell, Params

BLOCKS = {1: "rnn", 3: "gru_reset_after", 4: "lstm"}
KNOWN = ("rnn", "lstm", "gru_reset_after", "lstmp")
FIELD, PLACE = r"(?P<field>(?:weight|bias)_(?:ih|hh|hr))", r"_l(?P<layer>\d+)(?P<back>_reverse)?"
NAME = re.compile(f"{FIELD}(?:{PLACE})?")
Tensors = dict[str, np.ndarray]


def from_torch(
    source: Any, *, prefix: str = "", nonlinearity: str | None = None, dropout: float | None = None
) -> tuple[Network, Params]:
    """A recurrent module of PyTorch, or a state dict, as a network with parameters.

    Args:
      source: `nn.RNN`, `nn.LSTM`, `nn.GRU`, one of their cells, or a mapping from names to tensors
        or arrays, such as `module.state_dict()` or what `read` finds in a safetensors file.
      prefix: what stands before the names, as in "encoder.rnn.", where there are others too.
      nonlinearity: of an RNN's state dict, "tanh" (default) or "relu"; a module says it itself.
      dropout: rate between layers of a state dict, 0 by default; a module says it itself.

    Returns:
      (network, params) for `lj.unroll`, whose inputs and outputs are [T, B, ...] whatever
      `batch_first` was: a cell or bidirectional pair, or a stack of them. A GRU is
      `gru_reset_after`, an LSTM with `proj_size` an `lstmp`. State fields .h and .c are PyTorch's
      h_n and c_n, layer by layer.

    Raises:
      TypeError: a module of another kind.
      ValueError: there are no recurrent weights under the prefix (those that there are elsewhere
        are named), some are missing or misshapen, or nonlinearity is neither "tanh" nor "relu".

    Example:
      network, params = from_torch(torch.nn.LSTM(32, 64, num_layers=2, bidirectional=True))

    Source: PyTorch's documentation of nn.LSTM, nn.GRU, nn.RNN and their cells.
    """
    if not isinstance(source, Mapping):
        if not hasattr(source, "weight_ih_l0") and not hasattr(source, "weight_ih"):
            raise TypeError(
                f"source is a {type(source).__name__}; give nn.RNN, nn.LSTM, nn.GRU, one of their"
                " cells, or a state dict with prefix= where the recurrent weights are"
            )
        nonlinearity = getattr(source, "nonlinearity", None)
        dropout = getattr(source, "dropout", 0.0)
        source = source.state_dict()
    activation = nonlinearity or "tanh"
    if activation not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity is {nonlinearity!r}; give 'tanh' or 'relu'")
    parts = _parts(source, prefix)
    _check_places(parts, prefix)
    built = []
    for number in sorted({layer for layer, _ in parts}):
        own = [parts[key] for key in sorted(parts) if key[0] == number]
        cells, params = zip(*(_cell(tensors, prefix, activation) for tensors in own), strict=True)
        built.append((cells, params))
    return assemble(built, dropout or 0.0)


def _parts(source: Mapping[str, Any], prefix: str) -> dict[tuple[int, bool], Tensors]:
    """The tensors of each layer and direction by their names without the place."""
    parts: dict[tuple[int, bool], Tensors] = {}
    elsewhere = set()
    for name, value in source.items():
        before, _, last = name.rpartition(".")
        found = NAME.fullmatch(last)
        if found is None:
            continue
        if name != prefix + last:
            elsewhere.add(f"{before}." if before else "")
            continue
        place = int(found["layer"] or 0), bool(found["back"])
        parts.setdefault(place, {})[found["field"]] = _array(value)
    if not parts:
        there = f"; there are some under {', '.join(map(repr, sorted(elsewhere)))}"
        raise ValueError(
            f"prefix is {prefix!r}, but no recurrent weights have it"
            + (there if elsewhere else "; the state dict has none at all")
        )
    return parts


def _check_places(parts: dict[tuple[int, bool], Tensors], prefix: str) -> None:
    """Raises where a layer, a direction, or one of its tensors is missing."""
    count = 1 + max(number for number, _ in parts)
    fields = set().union(*parts.values()) | {"weight_ih", "weight_hh"}
    fields |= {"bias_ih", "bias_hh"} if fields & {"bias_ih", "bias_hh"} else set()
    for back in sorted({False} | {back for _, back in parts}):
        for number in range(count):
            missing = fields - set(parts.get((number, back), ()))
            if missing:
                raise ValueError(
                    f"prefix is {prefix!r}, and {', '.join(sorted(missing))} of layer {number}"
                    f"{', reverse,' if back else ''} is missing under it; give a whole state dict"
                )


def _array(value: Any) -> np.ndarray:
    """A tensor or an array as NumPy has it; bfloat16, which NumPy lacks, by way of float32."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    value = value.detach().cpu()
    if "bfloat16" in str(value.dtype):
        return value.float().numpy().astype(jnp.bfloat16)
    return value.numpy()


def _cell(tensors: Tensors, prefix: str, activation: str) -> tuple[Cell, Params]:
    """One direction of one layer."""
    inward, recurrent = tensors["weight_ih"], tensors["weight_hh"]
    width = tensors["weight_hr"].shape[1] if "weight_hr" in tensors else recurrent.shape[1]
    blocks, rest = divmod(inward.shape[0], width)
    if rest or blocks not in BLOCKS or recurrent.shape[0] != inward.shape[0]:
        raise ValueError(
            f"prefix is {prefix!r}, where weight_ih is {list(inward.shape)} and weight_hh"
            f" {list(recurrent.shape)}; an RNN, a GRU or an LSTM has 1, 3 or 4 blocks of rows"
        )
    kind = BLOCKS[blocks]
    options: dict[str, Any] = {}
    fields = {"kernel": inward.T, "recurrent_kernel": recurrent.T, **_biases(kind, tensors, width)}
    if kind == "rnn":
        options["activation"] = activation
    if "weight_hr" in tensors:
        kind, fields["projection"] = "lstmp", tensors["weight_hr"].T
        options["projection_size"] = tensors["weight_hr"].shape[0]
    return filled(kind, width, fields, **options)


def _biases(kind: str, tensors: Tensors, width: int) -> Tensors:
    """Two biases that PyTorch adds are one here, except where a GRU's reset stands between."""
    if "bias_ih" not in tensors:
        return {}
    inward, recurrent = tensors["bias_ih"], tensors["bias_hh"]
    if inward.shape != recurrent.shape:
        raise ValueError(
            f"bias_ih is {list(inward.shape)} and bias_hh {list(recurrent.shape)}; give equal ones"
        )
    if kind != "gru_reset_after":
        return {"bias": inward + recurrent}
    before = np.concatenate([recurrent[: 2 * width], np.zeros_like(recurrent[2 * width :])])
    return {"bias": inward + before, "recurrent_bias": recurrent[2 * width :]}


def to_torch(network: Network, params: Params, *, batch_first: bool = False) -> Any:
    """A network with its parameters as a module of PyTorch.

    Args:
      network: `rnn`, `lstm`, `lstmp` or `gru_reset_after`, a bidirectional pair of one of them, or
        a stack of layers that are alike.
      params: its parameters.
      batch_first: whether the module takes [B, T, D].

    Returns:
      `nn.RNN`, `nn.LSTM` or `nn.GRU` in evaluation mode, loaded. The bias is bias_ih; of bias_hh
      all is zero but a GRU's for n.

    Raises:
      ValueError: PyTorch cannot express the network; the message says why.

    Example:
      module = to_torch(cell, params, batch_first=True)

    Source: PyTorch's documentation of nn.LSTM, nn.GRU and nn.RNN.
    """
    import torch

    parts = layers("PyTorch", network, params, KNOWN)
    kind, width, options = _alike(parts)
    module_type = {"rnn": torch.nn.RNN, "gru_reset_after": torch.nn.GRU}.get(kind, torch.nn.LSTM)
    module = module_type(
        parts[0].params[0].kernel.shape[-2],
        width,
        num_layers=len(parts),
        bidirectional=len(parts[0].cells) == 2,
        dropout=getattr(network, "dropout", 0.0) if len(parts) > 1 else 0.0,
        batch_first=batch_first,
        **options,
    )
    state = {
        f"{name}_l{number}{suffix}": _tensor(value)
        for number, layer in enumerate(parts)
        for suffix, cell, own in zip(("", "_reverse"), layer.cells, layer.params, strict=False)
        for name, value in _tensors(cell, own).items()
    }
    module.to(next(iter(state.values())).dtype).load_state_dict(state)
    return module.eval()


def _tensor(value: np.ndarray) -> Any:
    """The inverse of `_array`."""
    import torch

    if value.dtype == jnp.bfloat16:
        return torch.from_numpy(value.astype(np.float32)).bfloat16()
    return torch.from_numpy(np.array(value))


def _alike(parts: list[Layer]) -> tuple[str, int, dict[str, Any]]:
    """The kind and the size of all cells, and their options in PyTorch's words."""
    cells = [cell for layer in parts for cell in layer.cells]
    names = {_word(cell) for cell in cells}
    if len(names) > 1 or len({len(layer.cells) for layer in parts}) > 1:
        raise ValueError(
            "PyTorch has layers that are alike in kind, size, directions and bias, and the network"
            f" has {_listed(parts)}; convert them one by one"
        )
    (kind, width, bias, more) = names.pop()
    options: dict[str, Any] = {"bias": bias}
    if kind == "rnn":
        options["nonlinearity"] = more
    if kind == "lstmp":
        if more >= width:
            raise ValueError(
                f"PyTorch has projections to less than the {width} units, and projection_size is"
                f" {more}; give a smaller one"
            )
        options["proj_size"] = more
    return kind, width, options


def _listed(parts: list[Layer]) -> str:
    """The layers in words: name, size, activation or projection, and a bias that is not there."""

    def described(cell: Cell) -> str:
        kind, width, bias, more = _word(cell)
        rest = [str(more)] * (more is not None) + ["no bias"] * (not bias)
        return f"{kind}({', '.join([str(width), *rest])})"

    return ", ".join(" with ".join(map(described, layer.cells)) for layer in parts)


def _word(cell: Cell) -> tuple[str, int, bool, Any]:
    """What must be the same for all layers: name, size, bias, activation or projection."""
    recipe = cell.recipe
    assert recipe is not None
    more = recipe.options.get("activation", recipe.options.get("projection_size"))
    return recipe.constructor, recipe.first, recipe.options["use_bias"], more


def _tensors(cell: Cell, params: Params) -> Tensors:
    """One direction of one layer under PyTorch's names."""
    found = {
        "weight_ih": np.asarray(params.kernel).T,
        "weight_hh": np.asarray(params.recurrent_kernel).T,
    }
    if params.bias is not None:
        found["bias_ih"] = np.asarray(params.bias)
        found["bias_hh"] = np.zeros_like(found["bias_ih"])
        if hasattr(params, "recurrent_bias"):
            found["bias_hh"][2 * cell.hidden_size :] = params.recurrent_bias
    if hasattr(params, "projection"):
        found["weight_hr"] = np.asarray(params.projection).T
    return found
