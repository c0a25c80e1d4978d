"""Steps that stopped a run, kept on the disk so that they can be computed once more."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments import mesh
from experiments.config import ConfigError, members
from experiments.task import Batch, Task, identity
from experiments.training import checkpoints
from experiments.training.checkpoints import Checkpoints
from experiments.training.results import write_json
from experiments.training.step import TrainState, abstract_state, gradient


def record(
    task: Task,
    config: ConfigDict,
    directory: Path,
    state: TrainState,
    member: int,
    step: int,
    origin: Any,
) -> Path:
    """Writes what a skipped step was computed from and what came of it.

    Args:
        task: the task.
        config: the run's configuration.
        directory: the run's.
        state: the state, unchanged since before the step but for its counts.
        member: which member skipped it.
        step: how many steps came before it.
        origin: the state of the batches' iterator before the step's batch.

    Returns:
        The directory with report.json and the state.
    """
    path = directory / f"bad_step_{step + 1}"
    state = state.replace(step=state.step * 0 + step)
    with Checkpoints(path / "state", identity(task, config)) as saved:
        saved.save(step, state, {"iterator": origin, "member": member})
    report = _compute(task, config, state, member, origin)
    if mesh.is_main():
        write_json(path / "report.json", report)
    return path


def replay(task: Task, config: ConfigDict, path: Path) -> dict[str, Any]:
    """Computes a recorded step once more.

    Returns:
        What `report.json` holds: step, member, seed, learning_rate, loss, the norm of the gradient
        and of each of its leaves, the batch's place and its sha256.

    Raises:
        ConfigError: if `path` holds no such record, or one of another configuration.
    """
    like = abstract_state(task, config)
    restored = checkpoints.read(path / "state", identity(task, config), like)
    if restored is None:
        raise ConfigError(f"config.debug.replay is {path}, which holds no recorded step")
    state, extra = restored
    return _compute(task, config, state, extra["member"], extra["iterator"])


def _compute(
    task: Task, config: ConfigDict, state: TrainState, member: int, origin: Any
) -> dict[str, Any]:
    batches = task.train_batches(mesh.own_part())
    batches.set_state(origin)
    batch = next(batches)
    placed = mesh.place(mesh.make_mesh(config), batch, task.batch_axes)

    @jax.jit
    def probe(state: TrainState, batch: Batch) -> Any:
        own = jax.tree.map(lambda leaf: leaf[member], state)
        loss, grads, _, _ = gradient(task, config, own, batch)
        return loss, optax.tree.norm(grads), jax.tree.map(optax.tree.norm, grads)

    loss, norm, norms = jax.device_get(probe(state, placed))
    own = members(config)[member]
    return {
        "step": int(jax.device_get(state.step)[member]) + 1,
        "member": member,
        "seed": own.seed,
        "learning_rate": own.learning_rate,
        "loss": repr(float(loss)),
        "gradient_norm": repr(float(norm)),
        "gradient_norms": {
            jax.tree_util.keystr(place, simple=True, separator="/"): repr(float(leaf))
            for place, leaf in jax.tree_util.tree_leaves_with_path(norms)
        },
        "batch": {"iterator": origin, "sha256": _digest(batch)},
    }


def _digest(batch: Batch) -> str:
    leaves = [np.ascontiguousarray(leaf) for leaf in jax.tree.leaves(batch)]
    return hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest()
