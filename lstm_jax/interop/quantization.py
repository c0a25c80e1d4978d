"""Kernels in eight bits: a quarter of the memory, and integer products where they are wanted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.cells.functions import row
from lstm_jax.recurrence.unroll import Network
from lstm_jax.trees import from_dict, to_dict
from lstm_jax.types import Params

KERNELS = ("kernel", "recurrent_kernel", "gate_recurrent_kernel", "projection")
MODES = ("weights", "dynamic")
LARGEST = 127.0


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "scale"),
    meta_fields=("dynamic",),
)
@dataclasses.dataclass(frozen=True)
class Int8Kernel:
    """A kernel [K, N] as values [K, N], int8, times scale [N], one a column.

    Equations use it as they use an array: `a @ kernel` and columns of it, `kernel[..., start:end]`.
    A kernel of heads has one more axis in front, in values and scale, and is used a head at a time.
    """

    values: Array
    scale: Array
    dynamic: bool

    __array_ufunc__ = None  # so that NumPy leaves products to it

    @property
    def shape(self) -> tuple[int, ...]:
        """[K, N], or [heads, K, N]."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """2, or 3 with heads."""
        return self.values.ndim

    @property
    def dtype(self) -> jnp.dtype:
        """That of what it stands for."""
        return self.scale.dtype

    def __getitem__(self, index: tuple[Any, slice]) -> Int8Kernel:
        rows, columns = index
        return Int8Kernel(self.values[rows, columns], self.scale[..., columns], self.dynamic)

    def __rmatmul__(self, a: Any) -> Array:
        """a [..., K] times the kernel: [..., N]."""
        a = jnp.asarray(a, self.dtype)
        scale = row(self.scale, a)
        if not self.dynamic:
            return (a @ self.values.astype(a.dtype)) * scale
        whole, own_scale = to_int8(a, axis=-1)
        products = jnp.matmul(whole, self.values, preferred_element_type=jnp.int32)
        return products.astype(a.dtype) * (own_scale * scale)

    def dequantized(self) -> Array:
        """What it stands for, of the same shape."""
        return self.values.astype(self.dtype) * self.scale[..., None, :]


def to_int8(v: Array, axis: int | tuple[int, ...]) -> tuple[Array, Array]:
    """The nearest v ≈ q·s with q in −127…127, s the largest |v| along `axis` over 127.

    Args:
      v: floating-point array.
      axis: what one scale is for.

    Returns:
      q int8, of the shape of v, and s with 1 in the place of `axis`; s is 1 where all v are 0.
    """
    largest = jnp.abs(v).max(axis=axis, keepdims=True)
    scale = jnp.where(largest > 0, largest / LARGEST, jnp.ones_like(largest))
    return jnp.round(v / scale).astype(jnp.int8), scale


def quantize(network: Network, params: Params, mode: str = "weights") -> Params:
    """The parameters with their kernels in int8, to be run and exported as they are.

        W ≈ W₈ ⊙ s,  s_j = max_k |W_kj| / 127

    with "weights", aW becomes (a W₈) ⊙ s in the precision of the computation; with "dynamic" the
    operand is rounded as well, each row at its own scale t = max |a| / 127, and the product is one
    of integers: (a₈ W₈) ⊙ t ⊙ s. Biases, peepholes and gains stay as they are.

    Args:
      network: a cell, a stack or a bidirectional network.
      params: as `network.init` returns them.
      mode: "weights" or "dynamic".

    Returns:
      Parameters in which each kernel, recurrent kernel, gate recurrent kernel and projection is an
      `Int8Kernel`; `lj.unroll`, `lj.stream` and the exports take them in place of the others.

    Raises:
      ValueError: another mode, or a kernel with more than two axes (convolutions).

    Example:
      state, ys = lj.unroll(cell, quantize(cell, params, "dynamic"), xs)

    Source: Jacob et al. 2018, arXiv:1712.05877, equation 1 with zero-point 0; rounding operands at
    run time as Vanhoucke et al. 2011, "Improving the speed of neural networks on CPUs", have it.
    """
    return from_dict(network, quantize_dict(to_dict(network, params), mode))


def quantize_dict(tree: Mapping[str, Any], mode: str = "weights") -> dict[str, Any]:
    """`quantize` of parameters as nested dicts, the form in which Flax keeps them.

    Args:
      tree: as `lstm_jax.trees.to_dict` returns it; under "network" in the variables of
        `linen.Recurrent`, whose `apply` takes what this returns in its place.
      mode: "weights" or "dynamic".

    Raises:
      ValueError: as `quantize`.

    Example:
      variables = {"params": {"network": quantize_dict(variables["params"]["network"])}}
      state, ys = Recurrent(cell).apply(variables, xs)
    """
    if mode not in MODES:
        raise ValueError(f"quantize: mode is {mode!r}; give {' or '.join(map(repr, MODES))}")
    return {name: _quantized(name, v, mode) for name, v in tree.items()}


def _quantized(name: str, v: Any, mode: str) -> Any:
    if isinstance(v, Mapping):
        return quantize_dict(v, mode)
    return _int8(v, mode == "dynamic") if name in KERNELS else v


def _int8(kernel: Array, dynamic: bool) -> Int8Kernel:
    if kernel.ndim not in (2, 3):  # three axes: a matrix for each head
        raise ValueError(
            f"quantize: a kernel has shape {list(kernel.shape)}; only matrices can be quantized"
        )
    values, scale = to_int8(jnp.asarray(kernel), axis=-2)
    return Int8Kernel(values, scale[..., 0, :], dynamic)
