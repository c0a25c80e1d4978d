"""What the door of the core checks: one sentence names the argument, what came, what is wanted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from lstm_jax.types import Params, is_float


def check_inputs(network: Any, params: Params, xs: Array) -> None:
    """Raises unless xs is [T, B, D] of floating-point numbers, with the D of the parameters.

    Of cells whose state has axes between batch and units, xs has them too.
    """
    if not is_float(xs):
        raise TypeError(
            f"xs has dtype {xs.dtype}; give floating-point numbers (embed or one-hot symbols first)"
        )
    space = lowest(jax.eval_shape(lambda: network.initial_state(1))).h.shape[1:-1]
    between = "".join(f"{side}, " for side in space)
    if xs.ndim != 3 + len(space) or xs.shape[2:-1] != space:
        raise ValueError(f"xs has shape {xs.shape}; give [time, batch, {between}features]")
    kernel = getattr(lowest(params), "kernel", None)
    if kernel is not None and kernel.shape[-2] != xs.shape[-1]:
        raise ValueError(
            f"xs has {xs.shape[-1]} features, but the parameters of {network.name} take "
            f"{kernel.shape[-2]}; give xs of shape [time, batch, {between}{kernel.shape[-2]}]"
        )


def lowest(tree: Any) -> Any:
    """The parameters or the state of the lowest layer."""
    return tree if hasattr(tree, "_fields") else lowest(tree[0])


def check_state(network: Any, state: Any, batch_size: int) -> Any:
    """Returns the state in the dtypes of a fresh one; raises where its structure is another."""
    fresh = jax.eval_shape(lambda: network.initial_state(batch_size))
    given_tree: Any = jax.tree.structure(state)
    wanted_tree: Any = jax.tree.structure(fresh)
    if given_tree != wanted_tree:
        raise ValueError(
            f"initial_state has structure {given_tree}; give that of "
            f"{network.name}.initial_state({batch_size}), {wanted_tree}"
        )
    for given, wanted in zip(jax.tree.leaves(state), jax.tree.leaves(fresh), strict=True):
        if jnp.shape(given) != wanted.shape:
            raise ValueError(
                f"initial_state has an array of shape {jnp.shape(given)}; give {wanted.shape}"
            )
    return jax.tree.map(lambda s, f: jnp.asarray(s, f.dtype), state, fresh)


def check_mask(lengths: Any, mask: Any, steps: int, batch: int) -> Array | None:
    """The mask [T, B] that `lengths` or `mask` stands for, or None."""
    if lengths is not None and mask is not None:
        raise ValueError("lengths and mask are both given; give one of them")
    if mask is not None:
        return check_flags("mask", mask, steps, batch)
    if lengths is None:
        return None
    lengths = lengths if isinstance(lengths, jax.Array) else np.asarray(lengths)
    if lengths.shape != (batch,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise ValueError(
            f"lengths has shape {lengths.shape} and dtype {lengths.dtype}; "
            f"give integers of shape ({batch},)"
        )
    if not isinstance(lengths, jax.core.Tracer):
        outside = [int(n) for n in np.asarray(lengths) if not 0 <= n <= steps]
        if outside:
            raise ValueError(f"lengths holds {outside[0]}; give lengths in 0..{steps}")
    return jnp.arange(steps)[:, None] < jnp.asarray(lengths)[None, :]


def check_flags(name: str, flags: Any, steps: int, batch: int) -> Array:
    """Boolean flags [T, B]; raises for another shape or dtype."""
    flags = jnp.asarray(flags)
    if flags.shape != (steps, batch) or flags.dtype != bool:
        raise ValueError(
            f"{name} has shape {flags.shape} and dtype {flags.dtype}; "
            f"give booleans of shape ({steps}, {batch})"
        )
    return flags


def check_method(method: str, known: Iterable[str]) -> None:
    """Raises unless the method is known."""
    known = list(known)
    if method not in known:
        near = difflib.get_close_matches(str(method), known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"method is {method!r}; give one of {', '.join(known)}{hint}")


def check_remat(remat: int | None) -> None:
    """Raises unless remat is None or a positive number of steps."""
    if remat is not None and remat < 1:
        raise ValueError(f"remat is {remat}; give the length of a chunk, 1 or more steps, or None")


def full_float32() -> bool:
    """Whether JAX is set to multiply float32 in full, and not in TF32."""
    wanted = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return wanted in ("highest", "float32", "F32_F32_F32")
