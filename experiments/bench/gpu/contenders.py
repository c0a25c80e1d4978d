"""Who runs a case, each forward and backward: gradients of parameters, inputs and initial state.

Everything lies on the device before the clock starts, and a call returns when all is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.bench.contenders import FLOOR
from experiments.bench.gpu.barriers import meetings
from experiments.bench.gpu.cases import Case
from experiments.bench.problem import SEED, Unsuitable
from experiments.config import first_line

Call = Callable[[], Any]

METHODS = ("scan", "fused", "cudnn", "gpu")
PORTABLE = ("scan", "fused")
TORCH, EMPTY, BARRIERS = "torch", "empty loop", "barriers alone"
LAYERS = {  # the nearest layer of PyTorch
    "lstm": "LSTM",
    "peephole_lstm": "LSTM",
    "coupled_lstm": "LSTM",
    "gru_reset_after": "GRU",
    "gru": "GRU",
    "rnn": "RNN",
}


def ours(method: str, case: Case) -> Call:
    """`lj.unroll` by some method."""
    cell = case.build()

    def function(params: Any, xs: jax.Array, state: Any) -> jax.Array:
        return lj.unroll(cell, params, xs, state, method=method)[1]

    def gradient(params: Any, xs: jax.Array, state: Any, dy: jax.Array) -> Any:
        ys, pull = jax.vjp(function, params, xs, state)
        return ys, pull(dy.astype(ys.dtype))

    return compiled(gradient, *case.arrays())


def products(case: Case) -> Call:
    """The floor: the 2T products that wait for one another, and nothing else.

    A step takes the product of forward, [B, H] × [H, G·H], and that of backward,
    [B, G·H] × [G·H, H], with the kernel and the heads of the cell:

        h ← (h U) Uᵀ,  T times
    """
    params = jax.eval_shape(lambda: case.build().init(jax.random.key(SEED), case.units))
    *heads, rows, columns = params.recurrent_kernel.shape
    rng = np.random.default_rng(SEED)
    u = rng.standard_normal((*heads, rows, columns)) / (rows**0.5 + columns**0.5)
    h = rng.standard_normal((*heads, case.batch, rows))

    def run(h: jax.Array, u: jax.Array) -> jax.Array:
        return loop(case.steps, lambda h: (h @ u) @ jnp.swapaxes(u, -1, -2), h)

    return compiled(run, jnp.asarray(h, case.dtype), jnp.asarray(u, case.dtype))


def empty(case: Case) -> Call:
    """T steps of a loop that halve [B, H] numbers: what a step costs that does next to nothing."""
    h = jnp.ones((case.batch, case.units), case.dtype)
    return compiled(lambda h: loop(case.steps, lambda h: 0.5 * h, h), h)


def loop(steps: int, body: Callable[[jax.Array], jax.Array], h: jax.Array) -> jax.Array:
    """A `lax.scan` that keeps the last value alone."""
    return jax.lax.scan(lambda h, _: (body(h), None), h, length=steps)[0]


def compiled(function: Callable, *given: Any) -> Call:
    """A compiled function on given arguments."""
    function, given = jax.jit(function), jax.device_put(given)
    return lambda: jax.block_until_ready(function(*given))


def torch_layer(case: Case) -> Call:
    """The nearest layer of PyTorch, which on CUDA is cuDNN's, in the same precision."""
    import torch

    if case.heads > 1:
        raise Unsuitable(f"torch.nn.{LAYERS[case.cell]} has no heads")
    device = torch_device()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(SEED)
    place = dict(device=device, dtype=getattr(torch, case.dtype))
    layer = getattr(torch.nn, LAYERS[case.cell])(case.units, case.units).to(**place)
    xs, dy = (torch.from_numpy(array).to(**place) for array in case.problem().arrays())
    states = [torch.zeros(1, case.batch, case.units, **place).requires_grad_() for _ in range(2)]
    fresh = tuple(states) if LAYERS[case.cell] == "LSTM" else states[0]
    learned = [xs.requires_grad_(), *states, *layer.parameters()]

    def call() -> Any:
        for value in learned:
            value.grad = None
        ys = layer(xs, fresh)[0]
        ys.backward(dy)
        if device == "cuda":
            torch.cuda.synchronize()
        return ys

    return call


def torch_device() -> str:
    """Where PyTorch runs: beside JAX.

    Raises:
        Unsuitable: JAX has a GPU, and PyTorch has none.
    """
    import torch

    if jax.default_backend() != "gpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise Unsuitable(f"torch {torch.__version__} sees no GPU; install one built for CUDA")
    return "cuda"


CONTENDERS: dict[str, Callable[[Case], Call]] = {
    **{method: partial(ours, method) for method in METHODS},
    TORCH: torch_layer,
    FLOOR: products,
    EMPTY: empty,
    BARRIERS: lambda case: compiled(meetings(case)),
}


def build(names: Iterable[str], case: Case) -> tuple[dict[str, Call], dict[str, str]]:
    """The calls of those that run a case, each called once; and why the others cannot."""
    calls, unavailable = {}, {}
    for name in names:
        try:
            call = CONTENDERS[name](case)
            call()
        except Exception as error:  # whatever a compiler, a driver or a library makes of it
            unavailable[name] = reason(error)
        else:
            calls[name] = call
    return calls, unavailable


def reason(error: Exception) -> str:
    """What an error says in a line; of those that are no refusals, with their type."""
    text = first_line(error)
    return text if isinstance(error, Unsuitable | ValueError) else f"{type(error).__name__}: {text}"
