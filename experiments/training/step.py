"""One training step as a pure function, mapped over members and compiled once.

The members of a run are its seeds times its learning rates; they train in one program.

Every leaf of the state has a leading axis M, one entry a member. Functions here are written for
one member and mapped by `over_members`; batches are shared between the members.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments import mesh, signals
from experiments.config import Member, make_optimizer, members
from experiments.task import Batch, Mean, Task
from experiments.training import guard, input_noise

Means = dict[str, Mean]
SKIPPED = "skipped_steps"  # among the means: how many steps were not taken


class TrainState(flax.struct.PyTreeNode):
    """All that training needs to go on, for one member or, with a leading axis, for all."""

    step: jax.Array
    params: Any
    opt_state: Any
    carry: Any
    key: jax.Array
    member: Member  # of arrays
    losses: Any  # the latest, to tell a spike by
    best_params: Any
    best_metric: jax.Array
    stale: jax.Array  # evaluations since the metric last improved
    done: jax.Array
    ended: jax.Array  # the step at which it was done, 0 before


def _initializer(task: Task, config: ConfigDict) -> tuple[Callable[..., TrainState], Member]:
    """A function of all members, and these as one `Member` of arrays."""
    worst = -jnp.inf if task.higher_is_better else jnp.inf

    def init(member: Member) -> TrainState:
        init_key, key = jax.random.split(jax.random.PRNGKey(member.seed))
        params = task.init(init_key)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state=_optimizer(config, member).init(params),
            carry=task.initial_carry(),
            key=key,
            member=member,
            losses=guard.no_losses(config),
            best_params=jax.tree.map(jnp.copy, params),
            best_metric=jnp.full((), worst),
            stale=jnp.zeros((), jnp.int32),
            done=jnp.zeros((), bool),
            ended=jnp.zeros((), jnp.int32),
        )

    seeds, *settings = map(np.array, zip(*members(config), strict=True))
    arrays: Any = (seeds, *(values.astype(np.float32) for values in settings))
    return over_members(init), Member(*arrays)


def _optimizer(config: ConfigDict, member: Member) -> optax.GradientTransformation:
    momentum = member.momentum if config.members else None
    return guard.guarded(make_optimizer(config, momentum))


def init_state(task: Task, config: ConfigDict) -> TrainState:
    """The fresh state of all members, [M, ...] in every leaf, laid out on the devices."""
    init, everyone = _initializer(task, config)
    return jax.jit(init, out_shardings=shardings(task, config))(everyone)


def abstract_state(task: Task, config: ConfigDict) -> TrainState:
    """The shapes, types and layout of `init_state`, which take no time to compile."""
    init, everyone = _initializer(task, config)
    shapes = jax.eval_shape(init, everyone)
    layout = mesh.state_shardings(mesh.make_mesh(config), shapes)
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        shapes,
        layout,
    )


def shardings(task: Task, config: ConfigDict) -> TrainState:
    """How the state is laid out on the devices."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract_state(task, config))


def make_train_step(
    task: Task, config: ConfigDict
) -> Callable[[TrainState, Batch], tuple[TrainState, Means]]:
    """`train_step(state, batch) -> (state, means)` for all members; it donates the state.

    One step of one member: g = clip(dL/dp), p' = p + learning_rate * optimizer(g). A step that
    would do harm (`experiments.training.guard`) changes nothing but the count of such steps, and
    adds nothing to the means. A member that is done stands still while the others go on.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Means]:
        loss, grads, carry, means = gradient(task, config, state, batch)
        norm = optax.tree.norm(grads)
        fine = guard.sound(loss, norm, state.opt_state.notfinite_count, state.losses, config)
        grads = guard.keep(fine, grads, jnp.nan)
        optimizer = _optimizer(config, state.member)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        updates = jax.tree.map(lambda update: state.member.learning_rate * update, updates)
        means = {"objective": Mean.of(loss), "gradient_norm": Mean.of(norm), **means}
        new = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            carry=guard.keep(fine, carry, state.carry),
            losses=guard.remember(state.losses, loss, fine),
        )
        return new, {**guard.keep(fine, means, 0.0), SKIPPED: Mean.of(1.0 - fine)}

    def step_or_rest(state: TrainState, batch: Batch) -> tuple[TrainState, Means]:
        def rest(state: TrainState, batch: Batch) -> tuple[TrainState, Means]:
            return state.replace(step=state.step + 1), zeros(step, state, batch)[1]

        return jax.lax.cond(state.done, rest, step, state, batch)

    several = len(members(config)) > 1
    layout = shardings(task, config), mesh.replicated(mesh.make_mesh(config))
    return jax.jit(
        over_members(step_or_rest if several else step, (0, None)),
        donate_argnums=0,
        out_shardings=layout,
    )


def gradient(
    task: Task, config: ConfigDict, state: TrainState, batch: Batch
) -> tuple[jax.Array, Any, Any, Means]:
    """One member's loss, its gradient, and the carry and the means after the batch."""
    key = jax.random.fold_in(state.key, state.step)
    function = jax.value_and_grad(task.loss, has_aux=True)
    noise = input_noise.added(state.member.input_noise) if config.members else nullcontext()
    with noise:
        (loss, (carry, means)), grads = function(state.params, state.carry, batch, key)
    return loss, grads, carry, means


def make_evaluate(task: Task, config: ConfigDict) -> Callable[..., list[dict[str, float]]]:
    """`evaluate(params, split, rests) -> each member's summarized values`, without noise.

    Of a study's members those that rest [M] have no values; by default none does.
    """
    devices = mesh.make_mesh(config)
    layout = shardings(task, config).carry

    def step(params: Any, carry: Any, rests: jax.Array, batch: Batch) -> tuple[Any, Means]:
        def awake() -> tuple[Any, Means]:
            return task.loss(params, carry, batch, None)[1]

        if not config.members:
            return awake()
        return jax.lax.cond(rests, lambda: (carry, zeros(awake)[1]), awake)

    step = jax.jit(
        over_members(step, (0, 0, 0, None)), out_shardings=(layout, mesh.replicated(devices))
    )
    nobody = np.zeros(len(members(config)), bool)
    fresh = jax.jit(
        lambda: jax.vmap(lambda _: task.initial_carry())(jnp.arange(len(members(config)))),
        out_shardings=layout,
    )

    def evaluate(params: Any, split: str, rests: Any = nobody) -> list[dict[str, float]]:
        carry, parts = fresh(), []
        for batch in task.eval_batches(split):
            signals.check()
            batch = mesh.place(devices, batch, task.batch_axes, whole=True)
            carry, means = step(params, carry, rests, batch)
            parts.append(means)
        return [task.summarize(values) if values else {} for values in divide(total(parts))]

    return evaluate


def add_scores(
    task: Task, params: Any, split: str, values: list[dict[str, float]]
) -> list[dict[str, float]]:
    """Adds what the task scores with each member's parameters to the member's values."""
    if task.score is None:
        return values
    own = [jax.tree.map(lambda leaf, i=i: leaf[i], params) for i in range(len(values))]
    return [v | task.score(p, split) for v, p in zip(values, own, strict=True)]


def make_observe(task: Task, config: ConfigDict) -> Callable[[TrainState, jax.Array], TrainState]:
    """`observe(state, metric [M]) -> state`: keeps the best parameters, decides who is done.

    A member is done when it is solved, when its metric reaches `train.stop_at`, when the metric
    has not improved for `train.patience` evaluations, when it is no longer finite, or when
    `train.bad_steps` steps in a row were skipped. From then on its best parameters stand still.
    """
    patience, stop_at = config.train.patience, config.train.stop_at
    sign = 1.0 if task.higher_is_better else -1.0

    def observe(state: TrainState, metric: jax.Array) -> TrainState:
        gain = sign * (metric - state.best_metric)
        keep = (gain >= 0) & ~state.done
        stale = jnp.where(gain > 0, 0, state.stale + 1)
        done = state.done | ~jnp.isfinite(metric)
        done |= state.opt_state.notfinite_count >= config.train.bad_steps
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
        ended = jnp.where(done & ~state.done, state.step, state.ended)
        return state.replace(
            best_params=best, best_metric=best_metric, stale=stale, done=done, ended=ended
        )

    return jax.jit(over_members(observe), out_shardings=shardings(task, config))


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


def zeros(function: Callable, *arguments: Any) -> Any:
    """Zeros in place of all that a function returns."""
    shapes = jax.eval_shape(function, *arguments)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


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
