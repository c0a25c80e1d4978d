"""What may keep a cell from the kernels: jax, the machine, the cell's dtype, shapes, equations."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array

from lstm_jax.recurrence import wiring
from lstm_jax.recurrence.blocks import apart
from lstm_jax.recurrence.checks import full_float32
from lstm_jax.types import Cell, HeadProduct, Params, State, matmul

JAX_NEEDED = (0, 10)
DTYPES = ("bfloat16", "float32")


def obstacle(cell: Cell, params: Params, state: State, inputs: Any) -> str | None:
    """What keeps a cell from the kernels, in a clause; None where nothing does.

    Args:
      cell, params, state: as `run` takes them, or their shapes and dtypes.
      inputs: shapes and dtypes of the input part.
    """
    if jax.__version_info__ < JAX_NEEDED:
        return f"its kernels need jax 0.10 or newer, and this is {jax.__version__}"
    from lstm_jax.recurrence.gpu.device import INTERPRETED

    reason = None if INTERPRETED else platform_obstacle()
    return reason or cell_obstacle(cell, params, state, inputs)


def platform_obstacle() -> str | None:
    """What the machine lacks."""
    if jax.default_backend() != "gpu":
        return f"its kernels need a GPU, and JAX runs on {jax.default_backend()}"
    gpu = jax.devices()[0]
    capability = str(getattr(gpu, "compute_capability", "unknown"))
    if not capability.startswith("9."):
        return (
            f"its kernels need the matrix unit of Hopper (compute capability 9.0), and "
            f"{gpu.device_kind} has {capability}"
        )
    return None


def cell_obstacle(cell: Cell, params: Params, state: State, inputs: Any) -> str | None:
    """What about the cell the kernels cannot do."""
    if cell.compute_dtype.name not in DTYPES:
        return f"its kernels compute in bfloat16 and float32, not in {cell.compute_dtype}"
    if cell.compute_dtype == jnp.float32 and full_float32():
        exact = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
        return f"its kernels multiply float32 in TF32, and jax_default_matmul_precision is {exact}"
    if any(v.dtype == bool for v in jax.tree.leaves(params)):
        return "its noise has a mask for each sequence"
    steps, batch = jax.tree.leaves(inputs)[0].shape[:2]
    if not (isinstance(steps, int) and isinstance(batch, int)):
        return "its kernels need to know the number of steps and sequences"
    return shape_obstacle(cell, params, state, inputs, batch)


def shape_obstacle(
    cell: Cell, params: Params, state: State, inputs: Any, batch: int
) -> str | None:
    """What about the cell's products does not fit the kernels."""
    from lstm_jax.recurrence.gpu import sweeps

    if state.h.ndim != 2 or cell.hidden_size < 2:
        return f"its output is {state.h.shape}, and its kernels run vectors of 2 units or more"
    if any(v.ndim != 2 for v in jax.tree.leaves(state)):
        return "its state holds more than vectors"
    if any(v.ndim != 3 for v in jax.tree.leaves(inputs)):
        return "its input part holds more than a vector a step"
    if cell.product is not matmul and not isinstance(cell.product, HeadProduct):
        return "its product is another than that of matrices"
    x = jax.eval_shape(wiring.first, inputs)
    kernels = jax.eval_shape(partial(wiring.product_kernels, cell), params, state, x)
    if not kernels:
        return "its equations have no product with the state"
    if not all(isinstance(u, jax.ShapeDtypeStruct) for u in kernels):
        return "its kernels are quantized"
    if len({u.ndim for u in kernels}) > 1:
        return "some of its products have heads and some have none"
    sizes = {n for u in kernels for n in sweeps.flat_shape(u)}
    if any(n > cell.hidden_size and n % cell.hidden_size for n in sizes):
        return f"its products have matrices of {sorted(sizes)}, no multiples of its hidden size"
    for transposed in (False, True):
        setting = sweeps.setting(cell, kernels, transposed)
        if setting.plan(cell.hidden_size, batch, sweeps.current().chip) is None:
            return (
                f"hidden size {cell.hidden_size} with a batch of {batch} in "
                f"{cell.compute_dtype} does not fit the chip's shared memory"
            )
    return equations_obstacle(cell, kernels, params, state, inputs)


def equations_obstacle(
    cell: Cell, kernels: list, params: Params, state: State, inputs: Any
) -> str | None:
    """What the equations, or their transpose, do beyond tiles."""
    from lstm_jax.recurrence.gpu import sweeps, tiles

    x = jax.eval_shape(wiring.first, inputs)
    over_time, vectors = jax.eval_shape(lambda: stacked(cell, kernels, state))
    recorded = (over_time, inputs, vectors, True, True)
    try:
        forward = sweeps.traced_forward(cell, kernels, params, state, x, True, True)
        backward = sweeps.traced_backward(cell, kernels, params, recorded, adjoints=True)
        for step in (forward, backward):
            sweeps.rehearse(tiles.program(step, cell.hidden_size))
    except tiles.Untileable as error:
        return str(error)
    return None


def stacked(cell: Cell, kernels: list, state: State) -> tuple[State, list[list[Array]]]:
    """States and the results of products, of one step, as the forward pass saves them."""
    from lstm_jax.recurrence.gpu import sweeps

    rows = state.h.shape[0]
    states = jax.tree.map(lambda v: jnp.zeros((1, *v.shape), v.dtype), state)
    results = [jnp.zeros((1, rows, sweeps.flat_shape(u)[1]), u.dtype) for u in kernels]
    return states, [apart(cell, z) for z in results]
