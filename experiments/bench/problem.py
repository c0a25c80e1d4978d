"""What is raced: a layer of some kind and shape, its inputs, and the two calls to be timed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

SEED = 0


class Shape(NamedTuple):
    """T time steps, B sequences, D input features, H hidden units."""

    steps: int
    batch: int
    inputs: int
    hidden: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


class Unsuitable(Exception):
    """A contender cannot run a problem; the message says why."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A layer to run: the gradients are those of <ys, dy>.

    Attributes:
        kind: a name of `lstm_jax.CELLS`.
        shape: its sizes.
        devices: how many devices the batch may be split between.
    """

    kind: str
    shape: Shape
    devices: int = 1

    def arrays(self, output_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """xs [T, B, D] and dy [T, B, H] in float32, the same for every contender."""
        steps, batch, inputs, hidden = self.shape
        rng = np.random.default_rng(SEED)
        xs = rng.standard_normal((steps, batch, inputs), np.float32)
        dy = rng.standard_normal((steps, batch, output_size or hidden), np.float32)
        return xs, dy


@dataclasses.dataclass(frozen=True)
class Calls:
    """The calls to be timed; each returns when all is computed.

    Attributes:
        forward: `() -> ys`, inference.
        gradient: `() -> (ys, (gradients of the parameters, gradient of xs))`.
        batch_major: ys and xs are [B, T, ...] instead of [T, B, ...].
        temp_bytes: `() -> int`, what XLA sets aside for `gradient`; None without XLA.
    """

    forward: Callable[[], Any]
    gradient: Callable[[], Any]
    batch_major: bool = False
    temp_bytes: Callable[[], int] | None = None


def jax_calls(
    function: Callable[..., jax.Array],
    params: Any,
    xs: Any,
    dy: Any,
    *more: Any,
    batch_major: bool = False,
) -> Calls:
    """The compiled calls of `function(params, xs, *more) -> ys`, xs and dy in its own layout."""

    xs, dy = jnp.asarray(xs), jnp.asarray(dy)
    inputs, gradient_inputs = (params, xs, *more), (params, xs, dy, *more)
    return compiled_calls(function, gradient_of(function), inputs, gradient_inputs, batch_major)


def gradient_of(function: Callable[..., jax.Array]) -> Callable[..., Any]:
    """`(params, xs, dy, *more) -> (ys, gradients of <ys, dy> with respect to params and xs)`."""

    def gradient(params: Any, xs: jax.Array, dy: jax.Array, *more: Any) -> Any:
        ys, pull = jax.vjp(lambda params, xs: function(params, xs, *more), params, xs)
        return ys, pull(dy.astype(ys.dtype))

    return gradient


def compiled_calls(
    forward: Callable, gradient: Callable, inputs: tuple, gradient_inputs: tuple,
    batch_major: bool = False,
) -> Calls:
    """The compiled calls of two functions on given arguments."""
    forward, gradient = jax.jit(forward), jax.jit(gradient)
    return Calls(
        forward=lambda: jax.block_until_ready(forward(*inputs)),
        gradient=lambda: jax.block_until_ready(gradient(*gradient_inputs)),
        batch_major=batch_major,
        temp_bytes=lambda: temp_bytes(gradient, *gradient_inputs),
    )


def temp_bytes(function: Any, *arguments: Any) -> int:
    """The bytes that XLA sets aside for a compiled function's intermediate values."""
    return function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes


def check_outputs(name: str, calls: Calls, problem: Problem) -> None:
    """Raises `RuntimeError` unless a contender's outputs have the shape of the problem."""
    steps, batch, _, hidden = problem.shape
    wanted = (batch, steps, hidden) if calls.batch_major else (steps, batch, hidden)
    got = tuple(calls.forward().shape)
    if got != wanted:
        raise RuntimeError(f"{name} on {problem.shape}: outputs have shape {got}, not {wanted}")
