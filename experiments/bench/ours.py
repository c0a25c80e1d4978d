"""Our own layers as contenders, and the floor: their matrix products alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.bench import devices
from experiments.bench.problem import SEED, Calls, Problem, Unsuitable, compiled_calls, jax_calls

BLOCKS = {"lstm": 4, "gru_reset_after": 3, "rnn": 1}


def one_device(method: str, problem: Problem) -> Calls:
    """`lj.unroll` by some method."""
    cell = lj.CELLS[problem.kind](problem.shape.hidden)
    xs, dy = problem.arrays(cell.output_size)
    return jax_calls(outputs(cell, method), init(cell, problem), xs, dy)


def several_devices(problem: Problem) -> Calls:
    """`lj.unroll` by the fused method, of a batch that is split over the devices.

    Nothing else is said: XLA runs the loops on each device for its own sequences, and adds up the
    gradients of the parameters.
    """
    if problem.shape.batch % problem.devices:
        raise Unsuitable(f"the batch does not divide by the {problem.devices} devices")
    cell = lj.CELLS[problem.kind](problem.shape.hidden)
    params = devices.on_all(init(cell, problem))
    return jax_calls(outputs(cell, "fused"), params, *devices.split_batch(problem.arrays()))


def floor(problem: Problem) -> Calls:
    """The matrix products of a layer and nothing else that could be left out, on one device.

    It keeps whole sequences, so that a layer which runs through them in chunks or on several
    devices may be faster.

        forward    z = XW;  z_t + h_{t−1}U,  h_t a multiple of the sum of its G blocks
        gradient   dz_t Uᵀ from the last step to the first;  dU = Hᵀdz, dW = Xᵀdz, dX = dz Wᵀ
    """
    if problem.kind not in BLOCKS:
        raise Unsuitable(f"does not know the products of {problem.kind}")
    blocks, (*_, inputs, hidden) = BLOCKS[problem.kind], problem.shape
    rng = np.random.default_rng(SEED)
    kernel, recurrent_kernel = (
        jnp.asarray(rng.standard_normal((size, blocks * hidden), np.float32) / hidden**0.5)
        for size in (inputs, hidden)
    )
    xs, dy = map(jnp.asarray, problem.arrays())
    params = (kernel, recurrent_kernel)
    return compiled_calls(_products, _gradient_products, (params, xs), (params, xs, dy))


def outputs(cell: lj.Cell, method: str, remat: int | None = None) -> Callable[..., jax.Array]:
    """`(params, xs, lengths, resets) -> ys` of a cell."""

    def function(params: Any, xs: jax.Array, lengths: Any = None, resets: Any = None) -> jax.Array:
        options: dict[str, Any] = dict(lengths=lengths, resets=resets, remat=remat, method=method)
        return lj.unroll(cell, params, xs, **options)[1]

    return function


def init(cell: lj.Cell, problem: Problem) -> Any:
    """A cell's parameters for a problem."""
    return cell.init(jax.random.key(SEED), problem.shape.inputs)


def _products(params: tuple[jax.Array, jax.Array], xs: jax.Array) -> jax.Array:
    """hs [T, B, H]."""
    kernel, recurrent_kernel = params
    steps, batch, _ = xs.shape
    hidden = len(recurrent_kernel)
    z = (xs.reshape(steps * batch, -1) @ kernel).reshape(steps, batch, -1)

    def step(h: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        blocks = (z + h @ recurrent_kernel).reshape(batch, -1, hidden)
        h = 0.1 * blocks.sum(1)
        return h, h

    return jax.lax.scan(step, jnp.zeros((batch, hidden)), z)[1]


def _gradient_products(
    params: tuple[jax.Array, jax.Array], xs: jax.Array, dy: jax.Array
) -> tuple[jax.Array, Any]:
    """hs and the products that lead to the gradients of both kernels and of xs."""
    kernel, recurrent_kernel = params
    steps, batch, inputs = xs.shape
    hs = _products(params, xs)
    blocks = kernel.shape[1] // dy.shape[-1]

    def step(dz: jax.Array, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
        dz = 0.1 * jnp.tile(dy + dz @ recurrent_kernel.T, blocks)
        return dz, dz

    dz = jax.lax.scan(step, jnp.zeros((batch, kernel.shape[1])), dy, reverse=True)[1]
    dz = dz.reshape(steps * batch, -1)
    to_kernel = xs.reshape(steps * batch, inputs).T @ dz
    to_recurrent_kernel = hs.reshape(steps * batch, -1).T @ dz
    return hs, ((to_kernel, to_recurrent_kernel), (dz @ kernel.T).reshape(xs.shape))


OURS: dict[str, Callable[[Problem], Calls]] = {
    "fused": partial(one_device, "fused"),
    "scan": partial(one_device, "scan"),
    "fused_devices": several_devices,
}
