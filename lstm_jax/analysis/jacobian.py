"""The Jacobian of a step, its spectrum, and what many steps make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from jax.flatten_util import ravel_pytree

from lstm_jax.analysis import style
from lstm_jax.analysis.layers import Layer, check_floating
from lstm_jax.types import Cell, Params, State

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Spectrum(NamedTuple):
    """Of Jacobians [..., S, S].

    Attributes:
      eigenvalues: [..., S], complex.
      singular_values: [..., S], the largest first.
    """

    eigenvalues: Array
    singular_values: Array


def jacobians(layer: Layer, every: int = 1) -> Array:
    """The Jacobian of each step with respect to the state before it.

        J_t = ∂s_t/∂s_{t−1},  s = (h, c) in one vector of S numbers

    Args:
      layer: of `layers`.
      every: take only each `every`-th step, to save memory (S·S numbers a step and sequence).

    Returns:
      J [T', B, S, S], row by row what step t does to each entry of its state; of steps that do not
      happen as if they did.

    Raises:
      TypeError: a state with a field that has no gradient.

    Example:
      (layer,) = analysis.layers(cell, params, xs)
      J = analysis.jacobians(layer)

    Source: Pascanu et al. 2013, arXiv:1211.5063, equation 5.
    """
    check_floating(layer.cell, layer.initial_state)
    before = jax.tree.map(lambda v: v[::every], layer.states_before())
    return _over_steps(layer.cell, layer.params, before, layer.xs[::every])


@jax.jit
def spectrum(matrices: Array) -> Spectrum:
    """Eigenvalues and singular values of Jacobians [..., S, S].

    A change v of the state is J·v a step later. If every step had this Jacobian, eigenvalues inside
    the unit circle would stand for what is forgotten, 1 for what is kept, those outside for what
    grows. Steps differ, and eigenvalues do not multiply: what many steps make of a change are the
    Lyapunov exponents. The largest singular value bounds the growth in one step.

    Args:
      matrices: J [..., S, S]; half precision is computed in float32.

    Returns:
      Eigenvalues and singular values, [..., S] each.

    Example:
      sizes = jnp.abs(analysis.spectrum(J).eigenvalues)

    Source: Pascanu et al. 2013, arXiv:1211.5063, section 2.1.
    """
    exact = matrices.astype(jnp.promote_types(matrices.dtype, jnp.float32))
    return Spectrum(jnp.linalg.eigvals(exact), jnp.linalg.svd(exact, compute_uv=False))


def lyapunov_exponents(layer: Layer, count: int = 8) -> Array:
    """The leading finite-time Lyapunov exponents of each sequence: the mean log growth of a step.

        Q_t R_t = J_t Q_{t−1},  λ_k = (1/T) Σ_t ln |R_t[k, k]|

    of random orthonormal Q_0 with `count` columns. A change of the state grows or shrinks as
    e^(λ₁ t): λ₁ near 0 is what long memory needs, and −1/λ₁ steps is how long it lasts. The first
    steps, in which Q turns to where it grows, count as well: short sequences have them too low.

    Args:
      layer: of `layers`, without padding.
      count: how many, at most S.

    Returns:
      λ [B, count], the largest first.

    Raises:
      ValueError: a count that S does not allow, or sequences with padding.
      TypeError: a state with a field that has no gradient.

    Example:
      analysis.lyapunov_exponents(layer, count=1)

    Source: Benettin et al. 1980, Meccanica 15; Vogt et al. 2022, Frontiers in Applied Mathematics
    and Statistics 8, arXiv:2006.14123.
    """
    check_floating(layer.cell, layer.initial_state)
    size = sum(leaf[0].size for leaf in jax.tree.leaves(layer.initial_state))
    if not 1 <= count <= size:
        raise ValueError(f"lyapunov_exponents: count is {count}; give 1 to {size}")
    if not np.asarray(layer.mask).all():
        raise ValueError("lyapunov_exponents: some sequences have padding; give whole ones")
    return _exponents(layer.cell, count, layer.params, layer.initial_state, layer.xs)


@partial(jax.jit, static_argnums=(0, 1))
def _exponents(cell: Cell, count: int, params: Params, initial_state: State, xs: Array) -> Array:
    def one(initial: State, xs: Array) -> Array:
        first, back = _vector(initial)
        basis, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (first.size, count)))

        def body(carry: tuple, x: Array) -> tuple[tuple, Array]:
            state, basis = carry
            after, push = jax.linearize(lambda v: _step(cell, params, back(v), x), state)
            basis, upper = jnp.linalg.qr(jax.vmap(push, 1, 1)(basis))
            return (after, basis), jnp.log(jnp.abs(jnp.diagonal(upper)))

        _, logs = jax.lax.scan(body, (first, basis.astype(first.dtype)), xs)
        return jnp.sort(logs.mean(axis=0))[::-1]

    return jax.vmap(one, (0, 1))(initial_state, xs)


@partial(jax.jit, static_argnums=0)
def _over_steps(cell: Cell, params: Params, states: State, xs: Array) -> Array:
    """J for states [T, B, ...] and inputs [T, B, D]."""

    def one(state: State, x: Array) -> Array:
        flat, back = _vector(state)
        return jax.jacfwd(lambda v: _step(cell, params, back(v), x))(flat)

    return jax.vmap(jax.vmap(one))(states, xs)


def _step(cell: Cell, params: Params, state: State, x: Array) -> Array:
    """One step of one sequence, its new state in one vector."""
    new, _ = cell.step(params, jax.tree.map(lambda v: v[None], state), x[None])
    return _vector(jax.tree.map(lambda v: v[0], new))[0]


def _vector(state: State) -> tuple[Array, Callable[[Array], State]]:
    """A state as one vector, at least float32, and the way back."""
    flat, back = ravel_pytree(state)
    exact = jnp.promote_types(flat.dtype, jnp.float32)
    return flat.astype(exact), lambda v: back(v.astype(flat.dtype))


def plot_spectrum(spectra: Mapping[str, Spectrum], title: str = "") -> Figure:
    """Plots eigenvalues in the complex plane, beside the unit circle, and all singular values.

    Args:
      spectra: by what the legend calls them.
      title: of the plot.

    Example:
      figure = analysis.plot_spectrum({"lstm": analysis.spectrum(J)})
    """
    drawn, (plane, values) = style.panels(2, 9.0, 4.2)
    turn = np.linspace(0, 2 * np.pi, 200)
    plane.plot(np.cos(turn), np.sin(turn), color="black", linewidth=1)
    for index, (name, own) in enumerate(spectra.items()):
        points = np.asarray(own.eigenvalues).ravel()
        look = {"color": style.color(index), "alpha": 0.4, "linewidths": 0}
        plane.scatter(points.real, points.imag, s=8, marker="osD^"[index % 4], **look)
        sizes = np.sort(np.asarray(own.singular_values).ravel())[::-1]
        share = np.arange(1, len(sizes) + 1) / len(sizes)
        values.plot(share, sizes, label=name, **style.line(index))
    plane.set(aspect="equal", xlabel="real part", ylabel="imaginary part")
    plane.set_title("eigenvalues of one step")
    values.axhline(1.0, color="black", linewidth=1)
    values.set(xlabel="share of the singular values", ylabel="singular value", ylim=(0, None))
    values.set_title("singular values of one step")
    drawn.suptitle(title)
    style.legend(drawn, values)
    return drawn
