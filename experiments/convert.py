"""Convert a recurrent network on disk from one library's format to another's.

    python -m experiments.convert model.pt model.onnx
    python -m experiments.convert weights.bin lstm.safetensors --from=torch
    python -m experiments.convert all.pth rnn.safetensors --prefix=encoder.rnn.
    python -m experiments.convert model.keras model.pt

torch is a state dict (.pt, .pth, .bin, or .safetensors of PyTorch's names), keras a saved model
(.keras, .h5), onnx a model with LSTM, GRU or RNN nodes, safetensors what lstm_jax.interop.save
writes. Flax, Haiku and Equinox have no such files: lstm_jax.interop converts their parameters in
Python. What was written is read again and compared, but for ONNX models of several nodes.
"""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from absl import flags

from experiments import command_line
from experiments.config import ConfigError, first_line
from experiments.nearest import path_hint
from experiments.serving.checkpoints import READERS, WRITERS, Loaded, format_of

SOURCE = flags.DEFINE_enum(
    "from", None, list(READERS), "The format of IN; by default what its name ends in tells."
)
TARGET = flags.DEFINE_enum(
    "to", None, list(WRITERS), "The format of OUT; by default what its name ends in tells."
)
PREFIX = flags.DEFINE_string(
    "prefix",
    "",
    "What to take of IN, where there is more: what the names of PyTorch's weights begin with, as"
    " in encoder.rnn., the name of a layer of Keras or of a node of ONNX.",
)


def convert(
    source: Path, target: Path, kind: str | None = None, wanted: str | None = None, prefix: str = ""
) -> str:
    """Reads `source`, writes `target`, holds one against the other.

    Returns:
        What was converted, in one line.

    Raises:
        ConfigError: if a file cannot be read or written so; the message says why.
    """
    kind, wanted = format_of(source, "from", kind), format_of(target, "to", wanted)
    if not source.is_file():
        raise ConfigError(f"there is no file {source}{path_hint(source)}")
    try:
        loaded = READERS[kind](source, prefix)
        WRITERS[wanted](target, loaded)
        size = sum(leaf.size for leaf in jax.tree.leaves(loaded.params))
        return f"{loaded.network.name}, {size:,} parameters, {_difference(target, wanted, loaded)}"
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}; pip install 'lstm_jax[interop]' brings it") from error
    except ConfigError:
        raise
    except Exception as error:  # whatever the libraries make of a file
        raise ConfigError(f"{source}: {first_line(error)}") from error


def _difference(target: Path, wanted: str, loaded: Loaded) -> str:
    """The largest difference between the parameters that were written and those read again."""
    params = loaded.params
    try:
        again = READERS[wanted](target, "")
    except ConfigError:  # several nodes
        return "not read again"
    pairs = zip(jax.tree.leaves(again.params), jax.tree.leaves(params), strict=True)
    return f"largest difference {max(float(np.abs(a - b).max()) for a, b in pairs):.1e}"


def main(source: Path, target: Path) -> None:
    print(f"{target}: {convert(source, target, SOURCE.value, TARGET.value, PREFIX.value)}")


if __name__ == "__main__":
    command_line.run_on_files(main)
