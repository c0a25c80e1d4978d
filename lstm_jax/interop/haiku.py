"""Weights from Haiku.

    Haiku                                   here
    LSTM's linear w [D + H, 4H]             kernel above recurrent_kernel, blocks i g f o
    its b, and 1 that it adds to f          bias
    GRU's w_i, w_h, b, blocks z r a         kernel, recurrent_kernel, bias of `gru`
    VanillaRNN's two linears                kernel, recurrent_kernel; their biases add up
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_jax.interop.blocks import join, reorder, split
from lstm_jax.interop.layers import assemble, filled
from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Cell, Params

Modules = Mapping[str, Mapping[str, Any]]


def from_haiku(params: Modules, paths: Sequence[str] = ()) -> tuple[Network, Params]:
    """Recurrent cores of Haiku as a network with parameters.

    Args:
      params: what `hk.transform(...).init` returns, {module path: {name: array}}.
      paths: those of the cores, as in "encoder/lstm", from the input up; needed where there are
        several, as JAX sorts the keys of dicts, and where another module's linear layer could be
        an LSTM's by its shape. `hk.DeepRNN` without skip connections is a stack.

    Returns:
      (network, params) for `lj.unroll`: `lstm`, `gru` or `rnn` with relu, or a stack of them.

    Raises:
      ValueError: there is no such core, several and no paths, or layers that do not fit.

    Example:
      network, params = from_haiku(variables, ["lstm", "lstm_1"])

    Source: Haiku's documentation of hk.LSTM (the bias of 1 is added at run time), hk.GRU and
    hk.VanillaRNN.
    """
    cores = {core: kind for path in params for core, kind in _core(params, path)}
    wanted = list(paths) or list(cores)
    if (len(wanted) != 1 and not paths) or not set(wanted) <= set(cores):
        given = f"paths are {list(paths)}" if paths else "paths are not given"
        raise ValueError(
            f"{given}, and the cores are {', '.join(map(repr, cores)) or 'none'}; name those to"
            " take, from the input up"
        )
    built = [MAKERS[cores[core]](params, core) for core in wanted]
    return assemble([((cell,), (fields,)) for cell, fields in built])


def _core(params: Modules, path: str) -> list[tuple[str, str]]:
    """The path and the kind of the core that a module belongs to; nothing if it has none."""
    own, (core, _, part) = params[path], path.rpartition("/")
    if {"w_i", "w_h", "b"} <= set(own):
        return [(path, "gru")]
    if not core or part != "linear" or "b" not in own:
        return []
    rows, columns = np.shape(own["w"])
    if f"{core}/linear_1" in params:
        square = np.shape(params[f"{core}/linear_1"]["w"]) == (columns, columns)
        return [(core, "rnn")] if square else []
    return [(core, "lstm")] if columns % 4 == 0 and rows > columns // 4 else []


def _lstm(params: Modules, core: str) -> tuple[Cell, Params]:
    w, b = (np.asarray(params[f"{core}/linear"][name]) for name in "wb")
    size = w.shape[1] // 4
    w, bias = reorder(w, "igfo", "ifgo"), split(b, "igfo")
    bias["f"] = bias["f"] + 1
    fields = {"kernel": w[:-size], "recurrent_kernel": w[-size:], "bias": join(bias, "ifgo")}
    return filled("lstm", size, fields)


def _gru(params: Modules, core: str) -> tuple[Cell, Params]:
    w_i, w_h, b = (reorder(params[core][name], "zra", "rza") for name in ("w_i", "w_h", "b"))
    return filled("gru", len(w_h), {"kernel": w_i, "recurrent_kernel": w_h, "bias": b})


def _rnn(params: Modules, core: str) -> tuple[Cell, Params]:
    inward, recurrent = params[f"{core}/linear"], params[f"{core}/linear_1"]
    fields = {
        "kernel": np.asarray(inward["w"]),
        "recurrent_kernel": np.asarray(recurrent["w"]),
        "bias": np.asarray(inward["b"]) + np.asarray(recurrent.get("b", 0)),
    }
    return filled("rnn", len(fields["recurrent_kernel"]), fields, activation="relu")


MAKERS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
