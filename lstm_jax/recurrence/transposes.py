"""The equations of a cell, linearized at what the forward pass recorded, and transposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.recurrence import scan, wiring
from lstm_jax.recurrence.blocks import together
from lstm_jax.types import (
    Cell,
    HeadProduct,
    Params,
    State,
    advance,
    align,
    chosen,
    matmul,
    merge,
    split_floats,
)

Pull = Callable[[Array], Array]


class Transposes(NamedTuple):
    """The transposed linearizations of all steps.

    `apply(residuals of one step, adjoint of its new state)` returns the adjoints of the elementwise
    parameters, of the old state, of the input part and of the products.
    """

    residuals: list[Array]  # what differs between steps, [T, ...]
    apply: Callable[[list[Array], State], tuple[list[Array], State, list[Array], list[Array]]]


def transposes(
    cell: Cell, params: Params, elementwise: list[bool], kernels: list[Array], steps: tuple
) -> tuple[Transposes, list[Array]]:
    """Linearizes and transposes all steps at once.

    Args:
      cell, params: the cell and its prepared parameters.
      elementwise: which of the floating-point parameters enter other than as a product's matrix.
      kernels: the matrices of the products.
      steps: states before, input parts, products as blocks, mask and resets, leaves [T, B, ...].

    Returns:
      The transposes, and the operands a of the products a @ U over time.
    """
    adjoints = [product_adjoint(cell.product, u) for u in kernels]
    trees: list[Any] = []

    def one(*recorded: Any) -> tuple[list[Array], list[Array]]:
        transpose, operands = transposed_step(cell, params, elementwise, adjoints, *recorded)
        leaves, tree = jax.tree.flatten(transpose)
        trees.append(tree)
        return leaves, operands

    dependent = wiring.dependent_outputs(jax.make_jaxpr(one)(*wiring.first(steps)))
    varies = dependent[: trees[-1].num_leaves]
    axes = [0 if v else None for v in varies]
    leaves, operands = jax.vmap(one, out_axes=(axes, 0))(*steps)

    def apply(residuals: list[Array], d_new: State) -> tuple:
        return jax.tree.unflatten(trees[-1], merge(varies, residuals, leaves))(d_new)

    return Transposes(chosen(varies, leaves), apply), operands


def transposed_step(
    cell: Cell,
    params: Params,
    elementwise: list[bool],
    adjoints: list[Callable[[Array], Pull]],
    state: State,
    x: Any,
    products: list[list[Array]],
    keep: Array | None,
    start: Array | None,
) -> tuple[Callable[[State], tuple], list[Array]]:
    """The transpose of one step, and the operands of its products."""
    theta, put_params = split_floats(params)
    floats, put_x = split_floats(x)

    def replay(small: list, state: State, x: list, z: list) -> tuple[State, list[Array]]:
        operands: list[Array] = []

        def affine(x: Any, a: Array, _: Array) -> Array:
            k = len(operands)
            operands.append(a.astype(z[k].dtype))
            return recorded(adjoints[k](operands[k]), align(x, z[k]), operands[k], z[k])

        parameters = put_params(merge(elementwise, small, theta))
        state = scan.reset(start, cell.initial_state(state.h.shape[0]), state)
        new, _ = advance(cell, parameters, state, put_x(x), affine)
        return scan.select(keep, new, state), operands

    small = chosen(elementwise, theta)
    z = [together(blocks) for blocks in products]
    _, transpose, operands = jax.vjp(replay, small, state, floats, z, has_aux=True)
    return transpose, operands


def recorded(pull: Pull, x: Array, a: Array, z: Array) -> Array:
    """The recorded z of x + a @ U; its adjoint goes to x, through `pull` to a, and out as z's."""

    @jax.custom_vjp
    def stand_in(x: Array, a: Array, z: Array) -> Array:
        del x, a
        return z

    stand_in.defvjp(lambda x, a, z: (z, None), lambda _, d_z: (d_z, pull(d_z), d_z))
    return stand_in(x, a, z)


def product_adjoint(
    product: Callable[[Array, Array], Array], kernel: Array
) -> Callable[[Array], Pull]:
    """For an operand a (its shape), the function that takes dz to da = dz Uᵀ.

    Uᵀ is laid out before the loop, which XLA's products on the CPU repay: contracting U's second
    axis took 1.1 to 1.6 times as long on an AMD EPYC, and up to eight times without YNNPACK.
    """
    if product is matmul or isinstance(product, HeadProduct):
        transposed = jnp.swapaxes(kernel, -1, -2)
        pull = product.pull if isinstance(product, HeadProduct) else matmul
        return lambda a: lambda d_z: pull(d_z, transposed)
    return lambda a: lambda d_z: jax.linear_transpose(lambda a: product(a, kernel), a)(d_z)[0]
