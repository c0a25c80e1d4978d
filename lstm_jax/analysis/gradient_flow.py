"""How much of a gradient comes back through time: vanishing, exploding or held."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array, ArrayTree, PRNGKey

from lstm_jax.analysis import style
from lstm_jax.analysis.layers import check_floating, each, map_cells, rebuild, turn
from lstm_jax.recurrence.scan import rows
from lstm_jax.recurrence.stack import Stack
from lstm_jax.recurrence.unroll import Network, unroll
from lstm_jax.types import Affine, Cell, Gates, Params, State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALL, LARGE = 1e-2, 1e2  # a change over all lags beyond these is called vanishing, exploding
FLOOR = 1e-8  # of the largest norm, below which a plot shows nothing


def state_gradients(
    network: Network,
    params: Params,
    xs: Array,
    loss: Callable[[Array], Array] | None = None,
    initial_state: State | None = None,
    lengths: Array | None = None,
    key: PRNGKey | None = None,
) -> Any:
    """The gradient of a loss with respect to every state of every layer, at every step.

        λ_t = ∂L/∂s_t,  s_t = (h_t, c_t) as step t leaves it and step t+1 and the loss read it

    so that λ_{t−1} = J_tᵀ λ_t + what the loss reads of s_{t−1} itself, J_t = ∂s_t/∂s_{t−1}. The
    way from c_t to h_t of the same step lies inside the step and is no part of ∂L/∂c_t.

    Args:
      network: a cell, a stack or a bidirectional network.
      params: as `network.init` returns them.
      xs: inputs [T, B, D].
      loss: `ys [T, B, output_size] -> scalar`. By default Σ_b v_b·h_b, of a random unit vector v_b
        and the h_b that the topmost layer ends with; in a bidirectional one, each direction ends
        with its own.
      initial_state: as `network.initial_state` returns it, which is the default.
      lengths: [B] integers, the valid steps of each sequence.
      key: turns dropout and zoneout on.

    Returns:
      For a cell a state whose fields are [T, B, ...], in input order; for a stack a tuple of these
      with one entry a layer, for a bidirectional pair a pair. Zero where a step does not happen.

    Raises:
      TypeError, ValueError: as `lstm_jax.unroll`; a state that has no gradient.

    Example:
      cell = lj.lstm(16)
      params = cell.init(jax.random.key(0), 8)
      xs = jax.random.normal(jax.random.key(1), (50, 4, 8))
      dc = analysis.state_gradients(cell, params, xs, lambda ys: jnp.sum(ys[-1] ** 2)).c

    Source: Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 3.1; Pascanu et al.
    2013, arXiv:1211.5063, equations 3 to 5.
    """
    xs = jnp.asarray(xs)

    def objective(changes: Any) -> Array:
        probed, own = probe(network, params, changes)
        state, ys = unroll(probed, own, xs, initial_state, lengths, key=key, method="scan")
        return random_projection(network, state) if loss is None else loss(ys)

    return jax.grad(objective)(no_changes(network, *xs.shape[:2]))


def gradient_flow(
    network: Network,
    params: Params,
    xs: Array,
    loss: Callable[[Array], Array] | None = None,
    initial_state: State | None = None,
    lengths: Array | None = None,
    key: PRNGKey | None = None,
) -> dict[str, dict[str, Array]]:
    """The norms ‖∂L/∂h_t‖ and ‖∂L/∂c_t‖ of every layer, at every step.

    Args: as those of `state_gradients`.

    Returns:
      By the name of the layer (see `layers`) and of the field ("h", "c", ...; "state" is all of
      them together), the norms [T, B], in the layer's running order: of a backward layer, that at
      the last valid step comes first.

    Raises:
      TypeError, ValueError: as `lstm_jax.unroll`.

    Example:
      flow = analysis.gradient_flow(cell, params, xs)["lstm"]["state"]     # [T, B]
      print(analysis.growth(flow).verdict)
    """
    gradients = state_gradients(network, params, xs, loss, initial_state, lengths, key)
    found = norms(network, gradients)
    backward = [name for name in found if "backward" in name.split(", ")]
    turned = {name: {f: turn(v, lengths) for f, v in found[name].items()} for name in backward}
    return found | turned


def norms(network: Network, gradients: Any) -> dict[str, dict[str, Array]]:
    """The norms [T, B] of what `state_gradients` returned, by layer and field, in input order."""
    return {name: _fields(own) for name, _, own in each(network, gradients)}


def random_projection(network: Network, state: State, seed: int = 0) -> Array:
    """Σ v·h over sequences, of what the topmost layer ends with and random unit vectors v."""
    total: Any = 0.0
    for h in _last_outputs(network, state):
        exact = jnp.promote_types(h.dtype, jnp.float32)
        directions = jax.random.normal(jax.random.key(seed), h.shape, exact)
        directions /= rows(_norm(directions[None])[0], directions)
        total += jnp.sum(directions * h)
    return total


def _last_outputs(network: Network, state: State) -> list[Array]:
    """The last h of each direction of the topmost layer."""
    if isinstance(network, Cell):
        return [state.h]
    if isinstance(network, Stack):
        return _last_outputs(network.layers[-1], state[-1])
    return [*_last_outputs(network.forward, state[0]), *_last_outputs(network.backward, state[1])]


class Growth(NamedTuple):
    """What becomes of a gradient on its way back.

    Attributes:
      factor: by which its norm is multiplied at each step back, the slope of log norm over lag.
      total: by which it changes over all lags, factor^(T−1).
      verdict: "vanishing" where total is below 0.01, "exploding" above 100, else "held".
    """

    factor: float
    total: float
    verdict: str


def growth(flow: Array) -> Growth:
    """Fits the norms of one layer over the lag.

        ln ‖λ_{T−k}‖ ≈ a + k ln γ,  by least squares of the mean over the batch

    Args:
      flow: norms [T, B] of sequences without padding, of a loss at the last step.

    Raises:
      ValueError: fewer than two steps, NaN, or a sequence that has no gradient at its last step.

    Example:
      analysis.growth(0.5 ** jnp.arange(20)[::-1, None]).factor            # 0.5

    Source: Bengio et al. 1994, IEEE Transactions on Neural Networks 5(2) (gradients that vanish).
    """
    curve = over_lag(flow)
    if len(curve) < 2:
        raise ValueError(f"growth: flow has {len(curve)} steps; give two or more")
    if np.isnan(curve).any() or not np.all(np.asarray(flow)[-1] > 0):
        raise ValueError(
            "growth: flow has NaN, or zero at the last step; give whole sequences and a loss at"
            " their end"
        )
    if np.isinf(curve).any():
        return Growth(np.inf, np.inf, "exploding")
    known = curve[: int(np.cumprod(curve > 0).sum())]  # before it underflows
    if len(known) < 2:
        return Growth(0.0, 0.0, "vanishing")
    slope = np.polyfit(np.arange(len(known)), np.log(known), 1)[0]
    change = slope * (len(curve) - 1)
    verdict = "held"
    if change < np.log(SMALL):
        verdict = "vanishing"
    if change > np.log(LARGE):
        verdict = "exploding"
    with np.errstate(over="ignore"):
        return Growth(float(np.exp(slope)), float(np.exp(change)), verdict)


def over_lag(flow: Array) -> np.ndarray:
    """The norms [T, B] as one curve [T] over the lag: their geometric mean over the batch."""
    values = np.asarray(flow, np.float64)[::-1]
    with np.errstate(divide="ignore"):
        return np.exp(np.log(values).mean(axis=1))


def plot_gradient_flow(flows: Mapping[str, Array], title: str = "") -> Figure:
    """Plots norms [T, B] over the lag on a log scale: the median of a batch, and its quartiles.

    Args:
      flows: what `gradient_flow` returned of one field, by what the legend calls it; the legend
        adds the verdict of `growth`.
      title: of the plot.

    Example:
      figure = analysis.plot_gradient_flow({"lstm": flow})
      figure.savefig("flow.png")
    """
    drawn, axes = style.figure()
    for index, (name, flow) in enumerate(flows.items()):
        _band(axes, index, np.asarray(flow)[::-1], f"{name}: {growth(flow).verdict}")
    axes.set(xlabel="lag: steps between the state and the output", yscale="log", title=title)
    axes.set_ylabel("norm of the gradient at the state")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], FLOOR * axes.get_ylim()[1]))
    style.legend(drawn, axes)
    return drawn


def plot_state_gradients(flows: Mapping[str, Array], title: str = "") -> Figure:
    """Plots norms [T, B] over time: the median of a batch, and its quartiles.

    Example:
      flow = analysis.gradient_flow(cell, params, xs, lambda ys: jnp.mean(ys ** 2))["lstm"]
      figure = analysis.plot_state_gradients(flow)
    """
    drawn, axes = style.figure()
    for index, (name, flow) in enumerate(flows.items()):
        _band(axes, index, np.asarray(flow), name)
    axes.set(xlabel="step", ylabel="norm of the gradient at the state", yscale="log", title=title)
    style.legend(drawn, axes)
    return drawn


def _band(axes: Axes, index: int, values: np.ndarray, label: str) -> None:
    """The median over the batch [T, B] as a line, the quartiles as a band; zeros are left out."""
    quantiles = np.quantile(values.astype(np.float64), (0.25, 0.5, 0.75), axis=1)
    low, middle, high = np.where(quantiles > 0, quantiles, np.nan)
    look, steps = style.line(index), np.arange(len(values))
    axes.plot(steps, middle, label=label, **look)
    axes.fill_between(steps, low, high, color=look["color"], alpha=0.15, linewidth=0)


def probe(network: Network, params: Params, changes: Any) -> tuple[Network, Params]:
    """A network that adds `changes` to its states, a leaf [T, B, ...] each, and its parameters.

    It is to be run by `method="scan"` without `remat`: whole sequences at once.
    """
    return rebuild(network, _probe), map_cells(network, lambda _, *both: both, params, changes)


def no_changes(network: Network, steps: int, batch_size: int) -> Any:
    """Zeros for every state of every step, nested as `network.initial_state` is."""

    def zeros(cell: Cell) -> ArrayTree:
        fresh = jax.eval_shape(lambda: cell.initial_state(batch_size))
        check_floating(cell, fresh)
        return jax.tree.map(lambda v: np.zeros((steps, *v.shape), v.dtype), fresh)

    return map_cells(network, zeros)


def _probe(cell: Cell) -> Cell:
    def prepare(params: Params, key: PRNGKey | None, state: State) -> Params:
        own, changes = params
        return cell.prepare(own, key, state), changes

    def inputs(params: Params, xs: Array, keys: PRNGKey | None) -> Any:
        own, changes = params
        return cell.inputs(own, xs, keys), changes  # type: ignore[misc]

    def equations(params: Params, state: State, x: Any, affine: Affine) -> tuple[State, Gates]:
        x, change = x
        new, gates = cell.equations(params[0], state, x, affine)
        return jax.tree.map(lambda n, c: n + c.astype(n.dtype), new, change), gates

    return dataclasses.replace(
        cell,
        identity=("probe", cell),
        recipe=None,
        prepare=prepare,
        inputs=inputs,
        equations=equations,
    )


def _fields(gradient: State) -> dict[str, Array]:
    """The norms of each field, and of all together."""
    fields = {name: _norm(value) for name, value in gradient._asdict().items()}
    return fields | {"state": jnp.linalg.norm(jnp.stack(list(fields.values())), axis=0)}


def _norm(value: Array) -> Array:
    """The norm over all axes but time and batch."""
    squares = jnp.square(value.astype(jnp.promote_types(value.dtype, jnp.float32)))
    return jnp.sqrt(jnp.sum(squares, axis=tuple(range(2, value.ndim))))

