"""What a task's metrics become when its recurrent networks run on int8 kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lstm_jax.interop.quantization import quantize_dict


def quantized(variables: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """The variables of a model with every recurrent network in them quantized.

    Args:
        variables: of a Flax module that holds `lstm_jax.linen.Recurrent` layers.
        mode: "weights" or "dynamic", see `lstm_jax.interop.quantize`.

    Returns:
        Variables that the module takes in their place.
    """
    return {
        name: (quantize_dict(v, mode) if name == "network" else quantized(v, mode))
        if isinstance(v, Mapping)
        else v
        for name, v in variables.items()
    }
