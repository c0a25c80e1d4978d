"""A toy task that compiles in no time, to test the runner without any recurrence."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from configs import default
from experiments.config import resolve
from experiments.task import Mean, Task
from tests.experiments.command import Forks

SLOPE = np.array([1.0, -2.0, 0.5], np.float32)


@pytest.fixture(autouse=True)
def quick_to_compile():
    """Tiny shapes: compiling is what takes the time."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """Runs commands fast; see `Forks`."""
    commands = Forks(tmp_path_factory.mktemp("forks"))
    yield commands
    commands.close()


class Positions:
    """Batches of three inputs each, a function of their number alone."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.count, self.stop_after = 0, stop_after

    def __next__(self) -> dict[str, np.ndarray]:
        if self.count == self.stop_after:
            raise KeyboardInterrupt
        self.count += 1
        return batch_of(self.count, size=4)

    def get_state(self) -> dict[str, int]:
        return {"count": self.count}

    def set_state(self, state: dict[str, int]) -> None:
        self.count = state["count"]


class Network(nn.Module):
    hidden_size: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(1)(jnp.tanh(nn.Dense(self.hidden_size)(x)))[..., 0]


def batch_of(number: int, size: int) -> dict[str, np.ndarray]:
    x = np.random.default_rng(number).normal(size=(size, 3)).astype(np.float32)
    return {"x": x, "y": x @ SLOPE}


def toy_task(config: ConfigDict, stop_after: int | None = None, solvable: bool = False) -> Task:
    """Regression with noisy inputs while training; the carry counts batches."""
    model = Network(config.cell.hidden_size)

    def loss(params, carry, batch, key):
        x = batch["x"]
        if key is not None:
            x = x + 0.1 * jnp.sin(x * (key[1] % 1000))
        errors = jnp.square(model.apply(params, x) - batch["y"])
        means = {"squared_error": Mean.of(errors), "batches_before": Mean.of(carry * 1.0)}
        return errors.mean(), (carry + 1, means)

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, 3))),
        initial_carry=lambda: jnp.zeros((), jnp.int32),
        loss=loss,
        train_batches=lambda part: Positions(stop_after),
        eval_batches=lambda split: [batch_of(1000 + n, size=n) for n in (2, 5)],
        metric="squared_error",
        higher_is_better=False,
        summarize=lambda means: means | {"root": means["squared_error"] ** 0.5},
        sample=None,
        facts={"toy": True},
        batch_axes={"x": 0, "y": 0},
        solved_at=(lambda carry: jnp.where(carry >= 10, 10, 0)) if solvable else None,
    )


@pytest.fixture
def config() -> ConfigDict:
    """A short run of the toy task, resolved and unlocked for changes."""
    config = default.get_config()
    config.cell.hidden_size = 4
    config.optimizer.learning_rate = 0.03
    config.train.update(steps=20, batch_size=4, eval_every=6, log_every=4, checkpoint_every=5)
    return resolve(config).unlock()
