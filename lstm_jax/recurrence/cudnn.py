"""`method="cudnn"`: the plain LSTM by NVIDIA's library, through `jax.experimental.rnn`.

cuDNN runs the first n steps of each sequence, all gates fresh from xW + hU + b, and knows neither
holes nor resets. So the steps that happen are moved to the front, in running order, and their
outputs are moved back. Before a step that resets there goes one that wipes the state, marked by
an input feature u of its own, 1 there and 0 elsewhere:

    x̃ = [x, u],  W̃ = [W; −2²⁰ … −2²⁰]    hence i = f = o = 0, c' = f⊙c + i⊙g = 0, h' = 0

σ is exactly 0 in float32 there, and with it every gradient through the wipe. Only a state that is
not finite outlives it, as 0·∞ is no number.

Its limits: `jax.vmap` over `unroll` and gradients of gradients raise NotImplementedError, as the
binding has neither rule (use "scan" or "fused"), and forward mode raises TypeError (use "scan").
XLA does not split it over devices by itself; `jax.shard_map` does. Each call waits on the host
for the lengths. It was never run on a GPU by us: tests hold all but the library's own call against
"scan", with JAX's reference for the same weights in that call's place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.recurrence import scan
from lstm_jax.recurrence.checks import full_float32
from lstm_jax.types import Cell, LSTMState, Params, Recipe

WIPE = -(2.0**20)  # far below any z, and exact in TF32


def run(
    cell: Cell,
    params: Params,
    state: LSTMState,
    xs: Array,
    keys: PRNGKey | None,
    mask: Array | None,
    resets: Array | None,
    reverse: bool,
) -> tuple[LSTMState, Array]:
    """As `scan.run`, in values and gradients, but of the inputs xs [T, B, D] themselves."""
    if reverse:
        xs, mask, resets = jax.tree.map(lambda v: v[::-1], (xs, mask, resets))
        last, hs = run(cell, params, state, xs, keys, mask, resets, False)
        return last, hs[::-1]
    if mask is None and resets is None:
        return sequences(params, state, xs, jnp.full(xs.shape[1], xs.shape[0]))
    happens = jnp.ones(xs.shape[:2], bool) if mask is None else mask
    if resets is None:
        places = arrange(happens)
        xs = at(xs, places.slots)
    else:
        places = arrange(interleaved(resets, happens))
        xs, params = with_wipes(params, xs, places.slots)
    last, hs = sequences(params, state, xs, jnp.maximum(places.lengths, 1))
    own = places.own if resets is None else places.own[1::2]
    return scan.select(places.lengths > 0, last, state), at(hs, own)


class Places(NamedTuple):
    """Where what happens stands when it is moved to the front."""

    slots: Array  # [S, B], what stands at each place
    own: Array  # [S, B], the place of each slot
    lengths: Array  # [B], how much happens


def arrange(happens: Array) -> Places:
    """Moves the slots [S, B] that happen to the front, in order."""
    slots = jnp.argsort(~happens, axis=0, stable=True)
    own = jnp.maximum(jnp.cumsum(happens, axis=0) - 1, 0)
    return Places(slots, own, happens.sum(axis=0))


def interleaved(resets: Array, happens: Array) -> Array:
    """Two slots a step [2T, B]: one for a wipe, one for the step itself."""
    return jnp.stack([resets, happens], axis=1).reshape(-1, resets.shape[1])


def at(v: Array, steps: Array) -> Array:
    """Of v [T, B, N] the given steps [S, B] of each sequence."""
    return jnp.take_along_axis(v, steps[..., None], axis=0)


def with_wipes(params: Params, xs: Array, slots: Array) -> tuple[Array, Params]:
    """The inputs of the slots of `interleaved` and a kernel, both with the feature of a wipe."""
    wipes = (slots % 2 == 0)[..., None]
    xs = jnp.where(wipes, 0, at(xs, slots // 2))
    row = jnp.full_like(params.kernel[:1], WIPE)
    kernel = jnp.concatenate([params.kernel, row])
    return jnp.concatenate([xs, wipes.astype(xs.dtype)], -1), params._replace(kernel=kernel)


def sequences(
    params: Params, state: LSTMState, xs: Array, lengths: Array
) -> tuple[LSTMState, Array]:
    """The first `lengths` steps, at least 1, of each sequence; time first, as everywhere here."""
    x = jnp.swapaxes(xs, 0, 1)
    ys, h, c = call(x, state.h[None], state.c[None], pack(params), lengths.astype(jnp.int32))
    return LSTMState(h[0], c[0]), jnp.swapaxes(ys, 0, 1)


def pack(params: Params) -> Array:
    """cuDNN's one vector: Wᵀ, Uᵀ and two biases, of which the second is zero; blocks i f g o."""
    bias = params.bias
    if bias is None:
        bias = jnp.zeros_like(params.kernel, shape=params.kernel.shape[1])
    matrices = [params.kernel.T.ravel(), params.recurrent_kernel.T.ravel()]
    return jnp.concatenate([*matrices, bias, jnp.zeros_like(bias)])


def call(x: Array, h: Array, c: Array, weights: Array, lengths: Array) -> tuple[Array, ...]:
    """The library's own call.

    Args:
      x: [B, T, D].
      h, c: [1, B, H], one layer in one direction.
      weights: as `pack` returns them.
      lengths: [B] int32, each in 1..T.

    Returns:
      ys [B, T, H], and the h and c [1, B, H] after the last step of each sequence.
    """
    from jax.experimental import rnn

    sizes = x.shape[-1], h.shape[-1], 1, 0.0, False  # layers, dropout, bidirectional
    return rnn.lstm(x, h, c, weights, lengths, *sizes, precision())


def precision() -> jax.lax.Precision:
    """Full float32 where JAX is set to it, else what cuDNN takes by itself, TF32 where there is."""
    return jax.lax.Precision.HIGHEST if full_float32() else jax.lax.Precision.HIGH


def obstacle(
    cell: Cell, params: Params, state: LSTMState, xs: Array, keys: PRNGKey | None
) -> str | None:
    """Why cuDNN cannot run the cell over xs here, or None."""
    del state, keys
    return cell_obstacle(cell, params) or shape_obstacle(xs) or platform_obstacle()


def cell_obstacle(cell: Cell, params: Params) -> str | None:
    """What is wrong with the cell."""
    recipe = cell.recipe
    while recipe is not None and recipe.constructor == "drop_connect":  # changes U alone
        recipe = recipe.first.recipe
    if not is_plain(recipe):
        return "cuDNN knows the plain LSTM alone, without peepholes, cell_clip, heads or zoneout"
    if cell.compute_dtype != jnp.float32:
        return f"JAX's binding of cuDNN computes in float32, not in {cell.compute_dtype}"
    if not all(isinstance(v, jax.Array) for v in (params.kernel, params.recurrent_kernel)):
        return "cuDNN takes no quantized kernels"
    return None


def is_plain(recipe: Recipe | None) -> bool:
    """Whether a recipe is that of the LSTM that cuDNN knows."""
    if recipe is None or recipe.constructor != "lstm":
        return False
    options = {"peepholes": False, "cell_clip": None, "heads": 1} | dict(recipe.options)
    return not options["peepholes"] and options["cell_clip"] is None and options["heads"] == 1


def shape_obstacle(xs: Array) -> str | None:
    """What is wrong with the shape [T, B, D] of the inputs."""
    if not all(isinstance(size, int) for size in xs.shape):
        return f"cuDNN needs numbers for the shape of xs, not the symbols {xs.shape}"
    if 0 in xs.shape:
        return f"cuDNN needs at least one sequence and one feature, and xs has shape {xs.shape}"
    return None


def platform_obstacle() -> str | None:
    """What is wrong with this machine."""
    platform = jax.default_backend()
    if platform != "gpu":
        return f"cuDNN needs an NVIDIA GPU, and JAX runs on {platform}"
    version = jax.devices()[0].client.platform_version
    if "cuda" not in version.lower():
        return f"cuDNN needs an NVIDIA GPU, and JAX runs on {' '.join(version.split())}"
    if not has_binding():
        return f"JAX {jax.__version__} was installed without its binding of cuDNN's LSTM"
    return None


def has_binding() -> bool:
    """Whether JAX and its plugin for CUDA have what `call` needs."""
    try:
        from jax.experimental import rnn
    except ImportError:
        return False
    binding: Any = getattr(rnn, "gpu_rnn", None)
    return hasattr(binding, "compute_rnn_workspace_reserve_space_sizes")
