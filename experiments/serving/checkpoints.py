"""Recurrent networks in the files of several libraries."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from experiments.config import ConfigError
from lstm_jax.interop import files

SUFFIXES = {
    ".pt": "torch",
    ".pth": "torch",
    ".bin": "torch",
    ".keras": "keras",
    ".h5": "keras",
    ".onnx": "onnx",
    ".safetensors": "safetensors",
}
NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts keep the weights


class Loaded(NamedTuple):
    """A network and its parameters."""

    network: Any
    params: Any


def read_torch(path: Path, prefix: str) -> Loaded:
    """A state dict of PyTorch, or one in a dict; also in a safetensors file. Nothing is unpickled
    but tensors and plain containers."""
    from lstm_jax.interop.torch import from_torch

    if path.suffix == ".safetensors":
        return Loaded(*from_torch(files.read(path).tensors, prefix=prefix))
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path} holds more than tensors, and is not unpickled; save module.state_dict() alone"
        ) from error
    for name in NESTED:
        state = state.get(name, state)
    return Loaded(*from_torch(state, prefix=prefix))


def read_keras(path: Path, prefix: str) -> Loaded:
    """A model that Keras saved: a chain of recurrent layers, or its layer of the name `prefix`."""
    import keras

    from lstm_jax.interop.keras import from_keras

    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return Loaded(*from_keras(model.get_layer(prefix) if prefix else model))


def read_onnx(path: Path, prefix: str) -> Loaded:
    """The recurrent node of an ONNX model that is called `prefix`, or its only one."""
    from lstm_jax.interop.onnx import from_onnx

    networks = from_onnx(path).networks
    if len(networks) != 1 and prefix not in networks:
        raise ConfigError(
            f"{path} has the recurrent nodes {', '.join(map(repr, networks)) or 'of no cell here'};"
            " name one by --prefix"
        )
    return Loaded(*(networks[prefix] if prefix in networks else next(iter(networks.values()))))


def read_safetensors(path: Path, prefix: str) -> Loaded:
    """What `lstm_jax.interop.save` wrote."""
    del prefix
    return Loaded(*files.load(path))


def write_torch(path: Path, loaded: Loaded) -> None:
    """The state dict of PyTorch's module."""
    import torch

    from lstm_jax.interop.torch import to_torch

    torch.save(to_torch(*loaded).state_dict(), path)


def write_keras(path: Path, loaded: Loaded) -> None:
    """A model of Keras."""
    from lstm_jax.interop.keras import to_keras

    to_keras(*loaded).save(path)


def write_onnx(path: Path, loaded: Loaded) -> None:
    """An ONNX model that takes lengths and initial states, batch and time left open."""
    import onnx

    from lstm_jax.interop.onnx import to_onnx

    onnx.save(to_onnx(*loaded, lengths=True, initial_state=True), path)


def write_safetensors(path: Path, loaded: Loaded) -> None:
    """What `lstm_jax.interop.load` reads."""
    files.save(path, *loaded)


READERS: dict[str, Callable[[Path, str], Loaded]] = {
    "torch": read_torch,
    "keras": read_keras,
    "onnx": read_onnx,
    "safetensors": read_safetensors,
}
WRITERS: dict[str, Callable[[Path, Loaded], None]] = {
    "torch": write_torch,
    "keras": write_keras,
    "onnx": write_onnx,
    "safetensors": write_safetensors,
}


def format_of(path: Path, flag: str, chosen: str | None) -> str:
    """The format that was chosen, or else the one that a file's name says."""
    found = chosen or SUFFIXES.get(path.suffix)
    if found is None:
        raise ConfigError(
            f"{path.name} has a name that says no format; add --{flag}={'|'.join(READERS)}"
        )
    return found
