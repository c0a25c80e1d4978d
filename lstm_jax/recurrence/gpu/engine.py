"""A recurrence by its two kernels, forwards and backwards, with all its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from chex import Array

from lstm_jax.recurrence import fused
from lstm_jax.types import Cell, Params, State


@partial(jax.custom_vjp, nondiff_argnums=(0, 6))
def run(
    cell: Cell,
    params: Params,
    state: State,
    inputs: Any,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[State, Array]:
    """As `scan.run`, in values and gradients, on a Hopper GPU."""
    return forward(cell, params, state, inputs, mask, resets, reverse)[0]


def forward(
    cell: Cell,
    params: Params,
    state: State,
    inputs: Any,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[tuple[State, Array], fused.Saved]:
    """Runs the cell; saves what `fused.backward` needs."""
    from lstm_jax.recurrence.gpu.sweeps import run_forward

    slow = partial(fused.forward, cell, reverse=reverse)
    fast = partial(run_forward, cell, reverse=reverse)
    return derived_from(slow, fast)(params, state, inputs, mask, resets)


def backward(
    cell: Cell, reverse: bool, saved: fused.Saved, cotangents: tuple[State, Array]
) -> tuple[Params, State, Any, None, None]:
    """The adjoint of `forward`."""
    from lstm_jax.recurrence.gpu.sweeps import run_backward, scanned_backward

    def loop(
        pull: Any, made_from: tuple, d_last: State, d_outputs: Array, reverse: bool, adjoints: bool
    ) -> tuple:
        del pull
        slow = partial(scanned_backward, cell, reverse=reverse, adjoints=adjoints)
        fast = partial(run_backward, cell, reverse=reverse, adjoints=adjoints)
        return derived_from(slow, fast)(made_from, d_last, d_outputs)

    return fused.backward(cell, reverse, saved, cotangents, loop)


run.defvjp(forward, backward)


def derived_from(slow: Callable, fast: Callable) -> Callable:
    """A function with the values of `fast` and the derivative of `slow`, which are equal.

    So there are gradients of gradients.
    """

    @jax.custom_vjp
    def function(*arguments: Any) -> Any:
        return fast(*arguments)

    def pull(arguments: Any, cotangents: Any) -> Any:
        return jax.vjp(slow, *arguments)[1](cotangents)

    function.defvjp(lambda *arguments: (fast(*arguments), arguments), pull)
    return function
