"""Between arrays of the library, [..., B, k·H], and those of the kernel, padded and by blocks."""

from __future__ import annotations

import jax.numpy as jnp
from chex import Array

from lstm_jax.recurrence.gpu.plan import Plan, Product, padded, rows_of
from lstm_jax.recurrence.gpu.tiles import widths_of


def pack(v: Array, plan: Plan, hidden_size: int) -> Array:
    """[..., B, k·H] as [..., batch, k, heads, width], padded with zeros; booleans as integers."""
    *lead, batch, width = v.shape
    v = v.astype(jnp.int32) if v.dtype == bool else v
    blocks = len(widths_of(width, hidden_size))
    v = v.reshape(*lead, batch, blocks, plan.heads, width // blocks // plan.heads)
    rows = plan.tiles * plan.batch_tile - batch
    units = plan.width - v.shape[-1]
    return jnp.pad(v, [(0, 0)] * len(lead) + [(0, rows), (0, 0), (0, 0), (0, units)])


def unpack(v: Array, batch: int, width: int, hidden_size: int) -> Array:
    """The inverse of `pack`: [..., B, width]."""
    heads = v.shape[-2]
    units = width // len(widths_of(width, hidden_size)) // heads
    v = v[..., :batch, :, :, :units]
    return v.reshape(*v.shape[:-3], width)


def pack_row(v: Array, plan: Plan, hidden_size: int) -> Array:
    """A parameter [k·H] for every sequence of a tile: [batch_tile, k, heads, width]."""
    row = pack(v[None], plan._replace(tiles=1, batch_tile=1), hidden_size)
    return jnp.broadcast_to(row, (plan.batch_tile, *row.shape[1:]))


def pack_flag(v: Array, plan: Plan) -> Array:
    """Flags [T, B] for every unit of a thread block: [T, batch, units]."""
    rows = plan.tiles * plan.batch_tile - v.shape[1]
    padded = jnp.pad(v.astype(jnp.int32), [(0, 0), (0, rows)])
    return jnp.broadcast_to(padded[..., None], (*padded.shape, plan.units))


def product_of(kernel: Array, hidden_size: int, transposed: bool) -> Product:
    """The product with a matrix [K, k·H], or with one for each head, [heads, K/heads, k·H/heads].

    `transposed` stands for the product with its transpose.
    """
    heads = kernel.shape[0] if kernel.ndim == 3 else 1
    inner, outer = (len(widths_of(heads * n, hidden_size)) for n in kernel.shape[-2:])
    inner, outer = (outer, inner) if transposed else (inner, outer)
    units = kernel.shape[-1 if transposed else -2] // inner
    return Product(inner, outer, padded(units, kernel.dtype.itemsize))


def pack_matrix(kernel: Array, product: Product, plan: Plan, transposed: bool) -> Array:
    """The part of each thread block: [heads, slices, rows, product.width].

    Its rows are its units of every pair of blocks, operand by result, its columns the units of a
    block of the operand.
    """
    heads, inner, outer = plan.heads, product.inner, product.outer
    matrix = kernel.swapaxes(-1, -2) if transposed else kernel
    blocks = matrix.reshape(heads, inner, matrix.shape[-2] // inner, outer, -1)
    more = (product.width - blocks.shape[2], plan.width - blocks.shape[4])
    blocks = jnp.pad(blocks, [(0, 0), (0, 0), (0, more[0]), (0, 0), (0, more[1])])
    rows = blocks.transpose(0, 1, 3, 4, 2)
    rows = rows.reshape(heads, inner * outer, plan.slices, plan.units, product.width)
    rows = rows.swapaxes(1, 2).reshape(heads, plan.slices, -1, product.width)
    padding = rows_of(product, plan) - rows.shape[2]
    return jnp.pad(rows, [(0, 0), (0, 0), (0, padding), (0, 0)])
