"""Parameters as nested dicts, the form in which Flax keeps them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from lstm_jax.recurrence.bidirectional import Bidirectional
from lstm_jax.recurrence.stack import Stack
from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Cell, Params


def children(network: Network) -> dict[str, Any]:
    """The layers of a stack or a bidirectional network, by the name that Flax gives them."""
    if isinstance(network, Stack):
        return {f"layers_{k}": layer for k, layer in enumerate(network.layers)}
    if isinstance(network, Bidirectional):
        return {"forward": network.forward, "backward": network.backward}
    return {}


def to_dict(network: Network, params: Params) -> dict[str, Any]:
    """Turns the parameters of a network into nested dicts.

    Args:
      network: a cell, a stack or a bidirectional network.
      params: as `network.init` returns them.

    Returns:
      For a cell the fields that it has, by name; for a stack "layers_0", "layers_1", ...; for a
      bidirectional network "forward" and "backward".

    Example:
      variables = {"params": {"network": to_dict(cell, params)}}  # of linen.Recurrent
    """
    if isinstance(network, Cell):
        return {name: v for name, v in params._asdict().items() if v is not None}
    parts = zip(children(network).items(), params, strict=True)
    return {name: to_dict(layer, p) for (name, layer), p in parts}


def from_dict(network: Network, tree: Mapping[str, Any]) -> Params:
    """The inverse of `to_dict`.

    Raises:
      ValueError: a field is missing, or one too many.
    """
    if not isinstance(network, Cell):
        return tuple(from_dict(layer, tree[name]) for name, layer in children(network).items())
    fields = jax.eval_shape(lambda: network.init(jax.random.key(0), 1))
    wanted = {name for name, v in fields._asdict().items() if v is not None}
    if set(tree) != wanted:
        raise ValueError(
            f"the parameters of {network.name} are {sorted(tree)}; give {sorted(wanted)}"
        )
    return fields._replace(**tree)
