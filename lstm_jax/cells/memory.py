"""What the cells with a cell state c share beside their equations: peepholes, clipping, state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.cells.build import build
from lstm_jax.cells.functions import clipper
from lstm_jax.cells.initializers import INITIALIZERS, Gating
from lstm_jax.types import Cell, LSTMState, Params, State, zeros


class LSTMParams(NamedTuple):
    """kernel [D, G·H], recurrent_kernel [H, G·H], bias [G·H], peephole [K, H] or [K, H, H].

    K counts the gates that look at c, in the order i f o. With heads, recurrent_kernel is
    [heads, H/heads, G·H/heads].
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    peephole: Array | None = None


def memory_cell(
    name: str,
    gating: Gating,
    equations: Callable,
    hidden_size: int,
    options: Mapping[str, Any],
    *,
    params_type: Callable[..., Params] = LSTMParams,
    initial_state: Callable[[int, jnp.dtype], State] | None = None,
    output_size: int | None = None,
    more: Callable[[PRNGKey, jnp.dtype], dict[str, Array]] | None = None,
    **rest: Any,
) -> Cell:
    """Builds a cell with a cell state.

    `equations` takes a fifth argument, `clip`, to apply to the new c. The other arguments are
    those of `build`; every block but g looks at c where the cell has peepholes.
    """
    output_size = output_size or hidden_size

    def fresh(batch_size: int, dtype: jnp.dtype) -> LSTMState:
        return LSTMState(
            h=zeros(batch_size, output_size, dtype), c=memory((batch_size, hidden_size), dtype)
        )

    def fields(key: PRNGKey, dtype: jnp.dtype) -> dict[str, Array]:
        gates = len(gating.blocks.replace("g", ""))
        k_peephole, k_more = jax.random.split(key)
        own = more(k_more, dtype) if more else {}
        return own | peephole(k_peephole, options["peepholes"], gates, hidden_size, dtype)

    return build(
        name,
        gating,
        partial(equations, clip=clipper(options["cell_clip"])),
        params_type,
        initial_state or fresh,
        hidden_size,
        options,
        recurrent_size=output_size,
        output_size=output_size,
        more=fields,
        **rest,
    )


def memory(shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """A fresh c: at least float32."""
    return jnp.zeros(shape, jnp.promote_types(dtype, jnp.float32))


def peephole(
    key: PRNGKey, kind: str | bool, gates: int, size: int, dtype: jnp.dtype
) -> dict[str, Array]:
    """Initial peepholes: small normal (σ = 0.1) diagonals, Glorot matrices."""
    if kind == "diagonal":
        return {"peephole": INITIALIZERS["small_normal"](key, (gates, size), dtype)}
    if kind == "full":
        return {"peephole": INITIALIZERS["glorot"](key, (gates, size, size), dtype)}
    return {}
