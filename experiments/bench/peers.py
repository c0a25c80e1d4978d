"""The layers of other libraries as contenders.

Each gets the inputs in the layout that serves it best, [T, B, D] for all but Keras, whose layers
know [B, T, D] alone. No state is given: all start from zeros.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from experiments.bench.problem import SEED, Calls, Problem, Unsuitable, jax_calls


def torch_layer(problem: Problem) -> Calls:
    """torch.nn.LSTM, GRU and RNN."""
    import torch

    layers = {"lstm": torch.nn.LSTM, "gru_reset_after": torch.nn.GRU, "rnn": torch.nn.RNN}
    torch.manual_seed(SEED)
    layer = _of_kind(layers, problem)(problem.shape.inputs, problem.shape.hidden)
    xs, dy = map(torch.from_numpy, problem.arrays())
    inputs = xs.clone().requires_grad_()
    parameters = list(layer.parameters())

    def forward() -> Any:
        with torch.no_grad():
            return layer(xs)[0]

    def gradient() -> Any:
        for value in (inputs, *parameters):
            value.grad = None
        ys = layer(inputs)[0]
        ys.backward(dy)
        return ys.detach(), ([value.grad for value in parameters], inputs.grad)

    return Calls(forward, gradient)


def linen_layer(problem: Problem) -> Calls:
    """Flax Linen's nn.RNN over its optimized LSTM cell, its GRU cell, its simple cell."""
    from flax import linen as nn

    cells = {"lstm": nn.OptimizedLSTMCell, "gru_reset_after": nn.GRUCell, "rnn": nn.SimpleCell}
    layer = nn.RNN(_of_kind(cells, problem)(problem.shape.hidden), time_major=True)
    xs, dy = problem.arrays()
    function: Any = layer.apply
    return jax_calls(function, layer.init(jax.random.key(SEED), xs), xs, dy)


def nnx_layer(problem: Problem) -> Calls:
    """Flax NNX's nnx.RNN over the same cells."""
    from flax import nnx

    cells = {"lstm": nnx.OptimizedLSTMCell, "gru_reset_after": nnx.GRUCell, "rnn": nnx.SimpleCell}
    shape = problem.shape
    cell = _of_kind(cells, problem)(shape.inputs, shape.hidden, rngs=nnx.Rngs(SEED))
    graph, params, *rest = nnx.split(nnx.RNN(cell, time_major=True), nnx.Param, ...)

    def function(params: Any, xs: jax.Array) -> jax.Array:
        return nnx.merge(graph, params, *rest)(xs, rngs=nnx.Rngs(SEED))

    return jax_calls(function, params, *problem.arrays())


def haiku_layer(problem: Problem) -> Calls:
    """Haiku's LSTM and VanillaRNN (which has relu for tanh), by hk.dynamic_unroll."""
    import haiku as hk

    if problem.kind == "gru_reset_after":
        raise Unsuitable("resets before the recurrent product")
    core_type = _of_kind({"lstm": hk.LSTM, "rnn": hk.VanillaRNN}, problem)

    def unroll(xs: jax.Array) -> jax.Array:
        core = core_type(problem.shape.hidden)
        return hk.dynamic_unroll(core, xs, core.initial_state(problem.shape.batch))[0]

    layer: Any = hk.without_apply_rng(hk.transform(unroll))
    xs, dy = problem.arrays()
    return jax_calls(layer.apply, layer.init(jax.random.key(SEED), jnp.asarray(xs)), xs, dy)


def equinox_layer(problem: Problem) -> Calls:
    """Equinox's LSTMCell and GRUCell, vmapped over the batch in a lax.scan over time."""
    import equinox as eqx

    cells = {"lstm": eqx.nn.LSTMCell, "gru_reset_after": eqx.nn.GRUCell}
    _, batch, inputs, hidden = problem.shape
    cell = _of_kind(cells, problem)(inputs, hidden, key=jax.random.key(SEED))
    params, static = eqx.partition(cell, eqx.is_array)
    zeros = jnp.zeros((batch, hidden))
    fresh = (zeros, zeros) if problem.kind == "lstm" else zeros

    def function(params: Any, xs: jax.Array) -> jax.Array:
        step = jax.vmap(eqx.combine(params, static))

        def body(state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
            state = step(x, state)
            return state, jax.tree.leaves(state)[0]

        return jax.lax.scan(body, fresh, xs)[1]

    return jax_calls(function, params, *problem.arrays())


def keras_layer(problem: Problem) -> Calls:
    """keras.layers.LSTM, GRU and SimpleRNN on JAX."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    if keras.backend.backend() != "jax":
        raise Unsuitable(f"was imported before, with the backend {keras.backend.backend()}")
    layers = {
        "lstm": keras.layers.LSTM,
        "gru_reset_after": keras.layers.GRU,
        "rnn": keras.layers.SimpleRNN,
    }
    layer = _of_kind(layers, problem)(problem.shape.hidden, return_sequences=True)
    xs, dy = (array.swapaxes(0, 1).copy() for array in problem.arrays())
    layer.build(xs.shape)
    params, rest = (
        [variable.value for variable in variables]
        for variables in (layer.trainable_variables, layer.non_trainable_variables)
    )

    def function(params: Any, xs: jax.Array) -> jax.Array:
        return layer.stateless_call(params, rest, xs)[0]

    return jax_calls(function, params, xs, dy, batch_major=True)


def _of_kind(types: Mapping[str, Callable], problem: Problem) -> Callable:
    """The library's own type for the kind of a problem."""
    if problem.kind not in types:
        raise Unsuitable(f"has no {problem.kind}")
    return types[problem.kind]


PEERS: dict[str, Callable[[Problem], Calls]] = {
    "torch": torch_layer,
    "flax.linen": linen_layer,
    "flax.nnx": nnx_layer,
    "haiku": haiku_layer,
    "equinox": equinox_layer,
    "keras": keras_layer,
}
