"""What the recurrent networks of a task's model read, whatever the task."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from experiments.language.windows import Window
from experiments.task import Batch, Carry, Params, Task
from lstm_jax.analysis import Layer, layers
from lstm_jax.analysis.layers import turn
from lstm_jax.linen import Recurrent, swap
from lstm_jax.trees import from_dict

BATCHES = 32  # of the validation split, at most
STREAMS = 8  # of a text, at most
SIGNATURE = inspect.signature(Recurrent.__call__)


class Call(NamedTuple):
    """One network that read one batch.

    Attributes:
        module: what the model calls it.
        network: a cell, a stack or a bidirectional network.
        params: its parameters.
        xs: what it read [T, B, D].
        initial_state: where it started; None for fresh.
        lengths: [B], the valid steps; None for all.
        reverse: whether it read from the end.
    """

    module: str
    network: Any
    params: Any
    xs: jax.Array
    initial_state: Any
    lengths: jax.Array | None
    reverse: bool


class Reading(NamedTuple):
    """What a model read of the validation split.

    Attributes:
        calls: by module, one for each batch.
        batches: the batches.
        carries: what the task handed from batch to batch, before each.
    """

    calls: dict[str, list[Call]]
    batches: list[Batch]
    carries: list[Carry]

    @property
    def middle(self) -> int:
        """The number of a batch that is neither warm-up nor rest."""
        return len(self.batches) // 2


def read(task: Task, params: Params) -> Reading:
    """Lets a model read some batches of the validation split.

    What a network reads step by step, as one that is fed attention's contexts does, is left out.
    """
    batches = [*itertools.islice(task.eval_batches("valid"), BATCHES)]
    carries, seen = [task.initial_carry()], []  # type: list[Carry], list[Call]
    for batch in batches:
        with _recorded(seen):
            _, (carry, _) = task.loss(params, carries[-1], batch, None)
        carries.append(carry)
    names = dict.fromkeys(call.module for call in seen)
    calls = {name: [call for call in seen if call.module == name] for name in names}
    return Reading(calls, batches, carries)


def taken_apart(reading: Reading) -> dict[str, list[tuple[Layer, ...]]]:
    """The layers of each module, for each batch; a text's windows are joined to one batch."""
    joins = isinstance(reading.batches[0], Window)
    return {
        module: [
            layers(call.network, call.params, _in_order(call), call.initial_state, call.lengths)
            for call in ([_joined(calls)] if joins else calls)
        ]
        for module, calls in reading.calls.items()
    }


def titled(module: str, layer: str, reading: Reading) -> str:
    """A layer's title: with the module's name where the model has several networks."""
    return f"{module}, {layer}" if len(reading.calls) > 1 else layer


def streams(batch_size: int) -> slice:
    """The streams of a text to look at: not the first, which forgets its empty warm-up."""
    first = min(1, batch_size - 1)
    return slice(first, first + STREAMS)


def symbols(task: Task, params: Params, reading: Reading) -> list[str] | None:
    """What the joined windows of a text hold in their first stream; None for other tasks."""
    if task.serve is None or not isinstance(reading.batches[0], Window):
        return None
    known = task.serve(params).inputs.names
    read = np.concatenate([np.asarray(batch.inputs) for batch in reading.batches])
    return [known[number] for number in read[:, streams(read.shape[1])][:, 0]] if known else None


@contextmanager
def _recorded(seen: list[Call]) -> Iterator[None]:
    """Inside, every `Recurrent` that runs on numbers leaves a `Call`."""

    def note(following: Callable, arguments: Any, options: Any, context: Any) -> Any:
        if is_reading(context):
            call = _call(context.module, arguments, options)
            if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(call[2:])):
                seen.append(call)
        return following(*arguments, **options)

    with nn.intercept_methods(note):
        yield


def is_reading(context: Any) -> bool:
    """Whether the intercepted method is a network's reading of whole sequences."""
    return isinstance(context.module, Recurrent) and context.method_name == "__call__"


def given(module: Recurrent, arguments: Any, options: Any) -> dict[str, Any]:
    """The arguments of a reading by name, time-major, the defaults filled in."""
    bound = SIGNATURE.bind(module, *arguments, **options)
    bound.apply_defaults()
    named = bound.arguments
    if not module.time_major:
        named |= {name: swap(named[name]) for name in ("xs", "mask", "resets")}
    return named


def parameters(module: Recurrent) -> Any:
    """The parameters of a module's network, in the core's form."""
    return from_dict(module.cell, module.get_variable("params", "network"))


def name_of(module: nn.Module) -> str:
    """What the model calls a module."""
    return "/".join(module.path)


def _call(module: Recurrent, arguments: Any, options: Any) -> Call:
    named = given(module, arguments, options)
    own = name_of(module), module.cell, parameters(module)
    reads = ("xs", "initial_state", "lengths", "reverse")
    return Call(*own, *(named[name] for name in reads))


def _in_order(call: Call) -> jax.Array:
    return turn(call.xs, call.lengths) if call.reverse else call.xs


def _joined(calls: list[Call]) -> Call:
    """Windows that follow each other as one, of some of its streams."""
    first = calls[0]
    chosen = streams(first.xs.shape[1])
    xs = jnp.concatenate([call.xs[:, chosen] for call in calls])
    state = jax.tree.map(lambda leaf: leaf[chosen], first.initial_state)
    return first._replace(xs=xs, initial_state=state)
