"""Weights in safetensors files, with what is needed to build their model again.

Tensors are named by their place, as in "layers_0.forward.recurrent_kernel"; the header's metadata
are texts. Nothing in such a file is code, and loading one executes none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from flax import traverse_util

import lstm_jax as lj
from lstm_jax.interop.describe import describe, rebuild
from lstm_jax.interop.quantization import MODES, Int8Kernel, quantize
from lstm_jax.recurrence.unroll import Network
from lstm_jax.trees import children, from_dict, to_dict
from lstm_jax.types import Cell, Params

FORMAT = "lstm_jax"


class Contents(NamedTuple):
    """What a file holds: tensors by name, and texts by name."""

    tensors: dict[str, Array]
    metadata: dict[str, str]


def save(path: str | os.PathLike, network: Network, params: Params) -> None:
    """Writes a network's parameters to a safetensors file.

    Args:
      path: the file; one that exists is replaced, and only once the new one is complete.
      network: a cell, a stack or a bidirectional network. A cell of your own, which words cannot
        describe, has to be given again to `load`.
      params: as `network.init` returns them.

    Example:
      save("model.safetensors", cell, params)
      cell, params = load("model.safetensors")

    Source: https://huggingface.co/docs/safetensors, the format.
    """
    metadata = {"format": FORMAT, "version": lj.__version__}
    if all(cell.recipe is not None for cell in cells(network)):
        metadata["network"] = json.dumps(describe(network))
    kinds = {kernel.dynamic for kernel in int8_kernels(params)}
    if kinds:
        metadata["quantized"] = MODES[kinds.pop()]
    write(path, expand(to_dict(network, params)), metadata)


def load(path: str | os.PathLike, network: Network | None = None) -> tuple[Network, Params]:
    """Reads what `save` wrote.

    Args:
      path: the file.
      network: the model, where the file does not describe it or another one is to take its tensors.

    Returns:
      The network and its parameters, with the dtypes of the file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no safetensors file, describes no network while none is given, or its
        tensors are not the network's; each that is missing, one too many or of another shape is
        named.

    Example:
      cell, params = load("model.safetensors")
      state, ys = lj.unroll(cell, params, xs)
    """
    contents = read(path)
    if network is None:
        if "network" not in contents.metadata:
            raise ValueError(f"{path} does not say what its model is; give load the network")
        network = rebuild(json.loads(contents.metadata["network"]))
    inputs, mode = _input_size(contents.tensors), contents.metadata.get("quantized")

    def init() -> Params:
        params = network.init(jax.random.key(0), inputs)
        return quantize(network, params, mode) if mode else params

    like = to_dict(network, jax.eval_shape(init))
    tree = take(path, contents.tensors, expand(like))
    return network, from_dict(network, collapse(tree, mode))


def write(
    path: str | os.PathLike, tree: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes nested dicts of arrays to a safetensors file, the names joined by dots.

    Args:
      path: the file; one that exists is replaced, and only once the new one is complete.
      tree: nested dicts of arrays, such as the variables of a Flax module.
      metadata: texts by name.

    Example:
      write("variables.safetensors", variables, {"made_by": "me"})
    """
    from safetensors.flax import save_file

    named = traverse_util.flatten_dict(dict(tree), sep=".")
    unfinished = Path(f"{path}.unfinished")
    arrays = {name: jnp.asarray(v) for name, v in named.items()}
    save_file(arrays, unfinished, metadata=dict(metadata or {}))
    unfinished.replace(path)


def read(path: str | os.PathLike) -> Contents:
    """The tensors and the metadata of a safetensors file, whoever wrote it.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no such file, or damaged.

    Example:
      tensors, metadata = read("model.safetensors")
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="flax") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Contents(tensors, file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or damaged ({error})") from error


def take(
    path: str | os.PathLike, tensors: Mapping[str, Array], like: Mapping[str, Any]
) -> dict[str, Any]:
    """Tensors by name as nested dicts that have the names and shapes of `like`.

    Args:
      path: where the tensors are from, for messages.
      tensors: arrays by name.
      like: nested dicts of arrays, or of what `jax.eval_shape` makes of them.

    Raises:
      ValueError: naming each tensor that is missing, one too many or of another shape.

    Example:
      variables = take(path, read(path).tensors, jax.eval_shape(model.init, key, xs))
    """
    wanted = traverse_util.flatten_dict(dict(like), sep=".")
    shapes = {name: tuple(v.shape) for name, v in wanted.items()}
    faults = [
        *_listed("missing", (f"{n} {list(s)}" for n, s in shapes.items() if n not in tensors)),
        *_listed("of no use", (n for n in tensors if n not in wanted)),
        *_listed(
            "of another shape",
            (
                f"{n} {list(tensors[n].shape)} where {list(s)} is wanted"
                for n, s in shapes.items()
                if n in tensors and tuple(tensors[n].shape) != s
            ),
        ),
    ]
    if faults:
        raise ValueError(f"{path} does not fit the model; {'; '.join(faults)}")
    return traverse_util.unflatten_dict({n: tensors[n] for n in wanted}, sep=".")


def expand(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts in which each quantized kernel is a dict of its values and its scale."""
    return {
        name: expand(v) if isinstance(v, Mapping)
        else {"values": v.values, "scale": v.scale} if isinstance(v, Int8Kernel)
        else v
        for name, v in tree.items()
    }  # fmt: skip


def collapse(tree: Mapping[str, Any], mode: str | None) -> dict[str, Any]:
    """The inverse of `expand`."""
    return {
        name: v if not isinstance(v, Mapping)
        else Int8Kernel(v["values"], v["scale"], mode == "dynamic") if "values" in v
        else collapse(v, mode)
        for name, v in tree.items()
    }  # fmt: skip


def int8_kernels(params: Params) -> list[Int8Kernel]:
    """The quantized kernels among parameters."""
    leaves = jax.tree.leaves(params, is_leaf=lambda v: isinstance(v, Int8Kernel))
    return [leaf for leaf in leaves if isinstance(leaf, Int8Kernel)]


def cells(network: Network) -> list[Cell]:
    """The cells of a network, from the input up."""
    if isinstance(network, Cell):
        return [network]
    return [cell for layer in children(network).values() for cell in cells(layer)]


def _listed(fault: str, names: Iterable[str]) -> list[str]:
    named = list(names)
    return [f"{fault}: {', '.join(named)}"] if named else []


def _input_size(tensors: Mapping[str, Array]) -> int:
    """D: the rows of the first layer's kernel."""
    kernels = [n for n in sorted(tensors) if n.removesuffix(".values").split(".")[-1] == "kernel"]
    sizes = [np.shape(tensors[n])[-2] for n in kernels if np.ndim(tensors[n]) >= 2]
    return sizes[0] if sizes else 1
