"""What the traced equations tell about a cell, and that "fused" is right for cells of any kind."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.recurrence import wiring
from tests.cases import HIDDEN, Case, assert_close, problem
from tests.lstm_jax.test_chunks import jaxprs_in
from tests.lstm_jax.test_gradients import gradient_of, loss_of, second_gradient_of

PEEPHOLES = {"peepholes": "diagonal"}


def seen(cell):
    """What the functions of `wiring` take: a cell with random parameters, state and input part."""
    p = problem(cell)
    return cell, p.params, p.state, cell.inputs(p.params, p.xs, None)[0]


def elementwise(cell):
    """The names of the parameters that enter other than as a product's matrix."""
    what = seen(cell)
    used = wiring.elementwise_parameters(*what)
    names = [name for name, value in what[1]._asdict().items() if value is not None]
    return [name for name, yes in zip(names, used, strict=True) if yes]


def test_live_inputs_are_those_that_an_output_depends_on():
    def f(direct, through, dropped, looped, unused):
        jnp.sin(dropped) + direct
        _, total = jax.lax.scan(lambda s, v: (s + v, s), 0.0, looped)
        return jnp.cos(through) * direct, total

    closed = jax.make_jaxpr(f)(1.0, 2.0, 3.0, jnp.ones(4), 5.0)
    assert wiring.live_inputs(closed) == [True, True, False, True, False]


def test_dependent_outputs_are_those_that_depend_on_an_input():
    outside = jnp.arange(3.0)

    def f(x, y):
        return jnp.sin(x) * outside, jnp.cos(outside), y, 1.5, jnp.sum(outside) + y

    closed = jax.make_jaxpr(f)(1.0, 2.0)
    assert wiring.dependent_outputs(closed) == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("case", "names"),
    [
        (Case("lstm"), []),
        (Case("gru"), []),
        (Case("min_lstm"), []),
        (Case("full_gate_recurrence_lstm"), []),
        (Case("peephole_lstm"), ["peephole"]),
        (Case("peephole_lstm", {"peepholes": "full"}), []),
        (Case("lstmp", PEEPHOLES), ["peephole"]),
        (Case("gru_reset_after"), ["recurrent_bias"]),
        (
            Case("layer_norm_lstm"),
            ["recurrent_scale", "recurrent_offset", "cell_scale", "cell_offset"],
        ),
    ],
    ids=str,
)
def test_peepholes_scales_and_recurrent_biases_are_elementwise_and_kernels_are_not(case, names):
    assert elementwise(case.cell()) == names


@pytest.mark.parametrize(
    ("case", "yes"),
    [
        (Case("lstm"), True),
        (Case("peephole_lstm"), True),
        (Case("gru"), True),
        (Case("lstmp"), True),
        (Case("gru_reset_after"), False),
        (Case("layer_norm_lstm"), False),
        (Case("full_gate_recurrence_lstm"), False),
        (Case("min_lstm"), False),
    ],
    ids=str,
)
def test_whether_the_input_part_is_only_added_to_products(case, yes):
    assert wiring.adds_to_products_only(*seen(case.cell())) is yes


def test_the_kernels_of_products_come_in_order():
    def kernels(case):
        what = seen(case.cell())
        return wiring.product_kernels(*what), what[1]

    found, params = kernels(Case("gru"))
    u = params.recurrent_kernel
    assert_close(found, [u[:, : 2 * HIDDEN], u[:, 2 * HIDDEN :]], 0)
    found, params = kernels(Case("lstmp", {"peepholes": "full"}))
    assert_close(found, [params.recurrent_kernel, *params.peephole, params.projection], 0)
    assert kernels(Case("min_lstm"))[0] == []


class Params(NamedTuple):
    """Of the cells below."""

    kernel: jax.Array
    recurrent_kernel: jax.Array
    inner: jax.Array
    scale: jax.Array


def custom(equations, width=HIDDEN):
    """A cell as a user writes it, with z of the given width."""

    def init(key, input_size):
        shapes = (input_size, width), (HIDDEN, width), (HIDDEN, HIDDEN), (1, HIDDEN)
        return Params(*map(jnp.zeros, shapes))

    def fresh(batch):
        return lj.LSTMState(jnp.zeros((batch, HIDDEN)), jnp.zeros((batch, HIDDEN)))

    return lj.Cell(equations.__name__, HIDDEN, init, fresh, equations)


def leak(state, n):
    c = 0.8 * state.c + 0.2 * n
    return lj.LSTMState(jnp.sin(c), c), {"n": n}


def input_used_twice(params, state, x, affine):
    return leak(state, jnp.tanh(affine(x, state.h, params.recurrent_kernel)) * jnp.cos(x))


def peephole_before_the_product(params, state, x, affine):
    return leak(state, jnp.tanh(affine(x + params.scale * state.c, state.h, params.inner)))


def bent_input(params, state, x, affine):
    return leak(state, jnp.tanh(affine(params.scale * jnp.sin(x), state.h, params.inner)))


def product_of_a_product(params, state, x, affine):
    a = jnp.tanh(affine(x, state.h, params.recurrent_kernel))
    return leak(state, jnp.tanh(affine(0.5, a * state.c, params.inner)))


def input_in_the_operand(params, state, x, affine):
    return leak(state, jnp.tanh(affine(x, state.h * jnp.sin(x), params.inner)))


def one_matrix_in_three_places(params, state, x, affine):
    u = params.inner
    a = jnp.tanh(affine(x, state.h, u))
    return leak(state, jnp.tanh(affine(a, state.c, u - u.T)) + a * jnp.diag(u)[None])


def shared_gate(params, state, x, affine):
    z = affine(x, state.h, params.recurrent_kernel)
    n, gate = jnp.tanh(z[:, :HIDDEN]), jnp.tanh(z[:, HIDDEN:]).mean(-1, keepdims=True)
    return leak(state, gate * n)


CUSTOM = {  # equations, width of z: elementwise parameters, whether x is only added to products
    (input_used_twice, 5): ([], False),
    (peephole_before_the_product, 5): (["scale"], False),
    (bent_input, 5): (["scale"], True),
    (product_of_a_product, 5): ([], True),
    (input_in_the_operand, 5): ([], False),
    (one_matrix_in_three_places, 5): (["inner"], False),
    (shared_gate, 8): ([], True),
}


@pytest.mark.parametrize(("equations", "width"), CUSTOM, ids=lambda v: getattr(v, "__name__", v))
def test_a_cell_of_ones_own_has_the_gradients_of_scan(equations, width):
    cell = custom(equations, width)
    names, only_added = CUSTOM[equations, width]
    assert elementwise(cell) == names
    assert wiring.adds_to_products_only(*seen(cell)) is only_added

    p = problem(cell)
    fused, variables, masks = loss_of(p, "fused", "gaps reversed")
    scan, *_ = loss_of(p, "scan", "gaps reversed")
    got, wanted = gradient_of(fused)(variables, masks), gradient_of(scan)(variables, masks)
    assert_close(got, wanted, 1e-10)
    used = {"scale", "inner", "recurrent_kernel"} & set(equations.__code__.co_names)
    for name in {"kernel"} | used:
        assert np.abs(getattr(got[1][0], name)).max() > 1e-3


def test_a_cell_of_ones_own_has_the_second_gradients_of_scan():
    p = problem(custom(peephole_before_the_product), steps=3)
    assert_close(second_gradient_of(p, "fused"), second_gradient_of(p, "scan"), 1e-10)


def test_a_matrix_that_depends_on_the_input_is_refused():
    def fast_weights(params, state, x, affine):
        return leak(state, affine(x, state.h, params.inner * x.mean()))

    with pytest.raises(ValueError, match=r"fast_weights.*method=\"scan\""):
        wiring.product_kernels(*seen(custom(fast_weights)))


def loops_of_the_gradient(case):
    """The scans of the forward and the backward pass."""
    p = problem(case.cell())
    loss, variables, masks = loss_of(p, "fused", "gaps reversed")
    jaxpr = jax.make_jaxpr(jax.grad(loss, has_aux=True))(variables, masks).jaxpr
    forward, backward = [e for e in everything(jaxpr) if e.primitive.name == "scan"]
    assert forward.params["reverse"] and not backward.params["reverse"]
    return forward, backward


def everything(jaxpr):
    """The equations of a jaxpr and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in(equation):
            yield from everything(inner)


def widths(loop):
    """The widths of the sequences [T, B, width] that a loop reads, and of those that it writes."""
    both = loop.invars, loop.outvars
    return [[v.aval.shape[2] for v in vs if v.aval.ndim > 2] for vs in both]


@pytest.mark.parametrize(("case", "gates"), [(Case("lstm"), 4), (Case("gru"), 3)], ids=str)
def test_loops_read_gate_blocks_one_by_one(case, gates):
    """Else XLA on the CPU makes scalar instructions of them."""
    forward, backward = loops_of_the_gradient(case)
    states = len(case.cell().initial_state(1))
    assert widths(forward) == [[HIDDEN] * gates, [HIDDEN] * (states + gates)]
    assert set(widths(backward)[0]) == {HIDDEN}


NONLINEAR = {"tanh", "logistic", "exp", "exp2", "log", "log1p", "rsqrt", "sqrt", "pow"}


@pytest.mark.parametrize(
    "case",
    [
        *map(Case, ("lstm", "peephole_lstm", "gru", "gru_reset_after", "layer_norm_lstm")),
        Case("lstmp", PEEPHOLES),
    ],
    ids=str,
)
def test_the_reverse_loop_is_linear(case):
    def primitives(loop):
        return {e.primitive.name for e in everything(loop.params["jaxpr"].jaxpr)}

    forward, backward = map(primitives, loops_of_the_gradient(case))
    assert "tanh" in forward
    assert "dot_general" in backward and not backward & NONLINEAR
