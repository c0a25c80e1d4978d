"""Gaussian noise on what recurrent networks read while they train (Greff et al. 2017, IV-B)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from flax import linen as nn

from lstm_jax.linen import Recurrent


@contextmanager
def added(deviation: jax.Array | float) -> Iterator[None]:
    """Inside, every `Recurrent` that trains reads its inputs plus N(0, deviation²).

    The noise is drawn anew for each value of each step; a traced deviation is welcome. Evaluation
    reads the inputs as they are.

    Example:
        >>> with added(0.1):
        ...     loss(params, carry, batch, key)
    """

    def noisy(following: Callable, arguments: Any, options: Any, context: Any) -> Any:
        recurrent = isinstance(context.module, Recurrent) and context.method_name == "__call__"
        if recurrent and not options.get("deterministic", True):
            xs, *others = arguments
            noise = jax.random.normal(context.module.make_rng("dropout"), xs.shape, xs.dtype)
            arguments = (xs + deviation * noise, *others)
        return following(*arguments, **options)

    with nn.intercept_methods(noisy):
        yield
