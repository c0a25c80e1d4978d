"""Which layers are raced on a GPU.

The shape with 768 units, and the twelve heads of 64 units, are those of FlashRNN (Pöppel et al.
2024, arXiv:2412.07752).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import lstm_jax as lj
from experiments.bench.problem import SEED, Problem, Shape

DTYPES = ("bfloat16", "float32")
CELLS = ("lstm", "peephole_lstm", "coupled_lstm", "gru_reset_after", "gru", "rnn")


@dataclasses.dataclass(frozen=True)
class Case:
    """One layer with as many input features as hidden units.

    Attributes:
        cell: a name of `lstm_jax.CELLS`.
        dtype: of parameters, inputs and outputs; products of float32 are taken in TF32.
        units: hidden units.
        batch: sequences.
        heads: blocks on the diagonal of the recurrent kernel.
        steps: time steps.
    """

    cell: str
    dtype: str
    units: int = 768
    batch: int = 16
    heads: int = 1
    steps: int = 1024

    def __str__(self) -> str:
        heads = f", {self.heads} heads" if self.heads > 1 else ""
        return f"{self.cell}, T {self.steps}, B {self.batch}, H {self.units}{heads}, {self.dtype}"

    def problem(self) -> Problem:
        """The case as the other suites know problems."""
        return Problem(self.cell, Shape(self.steps, self.batch, self.units, self.units))

    def build(self) -> lj.Cell:
        """Our cell."""
        options: dict[str, Any] = dict(dtype=self.dtype, param_dtype=self.dtype)
        if self.heads > 1:
            options["heads"] = self.heads
        return lj.CELLS[self.cell](self.units, **options)

    def arrays(self) -> tuple[Any, jax.Array, Any, jax.Array]:
        """Parameters, xs, the initial state and dy, on the device."""
        cell = self.build()
        params = cell.init(jax.random.key(SEED), self.units)
        xs, dy = (jnp.asarray(array, self.dtype) for array in self.problem().arrays())
        return jax.device_put((params, xs, cell.initial_state(self.batch), dy))


def _full(dtype: str) -> list[Case]:
    return [
        *(Case(cell, dtype) for cell in CELLS),
        Case("lstm", dtype, heads=12),
        Case("lstm", dtype, units=128),
        Case("lstm", dtype, units=128, batch=64),
        Case("lstm", dtype, units=384),
    ]


FULL = tuple(case for dtype in DTYPES for case in _full(dtype))
QUICK = tuple(
    case for case in FULL if case.dtype == "bfloat16" and case.cell in ("lstm", "gru_reset_after")
)
TINY = (
    Case("lstm", "float32", units=8, batch=2, steps=6),
    Case("lstm", "bfloat16", units=8, batch=2, heads=2, steps=6),
    Case("gru_reset_after", "float32", units=8, batch=2, steps=6),
)
MODES = {"full": FULL, "quick": QUICK, "tiny": TINY}
