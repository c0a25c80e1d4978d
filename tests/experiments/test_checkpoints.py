"""Checkpoints come back bit by bit, and a damaged one does not end a run."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.checkpoints import Checkpoints


class Pair(NamedTuple):
    kernel: Any
    bias: Any


def state_at(step: int) -> dict[str, Any]:
    key = jax.random.PRNGKey(step)
    return {
        "params": Pair(jax.random.normal(key, (2, 3)), None),
        "step": jnp.array(step),
        "flag": jnp.array([True, False]),
        "carry": (),
        "key": key,
    }


def damage(directory) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")


def save(directory, *steps: int) -> None:
    with Checkpoints(directory) as checkpoints:
        for step in steps:
            checkpoints.save(step, state_at(step), {"iterator": {"position": [step, None]}})


def restore(directory):
    with Checkpoints(directory) as checkpoints:
        return checkpoints.restore(state_at(0))


def test_restores_the_latest_exactly(tmp_path):
    save(tmp_path / "c", 3, 7)
    state, extra = restore(tmp_path / "c")
    assert jax.tree.structure(state) == jax.tree.structure(state_at(7))
    jax.tree.map(np.testing.assert_array_equal, state, state_at(7))
    assert jax.tree.map(lambda a: a.dtype, state) == jax.tree.map(lambda a: a.dtype, state_at(7))
    assert extra == {"iterator": {"position": [7, None]}}


def test_nothing_to_restore(tmp_path):
    assert restore(tmp_path / "c") is None


def test_keeps_two(tmp_path):
    save(tmp_path / "c", 1, 2, 3)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["2", "3"]


def test_a_step_can_be_saved_again(tmp_path):
    save(tmp_path / "c", 1, 2)
    save(tmp_path / "c", 2)
    assert int(restore(tmp_path / "c")[0]["step"]) == 2


def test_falls_back_from_a_damaged_checkpoint_and_goes_on(tmp_path):
    save(tmp_path / "c", 1, 2)
    damage(tmp_path / "c" / "2")
    assert int(restore(tmp_path / "c")[0]["step"]) == 1
    save(tmp_path / "c", 2)
    assert int(restore(tmp_path / "c")[0]["step"]) == 2


def test_says_so_when_all_are_damaged(tmp_path):
    save(tmp_path / "c", 1, 2)
    damage(tmp_path / "c")
    with pytest.raises(RuntimeError, match="no checkpoint in .* can be read"):
        restore(tmp_path / "c")
