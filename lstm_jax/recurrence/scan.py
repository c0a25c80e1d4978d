"""`method="scan"`: the recurrence as `lax.scan` over the equations, differentiated by JAX.

This is the reference that every faster method is held against, in values and in gradients.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from chex import Array, ArrayTree

from lstm_jax.types import Cell, Gates, Params, State, advance, plain_affine


def select(where: Array | None, chosen: ArrayTree, otherwise: ArrayTree) -> ArrayTree:
    """Leaf by leaf `chosen` in the rows where `where` [B] holds; None stands for everywhere."""
    if where is None:
        return chosen
    return jax.tree.map(lambda a, b: jnp.where(rows(where, a), a, b), chosen, otherwise)


def reset(where: Array | None, fresh: State, state: State) -> State:
    """The fresh state in the rows where `where` [B] holds; None stands for nowhere."""
    return state if where is None else select(where, fresh, state)


def rows(where: Array, like: Array) -> Array:
    """Appends axes to `where` until it broadcasts against `like`."""
    return where.reshape(where.shape + (1,) * (like.ndim - where.ndim))


def run(
    cell: Cell,
    params: Params,
    state: State,
    inputs: Any,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[State, Array]:
    """Runs the cell over its input part.

    Args:
      cell: the cell.
      params: prepared parameters in the dtype of the computation.
      state: the state before the first step.
      inputs: what `cell.inputs` returned, leaves [T, B, ...].
      mask: [T, B] bool or None; where false, a step does not happen.
      resets: [T, B] bool or None; where true, the state is fresh before the step.
      reverse: from the last step to the first.

    Returns:
      The final state, and the outputs hs [T, B, output_size] (standing still where masked).
    """
    state, states_and_gates = trace(cell, params, state, inputs, mask, resets, reverse)
    return state, states_and_gates[0].h


def trace(
    cell: Cell,
    params: Params,
    state: State,
    inputs: Any,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[State, tuple[State, Gates]]:
    """As `run`, but returns every state and every gate over time, leaves [T, B, ...]."""
    affine = plain_affine(cell.product)
    fresh = cell.initial_state(state.h.shape[0])

    def body(state: State, step: tuple) -> tuple[State, tuple[State, Gates]]:
        x, keep, start = step
        state = reset(start, fresh, state)
        new, gates = advance(cell, params, state, x, affine)
        new = select(keep, new, state)
        return new, (new, gates)

    return jax.lax.scan(body, state, (inputs, mask, resets), reverse=reverse)
