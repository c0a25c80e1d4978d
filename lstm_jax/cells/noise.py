"""Noise that regularizes recurrent networks: cells in, cells of the same parameters out.

It is on when `unroll` is given a key, and each transformation may be applied to another's result:
`lj.zoneout(lj.drop_connect(lj.lstm(128), 0.5), 0.1)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.types import Affine, Cell, Gates, Params, Recipe, State


def drop(key: PRNGKey | None, v: Array, rate: float) -> Array:
    """Dropout: v ⊙ m / (1 − rate) with m ~ Bernoulli(1 − rate); v itself without a key."""
    if key is None or rate == 0:
        return v
    return keep(jax.random.bernoulli(key, 1 - rate, v.shape), v, rate)


def keep(mask: Array | None, v: Array, rate: float) -> Array:
    """v / (1 − rate) where the mask holds, zero elsewhere; v itself for None."""
    return v if mask is None else jnp.where(mask, v / (1 - rate), jnp.zeros_like(v))


def check_rate(name: str, argument: str, rate: float) -> None:
    """Raises unless 0 <= rate < 1."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name}: {argument} is {rate}; give a rate in [0, 1)")


def drop_connect(cell: Cell, rate: float) -> Cell:
    """DropConnect on the recurrent kernel: one mask on U for all steps of a sequence.

        U' = U ⊙ m / (1 − rate),  m ~ Bernoulli(1 − rate)

    Args:
      cell: a cell with a `recurrent_kernel`.
      rate: the share of weights that is dropped, in [0, 1).

    Raises:
      ValueError: a rate out of range, or a cell without a recurrent kernel.

    Example:
      cell = lj.drop_connect(lj.lstm(128), 0.5)

    Source: Merity et al. 2018, "Regularizing and optimizing LSTM language models",
    arXiv:1708.02182, section 2.
    """
    check_rate("drop_connect", "rate", rate)
    if "recurrent_kernel" not in jax.eval_shape(lambda: cell.init(jax.random.key(0), 1))._fields:
        raise ValueError(f"drop_connect: {cell.name} has no recurrent_kernel; give a cell with one")

    def prepare(params: Params, key: PRNGKey | None, state: State) -> Params:
        if key is None:
            return cell.prepare(params, None, state)
        k_drop, k_inner = jax.random.split(key)
        kernel = drop(k_drop, params.recurrent_kernel, rate)
        return cell.prepare(params._replace(recurrent_kernel=kernel), k_inner, state)

    return dataclasses.replace(
        cell,
        name=f"drop_connect({cell.name})",
        identity=("drop_connect", cell, rate),
        recipe=Recipe("drop_connect", cell, {"rate": rate}),
        prepare=prepare,
    )


def variational_dropout(cell: Cell, *, inputs: float = 0.0, recurrent: float = 0.0) -> Cell:
    """Variational dropout: one mask for all steps of a sequence.

        xW becomes (x ⊙ m_x / (1 − inputs)) W, and in each step's products
        aU becomes (a ⊙ m_a / (1 − recurrent)) U

    where a is h, or whatever else of the state a product reads (r⊙h in a GRU, the old gates under
    full gate recurrence, the unprojected output of an LSTMP). Each product has a mask of its own.

    Args:
      cell: a cell.
      inputs: rate for the inputs, in [0, 1).
      recurrent: rate for the products inside a step, in [0, 1).

    Example:
      cell = lj.variational_dropout(lj.lstm(128), inputs=0.2, recurrent=0.3)

    Source: Gal & Ghahramani 2016, "A theoretically grounded application of dropout in recurrent
    neural networks", arXiv:1512.05287, section 4.
    """
    check_rate("variational_dropout", "inputs", inputs)
    check_rate("variational_dropout", "recurrent", recurrent)

    def prepare(params: Params, key: PRNGKey | None, state: State) -> tuple[Params, Any]:
        if key is None:
            return cell.prepare(params, None, state), (None, None)
        k_inner, k_inputs, k_recurrent = jax.random.split(key, 3)
        x = jnp.zeros((1, *state.h.shape[:-1], params.kernel.shape[-2]), state.h.dtype)
        params = cell.prepare(params, k_inner, state)
        shapes = operand_shapes(cell, params, state, x)
        keys = jax.random.split(k_recurrent, len(shapes))
        masks = [
            jax.random.bernoulli(k, 1 - recurrent, shape)
            for k, shape in zip(keys, shapes, strict=True)
        ]
        return params, (jax.random.bernoulli(k_inputs, 1 - inputs, x.shape[1:]), masks)

    def masked_inputs(params: tuple[Params, Any], xs: Array, keys: PRNGKey | None) -> Any:
        params, (mask, _) = params
        xs = keep(None if mask is None else mask[None], xs, inputs)
        return cell.inputs(params, xs, keys)  # type: ignore[misc]

    def equations(
        params: tuple[Params, Any], state: State, x: Any, affine: Affine
    ) -> tuple[State, Gates]:
        params, (_, masks) = params
        remaining = iter(masks or [])

        def masked(x: Any, a: Array, kernel: Array) -> Array:
            return affine(x, keep(next(remaining, None), a, recurrent), kernel)

        return cell.equations(params, state, x, masked)

    return dataclasses.replace(
        cell,
        name=f"variational_dropout({cell.name})",
        identity=("variational_dropout", cell, inputs, recurrent),
        recipe=Recipe("variational_dropout", cell, {"inputs": inputs, "recurrent": recurrent}),
        prepare=prepare,
        inputs=masked_inputs,
        equations=equations,
    )


def operand_shapes(cell: Cell, params: Params, state: State, xs: Array) -> list[tuple[int, ...]]:
    """The shape of what each product in the equations reads, in order."""
    shapes: list[tuple[int, ...]] = []

    def affine(x: Any, a: Array, kernel: Array) -> Array:
        shapes.append(a.shape)
        return cell.product(a.astype(kernel.dtype), kernel) + x

    def step(params: Params, state: State, xs: Array) -> State:
        inputs = cell.inputs(params, xs, None)  # type: ignore[misc]
        return cell.equations(params, state, jax.tree.map(lambda v: v[0], inputs), affine)[0]

    jax.eval_shape(step, params, state, xs)
    return shapes


def zoneout(cell: Cell, rate: float | Mapping[str, float]) -> Cell:
    """Zoneout: at random, units keep their state.

        s' = m⊙s + (1 − m)⊙step(s),  m ~ Bernoulli(rate)   with a key
        s' = rate·s + (1 − rate)·step(s)                    without

    Args:
      cell: a cell.
      rate: for every field of the state, or by field, as in {"c": 0.5, "h": 0.05}; in [0, 1).

    Example:
      cell = lj.zoneout(lj.lstm(128), {"c": 0.5, "h": 0.05})

    Source: Krueger et al. 2017, "Zoneout: regularizing RNNs by randomly preserving hidden
    activations", arXiv:1606.01305, equations 4-6.
    """
    fields = jax.eval_shape(lambda: cell.initial_state(1))._fields
    rates = dict(rate) if isinstance(rate, Mapping) else dict.fromkeys(fields, rate)
    for field, value in rates.items():
        if field not in fields:
            raise ValueError(f"zoneout: rate names {field!r}; the state has {', '.join(fields)}")
        check_rate("zoneout", f"rate of {field}", value)

    def inputs(params: Params, xs: Array, keys: PRNGKey | None) -> tuple[Any, Any]:
        if keys is None:
            return cell.inputs(params, xs, None), None  # type: ignore[misc]
        state = jax.eval_shape(lambda: cell.initial_state(xs.shape[1]))

        def draw(key: PRNGKey) -> tuple[PRNGKey, dict[str, Array]]:
            inner, *own = jax.random.split(key, 1 + len(rates))
            return inner, {
                field: jax.random.bernoulli(k, rates[field], getattr(state, field).shape)
                for k, field in zip(own, rates, strict=True)
            }

        inner, masks = jax.vmap(draw)(keys)
        return cell.inputs(params, xs, inner), masks  # type: ignore[misc]

    def equations(
        params: Params, state: State, x: tuple[Any, Any], affine: Affine
    ) -> tuple[State, Gates]:
        x, masks = x
        new, gates = cell.equations(params, state, x, affine)
        mixed = {
            field: mix(masks and masks[field], getattr(state, field), getattr(new, field), r)
            for field, r in rates.items()
        }
        return new._replace(**mixed), gates

    return dataclasses.replace(
        cell,
        name=f"zoneout({cell.name})",
        identity=("zoneout", cell, tuple(sorted(rates.items()))),
        recipe=Recipe("zoneout", cell, {"rate": rates}),
        inputs=inputs,
        equations=equations,
    )


def mix(mask: Array | None, old: Array, new: Array, rate: float) -> Array:
    """The old state where the mask holds, the new one elsewhere; their expectation for None."""
    return rate * old + (1 - rate) * new if mask is None else jnp.where(mask, old, new)
