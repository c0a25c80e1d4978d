"""A network in words that JSON holds, and back: what a file of weights says about its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

import lstm_jax as lj
from lstm_jax.recurrence.bidirectional import Bidirectional
from lstm_jax.recurrence.stack import Stack
from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Cell

NOISE = {
    "drop_connect": lj.drop_connect,
    "variational_dropout": lj.variational_dropout,
    "zoneout": lj.zoneout,
}
KINDS = (*lj.CELLS, *NOISE, "stack", "bidirectional")


def describe(network: Network) -> dict[str, Any]:
    """What a network is, as JSON holds it.

    Functions among a cell's options, its initializers, are left out: they draw new parameters and
    say nothing about those that there are.

    Args:
      network: a cell of the library, a stack or a bidirectional network.

    Returns:
      {"kind": the constructor's name, "arguments": its positional ones, "options": the others},
      with networks among the arguments described likewise.

    Raises:
      ValueError: the network holds a cell that no constructor of the library made.

    Example:
      >>> describe(lj.bidirectional(lj.gru(2), lj.gru(2)))["kind"]
      'bidirectional'
    """
    if isinstance(network, Stack):
        options = {"dropout": network.dropout, "residual": network.residual}
        return _description("stack", network.layers, options)
    if isinstance(network, Bidirectional):
        return _description("bidirectional", (network.forward, network.backward), {})
    if network.recipe is None:
        raise ValueError(
            f"describe: {network.name} is a cell of your own, which words cannot tell; save its"
            " parameters alone and give the cell when you load them"
        )
    return _description(network.recipe.constructor, (network.recipe.first,), network.recipe.options)


def rebuild(description: Mapping[str, Any]) -> Network:
    """The inverse of `describe`.

    Args:
      description: as `describe` returns it.

    Returns:
      A network that is equal to the described one, but for initializers that were functions.

    Raises:
      ValueError: this version of the library knows no such network.

    Example:
      >>> cell = lj.lstm(8, forget_bias=lj.chrono(20))
      >>> rebuild(describe(cell)) == cell
      True
    """
    kind = str(description.get("kind"))
    if kind not in KINDS:
        raise ValueError(f"rebuild: the kind is {kind!r}; known are {', '.join(KINDS)}")
    makers: dict[str, Any] = {"stack": lj.stack, "bidirectional": lj.bidirectional, **NOISE}
    make = makers.get(kind) or lj.CELLS[kind]
    try:
        arguments = [rebuild(a) if isinstance(a, Mapping) else a for a in description["arguments"]]
        return make(*arguments, **{k: _value(v) for k, v in description["options"].items()})
    except (KeyError, TypeError) as error:
        raise ValueError(f"rebuild: this is no description of a {kind} ({error})") from error


def _description(kind: str, arguments: tuple, options: Mapping[str, Any]) -> dict[str, Any]:
    networks = (Cell, Stack, Bidirectional)
    return {
        "kind": kind,
        "arguments": [describe(a) if isinstance(a, networks) else a for a in arguments],
        "options": {name: _word(v) for name, v in options.items() if not callable(v)},
    }


def _word(value: Any) -> Any:
    if isinstance(value, lj.chrono):
        return {"chrono": value.T_max}
    return value.name if isinstance(value, jnp.dtype) else value


def _value(word: Any) -> Any:
    if isinstance(word, Mapping) and set(word) == {"chrono"}:
        return lj.chrono(word["chrono"])
    return tuple(word) if isinstance(word, list) else word
