"""Strict settings for the core: 64-bit numbers, and no broadcast between ranks goes unnoticed."""

import jax
import pytest

SETTINGS = {  # here, and JAX's own default
    "jax_enable_x64": (True, False),
    "jax_numpy_rank_promotion": ("raise", "allow"),
    "jax_disable_most_optimizations": (True, False),  # tiny shapes: compiling takes the time
}


@pytest.fixture(autouse=True)
def strict():
    for name, (here, _) in SETTINGS.items():
        jax.config.update(name, here)
    yield
    for name, (_, default) in SETTINGS.items():
        jax.config.update(name, default)


@pytest.fixture
def single_precision():
    """JAX's own default: 32-bit numbers throughout."""
    jax.config.update("jax_enable_x64", False)
