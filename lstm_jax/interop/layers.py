"""Networks as other libraries see them: layers of one cell or two, without further wishes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from lstm_jax.interop.quantization import Int8Kernel
from lstm_jax.recurrence.stack import Stack
from lstm_jax.recurrence.unroll import Network
from lstm_jax.types import Cell, Params

INERT = ("drop_connect", "variational_dropout")  # without a key


class Layer(NamedTuple):
    """A cell, or one for each direction, with their parameters."""

    cells: tuple[Cell, ...]
    params: tuple[Params, ...]


def layers(library: str, network: Network, params: Params, known: Collection[str]) -> list[Layer]:
    """The layers of a network, from the input up, of cells that a library knows.

    Heads, which no library has, become a single matrix with zeros between them.

    Args:
      library: its name, for messages.
      network: a cell, a stack or a bidirectional network.
      params: its parameters.
      known: the names of the cells that the library can express.

    Raises:
      ValueError: saying what the library cannot express.
    """
    if isinstance(network, Stack):
        if network.residual:
            raise ValueError(f"{library} has no residual stacks; give one without")
        parts = zip(network.layers, params, strict=True)
        return [layer for part, p in parts for layer in layers(library, part, p, known)]
    if isinstance(network, Cell):
        if any(isinstance(value, Int8Kernel) for value in params):
            raise ValueError(f"{library} has no kernels in int8; give the unquantized parameters")
        cell = plain(library, network, known)
        return [Layer((cell,), (without_heads(cell, params),))]
    pair = network.forward, network.backward
    if not all(isinstance(half, Cell) for half in pair):
        raise ValueError(f"{library} has bidirectional pairs of cells alone, not {network.name}")
    halves = [layers(library, *half, known)[0] for half in zip(pair, params, strict=True)]
    return [Layer(*(one + other for one, other in zip(*halves, strict=True)))]


def inner(cell: Cell) -> Cell:
    """The cell inside wrappers that do nothing without a key."""
    while cell.recipe is not None and cell.recipe.constructor in INERT:
        cell = cell.recipe.first
    return cell


def without_heads(cell: Cell, params: Params) -> Params:
    """The parameters of the same cell with a single head: its U [K, G·H] is zero between heads."""
    if getattr(params, "recurrent_kernel", None) is None or params.recurrent_kernel.ndim != 3:
        return params
    kernel = np.asarray(params.recurrent_kernel)
    heads, rows, columns = kernel.shape
    units = cell.hidden_size // heads
    dense = np.zeros((heads, rows, columns // units, heads, units), kernel.dtype)
    for k, own in enumerate(kernel):
        dense[k, :, :, k] = own.reshape(rows, -1, units)
    return params._replace(recurrent_kernel=jnp.asarray(dense.reshape(heads * rows, -1)))


def plain(library: str, cell: Cell, known: Collection[str]) -> Cell:
    """A cell without the noise that is off outside of training.

    Raises:
      ValueError: saying what of the cell the library cannot express.
    """
    cell = inner(cell)
    recipe = cell.recipe
    if recipe is None:
        raise ValueError(f"{library} has no cells of your own, such as {cell.name}")
    if recipe.constructor == "zoneout":
        raise ValueError(f"{library} has no zoneout, which mixes states; give the cell without it")
    if recipe.constructor not in known:
        raise ValueError(f"{library} has no {cell.name}; it can express {', '.join(known)}")
    if recipe.options.get("peepholes"):
        raise ValueError(f"{library} has no peepholes; give a {cell.name} without them")
    if recipe.options.get("cell_clip") is not None:
        raise ValueError(f"{library} does not clip c; give a {cell.name} without cell_clip")
    return cell


def assemble(built: list[tuple[tuple[Cell, ...], tuple[Params, ...]]], dropout: float = 0.0) -> Any:
    """The network and parameters of layers, the inverse of `layers`.

    Args:
      built: cells and parameters of each layer, one or, of both directions, two.
      dropout: rate between layers.

    Returns:
      (network, params): of one layer the cell or pair itself, of several a stack.

    Raises:
      ValueError: a layer does not take what the one below puts out.
    """
    networks = [c[0] if len(c) == 1 else lj.bidirectional(*c) for c, _ in built]
    params = [p[0] if len(p) == 1 else p for _, p in built]
    for k, below in enumerate(networks[:-1]):
        for own in built[k + 1][1]:
            if own.kernel.shape[0] != below.output_size:
                raise ValueError(
                    f"layer {k + 1} takes {own.kernel.shape[0]} inputs, and the layer below it has"
                    f" {below.output_size} outputs; give layers that follow one another"
                )
    if len(built) == 1:
        return networks[0], params[0]
    return lj.stack(*networks, dropout=dropout), tuple(params)


def filled(
    kind: str, size: int, fields: Mapping[str, Any], **options: Any
) -> tuple[Cell, Params]:
    """A cell with parameters that are given, of their dtype.

    Args:
      kind: its name in `lj.CELLS`.
      size: H.
      fields: its parameters by name; without `bias`, it has none.
      options: its others.

    Raises:
      ValueError: a parameter does not have its field's shape.
    """
    kernel = jnp.asarray(fields["kernel"])
    if kernel.dtype != jnp.result_type(float):
        options["param_dtype"] = kernel.dtype
    cell = lj.CELLS[kind](size, use_bias="bias" in fields, **options)
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), kernel.shape[0]))
    for name, value in fields.items():
        if np.shape(value) != getattr(params, name).shape:
            raise ValueError(
                f"{name} of {cell.name} would have shape {list(np.shape(value))}, and"
                f" {list(getattr(params, name).shape)} is wanted"
            )
    return cell, params._replace(**{name: jnp.asarray(value) for name, value in fields.items()})
