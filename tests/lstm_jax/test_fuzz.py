"""Random networks, sizes, dtypes and arguments, against the NumPy loop and each other.

Hypothesis draws what is compiled, a `Plan`; compiling takes the time, so that each plan runs on
many draws of numbers, lengths and resets. One plan with one draw is one example: both methods
against the NumPy loop, and the gradients of "fused" against those of "scan".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import lstm_jax as lj
from tests import oracle
from tests.cases import CASES, METHODS, Case, assert_close, fields, random_like

PLANS, DRAWS = 3, 20  # of each cell, and of each plan
TOLERANCES = {  # of values and of gradients, some hundred roundings where gates saturate
    "float64": (1e-12, 1e-10),
    "float32": (3e-6, 1e-4),
    "float16": (5e-3, 2e-2),
    "bfloat16": (0.03, 0.1),
}
KINKS = ({"activation": "relu"}, {"log_space": True})  # a rounding error turns their slope over
STEEP = "layer_norm_lstm"  # a small variance magnifies rounding up to 1 / √ε = 316 times


class Plan(NamedTuple):
    """What is compiled; numbers, lengths, masks and resets are free.

    form: a single cell, a stack of both, or a pair in both directions.
    cases: the cells.
    sizes: (T, B, D, H), and another H for the second cell.
    dtype, param_dtype: of the computation and of the parameters.
    names: which optional arrays are given.
    reverse, remat: as for `unroll`.
    """

    form: str
    cases: tuple[Case, ...]
    sizes: tuple[int, ...]
    dtype: str
    param_dtype: str
    names: tuple[str, ...]
    reverse: bool
    remat: int | None


@st.composite
def plans(draw, case):
    """Plans whose first cell is `case`; hypothesis starts with the first of all choices.

    A second cell has heads only where the first has them: the other plans stay what they were.
    """

    def one(*choices):
        return draw(st.sampled_from(choices))

    form = one("cell", "stack", "pair")
    alike = [other for other in CASES if other.space() == case.space()
             and ("heads" in case.options or "heads" not in other.options)]  # fmt: skip
    cases = (case,) if form == "cell" else (case, one(*alike))
    dtype = one("float64", "float32", *([] if steep(cases) else ["float16", "bfloat16"]))
    return Plan(
        form=form,
        cases=cases,
        sizes=(one(*range(7, -1, -1)), *(one(3, 1, 2, 4) for _ in "BDHH")),
        dtype=dtype,
        param_dtype=one("float32", dtype),
        names=(*one(["mask"], ["lengths"], []), *one(["initial_state"], []), *one(["resets"], [])),
        reverse=form != "pair" and one(True, False),
        remat=one(3, None, 1, 2, 20),
    )


def steep(cases):
    return any(case.name == STEEP for case in cases)


def network_of(plan):
    cells = [
        case.cell(size, dtype=plan.dtype, param_dtype=plan.param_dtype)
        for case, size in zip(plan.cases, plan.sizes[3:], strict=False)
    ]
    forms = {"cell": lambda cell: cell, "stack": lj.stack, "pair": lj.bidirectional}
    return forms[plan.form](*cells)


def compiled(plan, network, method):
    """(variables, masks, cotangents) -> ((state, ys), gradients of the variables)."""

    def outputs(variables, masks):
        return lj.unroll(
            network, **variables, **masks, reverse=plan.reverse, remat=plan.remat, method=method
        )

    @jax.jit
    def run(variables, masks, cotangents):
        values, pull = jax.vjp(lambda v: outputs(v, masks), variables)
        return values, pull(cotangents)[0]

    return run


def numbers(plan, typical, seed):
    """Random (variables, masks, cotangents), near what is typical of each."""
    rng, (steps, rows) = np.random.default_rng(seed), plan.sizes[:2]
    variables, outputs = typical
    scale = {"params": 0.3, "xs": rng.choice([0.1, 1.0, 5.0]), "initial_state": 0.5}
    variables = {k: rounded(plan, v, seed + ord(k[0]), scale[k]) for k, v in variables.items()}
    share = rng.choice([0.0, 0.3, 0.7, 1.0], 2)
    masks = {
        "lengths": rng.integers(0, steps + 1, rows),
        "mask": rng.random((steps, rows)) < share[0],
        "resets": rng.random((steps, rows)) < share[1],
    }
    masks = {name: value for name, value in masks.items() if name in plan.names}
    return variables, masks, rounded(plan, outputs, seed, 1.0)


def typical_values(plan, network):
    """(variables, outputs) of a plan, in their dtypes."""
    steps, rows, inputs = plan.sizes[:3]
    params = network.init(jax.random.key(0), inputs)
    state = network.initial_state(rows)
    axes = steps, *jax.tree.leaves(state)[0].shape[:-1]
    xs = jnp.zeros((*axes, inputs), plan.dtype)
    variables = {"params": params, "xs": xs, "initial_state": state}
    variables = {k: v for k, v in variables.items() if k != "initial_state" or k in plan.names}
    ys = jnp.zeros((*axes, network.output_size), plan.dtype)
    return variables, (state, ys)


def rounded(plan, tree, seed, scale):
    """Random numbers near the tree's, in its dtypes and exact in that of the computation."""
    near = random_like(tree, seed, scale)
    return jax.tree.map(lambda v, a: jnp.asarray(np.asarray(v, plan.dtype), a.dtype), near, tree)


def expected(plan, variables, masks):
    """The NumPy loop's (final state, outputs)."""
    params, xs = doubles(variables["params"]), np.asarray(variables["xs"], np.float64)
    state = doubles(variables["initial_state"]) if "initial_state" in variables else None
    layers = [(case.name, p, case.options) for case, p in zip(plan.cases, params, strict=True)]
    if plan.form == "pair":
        return oracle.bidirectional(*layers, xs, state or (None, None), **masks)
    finals = []
    for k, (name, p, options) in enumerate(layers):
        final, xs, _ = oracle.unroll(
            name, p, xs, state and state[k], **masks, reverse=plan.reverse, options=options
        )
        finals.append(final)
    return tuple(finals), xs


def doubles(tree):
    """The named tuples of a tree, a tuple of one if it is one, as dictionaries of float64."""
    return tuple(map(fields, (tree,) if hasattr(tree, "_fields") else tree))


def float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def check(plan, methods, variables, masks, cotangents):
    """One case."""
    wanted, gradients = expected(plan, variables, masks), {}
    of_values, of_gradients = np.multiply(TOLERANCES[plan.dtype], 20 if steep(plan.cases) else 1)
    for method, run in methods.items():
        (state, ys), gradients[method] = run(variables, masks, cotangents)
        assert ys.dtype == plan.dtype
        assert_close((doubles(state), float64(ys)), wanted, of_values)
    if plan.dtype == "float64" or not any(case.options in KINKS for case in plan.cases):
        assert_close(float64(gradients["fused"]), float64(gradients["scan"]), of_gradients)


def fuzz(case, number):
    """Checks as many plans with the cell; returns the number of examples."""
    count = 0

    @seed(CASES.index(case))
    @settings(
        database=None,
        deadline=None,
        max_examples=number,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # no shrinking: it would compile for minutes
    @given(plan=plans(case), first=st.integers(0, 2**31))
    def run(plan: Any, first: int) -> None:
        nonlocal count
        network = network_of(plan)
        typical = typical_values(plan, network)
        methods = {method: compiled(plan, network, method) for method in METHODS}
        for draw in range(DRAWS):
            check(plan, methods, *numbers(plan, typical, first + draw))
            count += 1

    run()
    return count


@pytest.mark.parametrize("case", [Case("peephole_lstm"), Case("gru")], ids=str)
def test_an_example_with_all_options(case):
    assert fuzz(case, 1) == DRAWS


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_thousand_examples(case):
    assert fuzz(case, PLANS) == PLANS * DRAWS


def test_there_are_two_thousand():
    assert len(CASES) * PLANS * DRAWS > 2000
