"""The cells under test, and random problems for them."""

from typing import Any, NamedTuple

import jax
import numpy as np

import lstm_jax as lj
from tests import oracle

STEPS, ROWS, INPUTS, HIDDEN = 6, 3, 4, 5  # T, B, D, H
NEEDED = {"conv_lstm": {"image_size": (3, 2)}}  # what a constructor cannot do without


class Case(NamedTuple):
    """A registry name with constructor arguments."""

    name: str
    options: dict[str, Any] = {}

    def cell(self, hidden_size=HIDDEN, **more):
        """The cell, with so many units in each of its heads."""
        options = {**NEEDED.get(self.name, {}), **COMMON, **self.options, **more}
        return lj.CELLS[self.name](hidden_size * options.get("heads", 1), **options)

    def space(self):
        """The axes of the state between rows and units: those of a frame."""
        return self.cell().initial_state(1).h.shape[1:-1]

    def __str__(self):
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])


DEFAULTS = [Case(name) for name in oracle.BLOCKS]
VARIANTS = [
    Case("rnn", {"activation": "relu"}),
    Case("lstm", {"peepholes": "diagonal", "use_bias": False}),
    Case("lstm", {"cell_clip": 0.4}),
    Case("peephole_lstm", {"peepholes": "full", "cell_clip": 0.4}),
    Case("coupled_lstm", {"peepholes": "diagonal"}),
    Case("gru", {"use_bias": False}),
    Case("gru_reset_after", {"use_bias": False}),
    Case("lstmp", {"projection_size": 3, "peepholes": "diagonal"}),
    Case("no_forget_lstm", {"activations": "1997"}),
    Case("no_forget_lstm", {"peepholes": "diagonal"}),
    Case("no_input_gate_lstm", {"peepholes": "full"}),
    Case("no_output_gate_lstm", {"peepholes": "diagonal"}),
    Case("no_input_activation_lstm", {"peepholes": "diagonal"}),
    Case("no_output_activation_lstm", {"peepholes": "diagonal"}),
    Case("full_gate_recurrence_lstm", {"peepholes": "diagonal"}),
    Case("layer_norm_lstm", {"peepholes": "diagonal"}),
    Case("min_lstm", {"log_space": True}),
    Case("min_gru", {"log_space": True}),
    Case("conv_lstm", {"image_size": (2, 3), "kernel_size": 2, "peepholes": "full"}),
    Case("conv_lstm", {"image_size": (1, 4), "peepholes": False, "cell_clip": 0.4}),
    Case("lstm", {"heads": 2}),
    Case("peephole_lstm", {"heads": 3, "peepholes": "full"}),
    Case("gru", {"heads": 2}),
    Case("gru_reset_after", {"heads": 3}),
    Case("lstmp", {"heads": 2, "projection_size": 6}),
    Case("full_gate_recurrence_lstm", {"heads": 2}),
    Case("layer_norm_lstm", {"heads": 2}),
]
CASES = DEFAULTS + VARIANTS
FEW = [Case(name) for name in ("peephole_lstm", "gru", "full_gate_recurrence_lstm", "min_lstm")]
METHODS = ("scan", "fused")  # these three are changed by --method
COMMON: dict[str, Any] = {}  # options of every cell
COARSEST = 0.0  # the least tolerance
unroll = jax.jit(lj.unroll, static_argnames=("cell", "reverse", "remat", "method"))


class Problem(NamedTuple):
    """A cell with random parameters (every field), inputs and everything unroll takes."""

    cell: Any
    params: Any
    xs: Any
    state: Any
    lengths: Any
    mask: Any
    resets: Any


def random_like(tree, seed, scale=0.5):
    """The tree with random numbers added to every leaf."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + scale * rng.standard_normal(leaf.shape), tree)


def random_params(network, seed, scale=0.6):
    """Random numbers in every field; no initializer has to be compiled."""
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), INPUTS))
    return random_like(jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes), seed, scale)


def problem(cell, seed=0, steps=STEPS, rows=ROWS):
    rng = np.random.default_rng(seed)
    return Problem(
        cell=cell,
        params=random_params(cell, seed + 1),
        xs=rng.standard_normal((steps, *cell.initial_state(rows).h.shape[:-1], INPUTS)),
        state=random_like(cell.initial_state(rows), seed + 2),
        lengths=np.array([steps, 0, *rng.integers(0, steps, rows)])[:rows],
        mask=rng.random((steps, rows)) < 0.6,
        resets=rng.random((steps, rows)) < 0.35,
    )


SETTINGS = {
    "plain": ((), False),
    "lengths": (("initial_state", "lengths", "resets"), False),
    "gaps reversed": (("initial_state", "mask", "resets"), True),
    "lengths reversed": (("lengths",), True),
}


def arguments(problem, setting):
    """What a setting passes to unroll: (arrays by name, reverse)."""
    names, reverse = SETTINGS[setting]
    values = {**problem._asdict(), "initial_state": problem.state}
    return {name: values[name] for name in names}, reverse


def fields(record):
    """A named tuple as a dictionary of float64 arrays, without the fields that are off."""
    pairs = record._asdict().items()
    return {name: np.asarray(value, np.float64) for name, value in pairs if value is not None}


def expected(case, problem, setting):
    """The oracle's (final state, outputs, everything on the way) in a setting."""
    arrays, reverse = arguments(problem, setting)
    if "initial_state" in arrays:
        arrays["initial_state"] = fields(arrays["initial_state"])
    return oracle.unroll(case.name, fields(problem.params), problem.xs, **arrays,
                         reverse=reverse, options=case.options)


def assert_close(actual, wanted, tolerance=1e-12):
    """Trees of equal structure with equal numbers, relative to the largest where it is above 1."""
    assert jax.tree.structure(actual) == jax.tree.structure(wanted)
    for path, (a, b) in zip(
        jax.tree_util.tree_leaves_with_path(wanted),
        zip(jax.tree.leaves(actual), jax.tree.leaves(wanted), strict=True),
        strict=True,
    ):
        a, b = np.asarray(a), np.asarray(b)
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        tolerance = max(tolerance, COARSEST)
        np.testing.assert_allclose(
            a, b, rtol=0, atol=tolerance * scale, err_msg=jax.tree_util.keystr(path[0])
        )
