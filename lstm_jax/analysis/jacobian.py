"""The Jacobian of a step, its spectrum, and what many steps make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from jax.flatten_util import ravel_pytree

from lstm_jax.analysis import style
from lstm_jax.analysis.layers import Layer

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

    Example:
      (layer,) = analysis.layers(cell, params, xs)
      J = analysis.jacobians(layer)

    Source: Pascanu et al. 2013, arXiv:1211.5063, equation 5.
    """
    before = jax.tree.map(lambda v: v[::every], layer.states_before())
    return _over_steps(layer)(before, layer.xs[::every])


@jax.jit
def spectrum(matrices: Array) -> Spectrum:
    """Eigenvalues and singular values of Jacobians [..., S, S].

    A state that changes by v changes a step later by J·v. Eigenvalues inside the unit circle stand
    for what is forgotten, those near 1 for what is kept, those outside for what grows; the largest
    singular value bounds the growth of one step.

    Example:
      sizes = jnp.abs(analysis.spectrum(J).eigenvalues)

    Source: Pascanu et al. 2013, arXiv:1211.5063, section 2.1.
    """
    return Spectrum(
        jnp.linalg.eigvals(matrices), jnp.linalg.svd(matrices, compute_uv=False)
    )


def lyapunov_exponents(layer: Layer, count: int = 8) -> Array:
    """The leading Lyapunov exponents along each sequence: the mean log growth of a step.

        Q_t R_t = J_t Q_{t−1},  λ_k = (1/T) Σ_t ln |R_t[k, k]|

    of random orthonormal Q_0 with `count` columns. A change of the state grows or shrinks as
    e^(λ₁ t): λ₁ near 0 is what long memory needs, and −1/λ₁ steps is how long it lasts.

    Args:
      layer: of `layers`, without padding.
      count: how many, at most S.

    Returns:
      λ [B, count], the largest first.

    Raises:
      ValueError: a count that S does not allow, or sequences with padding.

    Example:
      analysis.lyapunov_exponents(layer, count=1)

    Source: Benettin et al. 1980, Meccanica 15; Vogt et al. 2022, Frontiers in Applied Mathematics
    and Statistics 8, arXiv:2006.14123.
    """
    start = jax.vmap(lambda s: ravel_pytree(s)[0])(layer.initial_state)
    if not 1 <= count <= start.shape[1]:
        raise ValueError(f"lyapunov_exponents: count is {count}; give 1 to {start.shape[1]}")
    if not np.asarray(layer.mask).all():
        raise ValueError("lyapunov_exponents: some sequences have padding; give whole ones")
    return _exponents(layer, count)


def _exponents(layer: Layer, count: int) -> Array:
    def one(initial: Array, xs: Array) -> Array:
        first, back = ravel_pytree(initial)
        noise = jax.random.normal(jax.random.key(0), (first.size, count), first.dtype)
        basis, _ = jnp.linalg.qr(noise)

        def body(carry: tuple, x: Array) -> tuple[tuple, Array]:
            state, basis = carry

            def advance(flat: Array) -> Array:
                return _step(layer, back(flat), x)

            after, push = jax.linearize(advance, state)
            basis, upper = jnp.linalg.qr(jax.vmap(push, 1, 1)(basis))
            return (after, basis), jnp.log(jnp.abs(jnp.diagonal(upper)))

        _, logs = jax.lax.scan(body, (first, basis), xs)
        return jnp.sort(logs.mean(axis=0))[::-1]

    return jax.jit(jax.vmap(one, (0, 1)))(layer.initial_state, layer.xs)


def _over_steps(layer: Layer):
    """J for states [T, B, ...] and inputs [T, B, D]."""

    def one(state: Array, x: Array) -> Array:
        flat, back = ravel_pytree(state)
        return jax.jacfwd(lambda flat: _step(layer, back(flat), x))(flat)

    return jax.jit(jax.vmap(jax.vmap(one)))


def _step(layer: Layer, state: Array, x: Array) -> Array:
    """One step of one sequence, its new state in one vector."""
    batched = jax.tree.map(lambda v: v[None], state)
    new, _ = layer.cell.step(layer.params, batched, x[None])
    return ravel_pytree(jax.tree.map(lambda v: v[0], new))[0]


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
        look = {"color": style.COLORS[index % 7], "alpha": 0.4, "linewidths": 0}
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
