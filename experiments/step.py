"""One training step as a pure function, mapped over members and compiled once.

The members of a run are its seeds times its learning rates; they train in one program.

Every leaf of the state has a leading axis M, one entry a member. Functions here are written for
one member and mapped by `over_members`; batches are shared between the members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.config import make_optimizer, members
from experiments.task import Batch, Mean, Task

Means = dict[str, Mean]


class TrainState(flax.struct.PyTreeNode):
    """All that training needs to go on, for one member or, with a leading axis, for all."""

    step: jax.Array
    params: Any
    opt_state: Any
    carry: Any
    key: jax.Array
    learning_rate: jax.Array
    best_params: Any
    best_metric: jax.Array
    stale: jax.Array  # evaluations since the metric last improved
    done: jax.Array


class Diverged(ArithmeticError):
    """The training loss is no longer a finite number."""


def init_state(task: Task, config: ConfigDict) -> TrainState:
    """The fresh state of all members, [M, ...] in every leaf."""
    optimizer = make_optimizer(config)
    worst = -jnp.inf if task.higher_is_better else jnp.inf

    def init(seed: jax.Array, learning_rate: jax.Array) -> TrainState:
        init_key, key = jax.random.split(jax.random.PRNGKey(seed))
        params = task.init(init_key)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state=optimizer.init(params),
            carry=task.initial_carry(),
            key=key,
            learning_rate=learning_rate,
            best_params=jax.tree.map(jnp.copy, params),
            best_metric=jnp.full((), worst),
            stale=jnp.zeros((), jnp.int32),
            done=jnp.zeros((), bool),
        )

    seeds, rates = zip(*members(config), strict=True)
    return jax.jit(over_members(init))(jnp.array(seeds), jnp.array(rates, jnp.float32))


def abstract_state(task: Task, config: ConfigDict) -> TrainState:
    """The shapes of `init_state`, which take no time to compile, on the device that trains."""
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.eval_shape(lambda: init_state(task, config))
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place), shapes)


def make_train_step(
    task: Task, config: ConfigDict
) -> Callable[[TrainState, Batch], tuple[TrainState, Means]]:
    """`train_step(state, batch) -> (state, means)` for all members; it donates the state.

    One step of one member: g = clip(dL/dp), p' = p + learning_rate * optimizer(g).
    """
    optimizer = make_optimizer(config)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Means]:
        key = jax.random.fold_in(state.key, state.step)
        gradient = jax.value_and_grad(task.loss, has_aux=True)
        (loss, (carry, means)), grads = gradient(state.params, state.carry, batch, key)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        updates = jax.tree.map(lambda update: state.learning_rate * update, updates)
        means = {
            "objective": Mean(loss, jnp.ones(())),
            "gradient_norm": Mean(optax.tree.norm(grads), jnp.ones(())),
            **means,
        }
        new = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            carry=carry,
        )
        return new, means

    return jax.jit(over_members(step, (0, None)), donate_argnums=0)


def make_evaluate(task: Task) -> Callable[[Any, str], list[dict[str, float]]]:
    """`evaluate(params, split) -> each member's summarized values`, without noise."""

    def step(params: Any, carry: Any, batch: Batch) -> tuple[Any, Means]:
        return task.loss(params, carry, batch, None)[1]

    step = jax.jit(over_members(step, (0, 0, None)))
    fresh = jax.jit(lambda count: jax.vmap(lambda _: task.initial_carry())(count))

    def evaluate(params: Any, split: str) -> list[dict[str, float]]:
        carry, parts = fresh(jnp.arange(jax.tree.leaves(params)[0].shape[0])), []
        for batch in task.eval_batches(split):
            carry, means = step(params, carry, batch)
            parts.append(means)
        return [task.summarize(values) for values in divide(total(parts))]

    return evaluate


def make_observe(task: Task, config: ConfigDict) -> Callable[[TrainState, jax.Array], TrainState]:
    """`observe(state, metric [M]) -> state`: keeps the best parameters, decides who is done.

    A member is done when it is solved, when its metric reaches `train.stop_at`, when the metric
    has not improved for `train.patience` evaluations, or when it is no longer finite. From then
    on its best parameters stand still.
    """
    patience, stop_at = config.train.patience, config.train.stop_at
    sign = 1.0 if task.higher_is_better else -1.0

    def observe(state: TrainState, metric: jax.Array) -> TrainState:
        gain = sign * (metric - state.best_metric)
        keep = (gain >= 0) & ~state.done
        stale = jnp.where(gain > 0, 0, state.stale + 1)
        done = state.done | ~jnp.isfinite(metric)
        if task.solved_at is not None:
            done |= task.solved_at(state.carry) > 0
        if stop_at is not None:
            done |= sign * (metric - stop_at) >= 0
        if patience:
            done |= stale >= patience
        best = jax.tree.map(
            lambda new, old: jnp.where(keep, new, old), state.params, state.best_params
        )
        best_metric = jnp.where(keep, metric, state.best_metric)
        return state.replace(best_params=best, best_metric=best_metric, stale=stale, done=done)

    return jax.jit(over_members(observe))


def over_members(function: Callable, in_axes: Any = 0) -> Callable:
    """`jax.vmap`, but on the CPU the members take turns, in one program.

    There the batched products of many models are slower than the products of one: sixteen LSTMs of
    64 units took 1.6 times as long by `jax.vmap` (`experiments.bench`, population).
    """

    def mapped(*arguments: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(arguments)
        own = [a for a, axis in zip(arguments, axes, strict=True) if axis == 0]

        def one(own: list[Any]) -> Any:
            values = iter(own)
            return function(
                *(next(values) if axis == 0 else a for a, axis in zip(arguments, axes, strict=True))
            )

        if jax.tree.leaves(own)[0].shape[0] == 1:  # compiles to faster code without a loop
            single = one(jax.tree.map(lambda leaf: leaf[0], own))
            return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], single)
        return jax.lax.map(one, own) if jax.default_backend() == "cpu" else jax.vmap(one)(own)

    return mapped


def total(parts: Sequence[Means]) -> Means:
    """Fetches and adds up the means of several batches, [M] in each leaf, in float64."""
    parts = jax.device_get(list(parts))
    return jax.tree.map(lambda *leaves: np.sum(np.asarray(leaves, np.float64), axis=0), *parts)


def divide(means: Means) -> list[dict[str, float]]:
    """Each member's means as plain floats; what has no weight is left out."""
    count = len(next(iter(means.values())).weight)
    return [
        {k: float(m.total[i] / m.weight[i]) for k, m in means.items() if m.weight[i] > 0}
        for i in range(count)
    ]


def check_finite(means: Sequence[Means], first_step: int, config: ConfigDict) -> None:
    """Raises `Diverged`, naming the step, if a loss is not finite.

    Where several learning rates are tried at once, only if none is left that is finite.
    """
    losses = np.stack([np.asarray(m["objective"].total) for m in means])
    bad = ~np.isfinite(losses)
    lost = bad.all(axis=1) if config.optimizer.learning_rates else bad.any(axis=1)
    if lost.any():
        step = first_step + int(np.argmax(lost))
        raise Diverged(
            f"the training loss is not finite at step {step}; try a smaller"
            " config.optimizer.learning_rate or config.optimizer.clip_norm"
        )
