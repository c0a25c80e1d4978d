"""The activation functions that ONNX's recurrent operators choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.cells.functions import tanh

FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Relu": jax.nn.relu,
    "Tanh": tanh,
    "Sigmoid": jax.nn.sigmoid,
    "Softsign": jax.nn.soft_sign,
    "Softplus": jax.nn.softplus,
    "LeakyRelu": lambda z, alpha: jnp.where(z >= 0, z, alpha * z),
    "ThresholdedRelu": lambda z, alpha: jnp.where(z >= alpha, z, jnp.zeros_like(z)),
    "Elu": lambda z, alpha: jnp.where(z >= 0, z, alpha * jnp.expm1(jnp.minimum(z, 0))),
    "HardSigmoid": lambda z, alpha, beta: jnp.clip(alpha * z + beta, 0, 1),
    "Affine": lambda z, alpha, beta: alpha * z + beta,
    "ScaledTanh": lambda z, alpha, beta: alpha * tanh(beta * z),
}
DEFAULTS: dict[str, tuple[float | None, ...]] = {  # of alpha and beta; None: there is none
    "LeakyRelu": (0.01,),
    "ThresholdedRelu": (1.0,),
    "Elu": (1.0,),
    "HardSigmoid": (0.2, 0.5),
    "Affine": (None, None),
    "ScaledTanh": (None, None),
}
BY_LOWER_CASE = {name.lower(): name for name in FUNCTIONS}


class Activation(NamedTuple):
    """A function by its name in the specification, and its alpha and beta if it has them."""

    name: str
    numbers: tuple[float, ...] = ()

    def __call__(self, z: Array) -> Array:
        return FUNCTIONS[self.name](z, *self.numbers)


def choose(
    node: Any, names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]
) -> tuple[Activation, ...]:
    """The activations that a node names.

    Args:
      node: the node, for messages.
      names: as in the attribute `activations`, in any case.
      alphas, betas: `activation_alpha` and `activation_beta`, of which each function that takes
        such a number consumes the next; defaults serve when there are no more.

    Raises:
      ValueError: an unknown name, or an alpha or beta that is missing and has no default.
    """
    left = iter(alphas), iter(betas)
    chosen = []
    for given in names:
        name = BY_LOWER_CASE.get(given.lower())
        if name is None:
            raise ValueError(
                f"{node}: activations has {given!r}; ONNX specifies {', '.join(FUNCTIONS)}"
            )
        pairs = zip(left, DEFAULTS.get(name, ()), strict=False)
        numbers = tuple(next(values, default) for values, default in pairs)
        if None in numbers:
            raise ValueError(
                f"{node}: {name} has no default; give activation_alpha and activation_beta"
            )
        chosen.append(Activation(name, tuple(map(float, numbers))))  # type: ignore[arg-type]
    return tuple(chosen)
