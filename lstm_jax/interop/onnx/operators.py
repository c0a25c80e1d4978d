"""ONNX's recurrent operators, RNN, LSTM and GRU, as cells of this library run by `unroll`.

The equations are here as the operator specification writes them, so that the numbers are ONNX's
also where a gate saturates. A node whose activations are the usual ones is a cell of the registry,
too, over the same parameters but for signs: that is what one trains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from chex import Array

from lstm_jax.cells.coupled import coupled_lstm
from lstm_jax.cells.functions import peepholes, row, split
from lstm_jax.cells.gru import GRUParams, GRUResetAfterParams, gru, gru_reset_after
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.memory import LSTMParams
from lstm_jax.cells.rnn import RNNParams, rnn
from lstm_jax.interop.onnx.activations import Activation, choose
from lstm_jax.interop.onnx.parsing import Node
from lstm_jax.recurrence.bidirectional import bidirectional
from lstm_jax.recurrence.unroll import unroll
from lstm_jax.types import Affine, Cell, Gates, LSTMState, Params, RNNState

BLOCKS = {"RNN": "h", "LSTM": "iofg", "GRU": "zrn"}
USUAL = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
REVERSED = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


class Settings(NamedTuple):
    """What the attributes of a node say of one direction.

    With `registry`, cells of the registry stand for the nodes that they equal.
    """

    operator: str
    hidden_size: int
    activations: tuple[Activation, ...]
    clip: float | None = None
    input_forget: bool = False
    linear_before_reset: bool = False
    registry: bool = False

    def bound(self, z: Array) -> Array:
        """The input of an activation, clipped where the node asks for it."""
        return z if self.clip is None else jnp.clip(z, -self.clip, self.clip)


class Weights(NamedTuple):
    """One direction of W [G·H, D], R [G·H, H], B [2·G·H] and P [3·H]."""

    w: Array
    r: Array
    b: Array | None
    p: Array | None


def rnn_equations(
    params: RNNParams, state: RNNState, x: Array, affine: Affine, settings: Settings
) -> tuple[RNNState, Gates]:
    (f,) = settings.activations
    return RNNState(f(settings.bound(affine(x, state.h, params.recurrent_kernel)))), {}


def lstm_equations(
    params: LSTMParams, state: LSTMState, x: Array, affine: Affine, settings: Settings
) -> tuple[LSTMState, Gates]:
    gate, squash, out_of = settings.activations
    bound = settings.bound
    look = peepholes(params, affine)
    i, f, g, o = split(affine(x, state.h, params.recurrent_kernel), 4)
    i = gate(bound(look(0, i, state.c)))
    f = 1 - i if settings.input_forget else gate(bound(look(1, f, state.c)))
    g = squash(bound(g))
    c = f * state.c + i * g
    o = gate(bound(look(2, o, c)))
    return LSTMState(o * out_of(c), c), {"i": i, "f": f, "g": g, "o": o}


def gru_equations(
    params: Any, state: RNNState, x: Array, affine: Affine, settings: Settings
) -> tuple[RNNState, Gates]:
    gate, squash = settings.activations
    h, u = state.h, params.recurrent_kernel
    width = 2 * settings.hidden_size
    r, z = split(gate(settings.bound(affine(x[..., :width], h, u[:, :width]))), 2)
    if settings.linear_before_reset:
        n = affine(0, h, u[:, width:])
        bias = params.recurrent_bias
        n = x[..., width:] + r * (n if bias is None else n + row(bias, n))
    else:
        n = affine(x[..., width:], r * h, u[:, width:])
    n = squash(settings.bound(n))
    return RNNState((1 - z) * n + z * h), {"r": r, "z": z, "n": n}


def arrange(v: Array, names: str, wanted: str, negate: str = "") -> Array:
    """The named blocks of the last axis in another order, some with the other sign; traceable."""
    blocks = dict(zip(names, jnp.split(v, len(names), axis=-1), strict=True))
    return jnp.concatenate([-blocks[k] if k in negate else blocks[k] for k in wanted], axis=-1)


def convert_rnn(settings: Settings, weights: Weights, options: dict) -> tuple[Cell, Params]:
    """As `rnn`."""
    activation = settings.activations[0].name.lower()
    if settings.registry and settings.clip is None and activation in ("tanh", "relu"):
        cell = rnn(settings.hidden_size, activation=activation, **options)  # type: ignore[arg-type]
    else:
        cell = specified(rnn(settings.hidden_size, **options), rnn_equations, settings)
    bias = None if weights.b is None else sum(jnp.split(weights.b, 2))
    return cell, RNNParams(weights.w.T, weights.r.T, bias)


def convert_lstm(settings: Settings, weights: Weights, options: dict) -> tuple[Cell, Params]:
    """As `lstm`, or as `coupled_lstm`: f = 1 − σ(z_i) is σ(−z_i)."""
    options = options | {"peepholes": False if weights.p is None else "diagonal"}
    rows: tuple[int, ...] = (0, 2, 1)  # of P, i o f, in the order i f o
    wanted, negate, make = "ifgo", "", lstm
    if settings.input_forget and usual(settings):
        wanted, negate, rows, make = "igo", "i", (0, 1), coupled_lstm
    cell = make(settings.hidden_size, **options)
    if not usual(settings):
        cell = specified(cell, lstm_equations, settings)
    put = partial(arrange, names=BLOCKS["LSTM"], wanted=wanted, negate=negate)
    bias = None if weights.b is None else put(sum(jnp.split(weights.b, 2)))
    peephole = None
    if weights.p is not None:
        peephole = weights.p.reshape(3, -1)[jnp.array(rows)]
        peephole = peephole.at[0].multiply(-1 if negate else 1)
    return cell, LSTMParams(put(weights.w.T), put(weights.r.T), bias, peephole)


def convert_gru(settings: Settings, weights: Weights, options: dict) -> tuple[Cell, Params]:
    """As `gru_reset_after`, or as `gru`, whose z is the complement of ONNX's."""
    make = gru_reset_after if settings.linear_before_reset else gru
    cell = make(settings.hidden_size, **options)
    if not usual(settings):
        cell = specified(cell, gru_equations, settings)
    negate = "z" if usual(settings) and not settings.linear_before_reset else ""
    put = partial(arrange, names=BLOCKS["GRU"], wanted="rzn", negate=negate)
    kernels = put(weights.w.T), put(weights.r.T)
    if weights.b is None:
        return cell, (GRUResetAfterParams if settings.linear_before_reset else GRUParams)(*kernels)
    bias, recurrent = (put(b) for b in jnp.split(weights.b, 2))
    if not settings.linear_before_reset:
        return cell, GRUParams(*kernels, bias + recurrent)
    gates = 2 * settings.hidden_size
    bias = bias.at[:gates].add(recurrent[:gates])
    return cell, GRUResetAfterParams(*kernels, bias, recurrent[gates:])


CONVERT: dict[str, Callable[..., tuple[Cell, Params]]] = {
    "RNN": convert_rnn,
    "LSTM": convert_lstm,
    "GRU": convert_gru,
}


def usual(settings: Settings) -> bool:
    """Whether a cell of the registry stands for the node: no clip, the usual activations."""
    names = [activation.name for activation in settings.activations]
    return settings.registry and settings.clip is None and names == USUAL[settings.operator]


def specified(like: Cell, equations: Callable, settings: Settings) -> Cell:
    """A cell with the parameters and state of another, and the equations of the specification."""
    return dataclasses.replace(
        like,
        name=f"ONNX {settings.operator}",
        equations=partial(equations, settings=settings),
        identity=("ONNX", settings, str(like.dtype), like.identity),
        recipe=None,
    )


def convert(settings: Settings, weights: Weights, dtype: Any) -> tuple[Cell, Params]:
    """The cell and parameters of one direction; `dtype` as in `CellOptions`."""
    options = {"use_bias": weights.b is not None, "dtype": dtype}
    return CONVERT[settings.operator](settings, weights, options)


def read_settings(node: Node, hidden_size: int) -> tuple[tuple[Settings, ...], tuple[bool, ...]]:
    """What a node says of each direction, and whether it runs in reverse."""
    attributes = node.attributes
    direction = attributes.get("direction", "forward")
    if direction not in REVERSED:
        raise ValueError(f"{node}: direction is {direction!r}; give one of {', '.join(REVERSED)}")
    if attributes.get("hidden_size", hidden_size) != hidden_size:
        raise ValueError(
            f"{node}: hidden_size is {attributes['hidden_size']}, but R has {hidden_size} columns"
        )
    count = len(USUAL[node.operator])
    names = attributes.get("activations", USUAL[node.operator] * len(REVERSED[direction]))
    if len(names) != count * len(REVERSED[direction]):
        raise ValueError(
            f"{node}: activations has {len(names)} names; give {count} for each direction"
        )
    alphas = attributes.get("activation_alpha", ())
    activations = choose(node, names, alphas, attributes.get("activation_beta", ()))
    settings = tuple(
        Settings(
            node.operator,
            hidden_size,
            activations[start : start + count],
            attributes.get("clip") or None,
            bool(attributes.get("input_forget")),
            bool(attributes.get("linear_before_reset")),
        )
        for start in range(0, len(names), count)
    )
    return settings, REVERSED[direction]


def check_weights(node: Node, arrays: list[Any], directions: int) -> None:
    """Raises unless W, R, B and P fit one another."""
    w, r, b, p = arrays
    rows, h = len(BLOCKS[node.operator]) * r.shape[-1], r.shape[-1]
    wanted = {"W": (w, (rows, w.shape[-1])), "R": (r, (rows, h)), "B": (b, (2 * rows,)),
              "P": (p, (3 * h,))}  # fmt: skip
    for name, (array, shape) in wanted.items():
        if array is not None and array.shape != (directions, *shape):
            raise ValueError(
                f"{node}: {name} has shape {array.shape}; give {(directions, *shape)}, as R has "
                f"{h} columns"
            )


def layers(node: Node, w: Any, r: Any, b: Any, p: Any, dtype: Any, registry: bool) -> list[tuple]:
    """(cell, params, reverse) of each direction of a node with such weights."""
    settings, reversals = read_settings(node, r.shape[-1])
    check_weights(node, [w, r, b, p], len(reversals))
    made = []
    for index, (one, reverse) in enumerate(zip(settings, reversals, strict=True)):
        weights = Weights(*(None if v is None else jnp.asarray(v[index]) for v in (w, r, b, p)))
        made.append((*convert(one._replace(registry=registry), weights, dtype), reverse))
    return made


def as_network(node: Node, w: Any, r: Any, b: Any, p: Any) -> tuple[Any, Params] | None:
    """The network and parameters that a node is, where the registry has its cells; else None."""
    half = w.dtype.itemsize < 4
    made = layers(node, w, r, b, p, w.dtype if half else None, True)
    if any(cell.recipe is None for cell, _, _ in made):
        return None
    if len(made) == 1:
        return made[0][:2]
    return bidirectional(made[0][0], made[1][0]), (made[0][1], made[1][1])


def run_node(
    node: Node,
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    lengths: Array | None = None,
    h: Array | None = None,
    c: Array | None = None,
    p: Array | None = None,
) -> tuple[Array, ...]:
    """Y, Y_h and, of an LSTM, Y_c, by the node's `layout`; the arguments are its inputs."""
    batch_first = bool(node.attributes.get("layout"))
    x = jnp.asarray(x)
    x = x.swapaxes(0, 1) if batch_first else x
    ends, outputs = [], []
    for index, (cell, params, reverse) in enumerate(layers(node, w, r, b, p, x.dtype, False)):
        given = {"h": h, "c": c}
        given = {k: pick(v, index, batch_first) for k, v in given.items() if v is not None}
        state = cell.initial_state(x.shape[1])._replace(**given)
        end, ys = unroll(cell, params, x, state, lengths=lengths, reverse=reverse)
        ends.append(end)
        outputs.append(ys)
    y = jnp.stack(outputs, axis=2).transpose(1, 0, 2, 3) if batch_first else jnp.stack(outputs, 1)
    finals = [jnp.stack(v, axis=int(batch_first)) for v in zip(*ends, strict=True)]
    return y, *(v.astype(x.dtype) for v in finals)


def pick(v: Any, index: int, batch_first: bool) -> Array:
    """One direction of an initial state."""
    return jnp.asarray(v)[:, index] if batch_first else jnp.asarray(v)[index]
