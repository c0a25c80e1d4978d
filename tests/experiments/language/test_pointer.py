"""The pointer against loops over steps, rows and places, and at its limits."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.language.decoder import Decoder, EncoderDecoder, Text, TextEncoder
from experiments.language.pointer import TINY, Pointer, log_mass
from tests.cases import random_like

T, B, S, V, F = 3, 4, 5, 7, 6
LENGTHS = np.array([5, 3, 1, 0])


def random_case(seed=0):
    """Logits, weights of attention, features and symbols; the last row has read nothing."""
    rng = np.random.default_rng(seed)
    there = np.arange(S) < LENGTHS[:, None]
    odds = np.exp(rng.normal(size=(T, B, S))) * there
    weights = odds / np.maximum(odds.sum(axis=-1, keepdims=True), 1e-9)
    symbols = np.where(there, rng.integers(0, 4, (B, S)), 6)  # 4 and 5 are never read
    logits, features = 2 * rng.normal(size=(T, B, V)), rng.normal(size=(T, B, F))
    return *(jnp.asarray(a, jnp.float32) for a in (logits, weights, features)), symbols


def made(seed=1):
    pointer = Pointer()
    shapes = jax.eval_shape(lambda: pointer.init(jax.random.key(0), *random_case()))
    return pointer, random_like(jax.tree.map(lambda s: jnp.zeros(s.shape), shapes), seed)


def with_gate(params, bias):
    """The same pointer, whose gate is σ(bias) whatever the features."""
    gate = params["params"]["gate"]
    gate = {"kernel": 0 * gate["kernel"], "bias": jnp.full_like(gate["bias"], bias)}
    return {"params": {"gate": gate}}


def by_loops(params, logits, weights, features, symbols):
    """p [T, B, V] in float64, place by place."""
    gate = jax.tree.map(lambda p: np.asarray(p, np.float64), params)["params"]["gate"]
    p = np.zeros((T, B, V))
    for t in range(T):
        for b in range(B):
            g = 1 / (1 + np.exp(-(np.asarray(features[t, b]) @ gate["kernel"] + gate["bias"])[0]))
            odds = np.exp(np.asarray(logits[t, b], np.float64))
            p[t, b] = g * odds / odds.sum()
            for s in range(LENGTHS[b]):
                p[t, b, symbols[b, s]] += (1 - g) * float(weights[t, b, s])
    return p


def test_probabilities_are_those_of_loops():
    pointer, params = made()
    p = np.exp(pointer.apply(params, *random_case()))
    np.testing.assert_allclose(p, by_loops(params, *random_case()), rtol=1e-5)
    np.testing.assert_allclose(p[:, :3].sum(axis=-1), 1, rtol=1e-5)


def test_an_empty_memory_leaves_the_logits():
    pointer, params = made()
    case = random_case()
    found = jax.nn.log_softmax(pointer.apply(params, *case))[:, 3]
    np.testing.assert_allclose(found, jax.nn.log_softmax(case[0])[:, 3], rtol=1e-5, atol=1e-6)


def test_what_the_decoder_would_never_write_can_be_copied():
    pointer, params = made()
    logits, weights, features, symbols = random_case()
    read = int(symbols[1, 0])
    logits = logits.at[..., read].set(-1e4)
    p = np.exp(pointer.apply(params, logits, weights, features, symbols))
    np.testing.assert_allclose(p, by_loops(params, logits, weights, features, symbols), rtol=1e-5)
    assert (p[:, 1, read] > 0.01).all()
    assert (p[:, 3, read] == 0).all()  # nothing was read there


def test_the_gate_decides_between_writing_and_copying():
    pointer, params = made()
    logits, weights, features, symbols = random_case()
    written = pointer.apply(with_gate(params, 200.0), logits, weights, features, symbols)
    np.testing.assert_allclose(written, jax.nn.log_softmax(logits), rtol=1e-6, atol=1e-6)
    copied = np.exp(pointer.apply(with_gate(params, -200.0), logits, weights, features, symbols))
    for b, length in enumerate(LENGTHS):
        expected = np.zeros((T, V))
        for s in range(length):
            expected[:, symbols[b, s]] += np.asarray(weights)[:, b, s]
        np.testing.assert_allclose(copied[:, b], expected, rtol=1e-5, atol=1e-30)


def test_weights_whose_inverse_may_be_no_number_count_as_none():
    found = log_mass(jnp.asarray([[[TINY / 10, 0.5, 0.25]]]), np.array([[1, 2, 2]]), 4)
    np.testing.assert_allclose(found[0, 0], [-np.inf, -np.inf, np.log(0.75), -np.inf], rtol=1e-6)


@pytest.mark.parametrize("bias", [-200.0, 0.0, 200.0])
def test_gradients_are_finite_however_sure_it_is(bias):
    """Weights as small as float32 has them, a certain gate, logits far apart."""
    pointer, params = made()
    logits, weights, features, symbols = random_case()
    weights = weights.at[0].set(weights[0] * 1e-40).at[1].set(weights[1] * 2 * TINY)

    @jax.jit
    @partial(jax.grad, argnums=(0, 1, 2, 3))
    def slope(params, logits, weights, features):
        found = pointer.apply(params, logits, weights, features, symbols)
        return jnp.take_along_axis(found, jnp.asarray(symbols[:, :1])[None], axis=-1).sum()

    found = slope(with_gate(params, bias), 100 * logits, weights, features)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


def test_gradients_are_those_of_finite_differences():
    pointer, params = made()
    *case, symbols = random_case()
    rng = np.random.default_rng(4)
    pick = rng.normal(size=(T, 3, V))

    @jax.jit
    @jax.value_and_grad
    def total(inputs):
        params, *case = inputs
        return (pick * jnp.exp(pointer.apply(params, *case, symbols))[:, :3]).sum()

    inputs = (params, *case)
    steps = jax.tree.map(lambda leaf: 1e-2 * rng.normal(size=leaf.shape), inputs)
    steps = (*steps[:2], steps[2] * (case[1] > 0), steps[3])  # attention stays where it is
    ahead, behind = (
        total(jax.tree.map(lambda a, d, s=s: a + s * d, inputs, steps))[0] for s in (1, -1)
    )
    slopes = jax.tree.leaves(total(inputs)[1])
    along = sum((a * d).sum() for a, d in zip(slopes, jax.tree.leaves(steps), strict=True))
    assert abs(along) > 1e-3
    assert float(ahead - behind) / 2 == pytest.approx(float(along), rel=1e-2)


@pytest.mark.parametrize("attention", ["luong", pytest.param("bahdanau", marks=pytest.mark.slow)])
def test_a_decoder_points_at_what_its_encoder_read(attention):
    """Normalized, padding without influence, and equal whether it reads at once or by steps."""
    model = EncoderDecoder(
        TextEncoder(lj.bidirectional(lj.gru(3), lj.gru(3)), V, 4),
        Decoder(lj.lstm(5), V, 4, attention, pointer=True),
    )
    symbols = np.random.default_rng(0).integers(0, V, (S, B))
    read = Text(jnp.asarray(symbols), jnp.asarray(LENGTHS))
    said = jnp.asarray(np.random.default_rng(1).integers(0, V, (T, B)))
    params = random_like(model.init(jax.random.key(0), read, said), seed=2)
    there = np.arange(S)[:, None] < LENGTHS
    padded = read._replace(symbols=jnp.asarray(np.where(there, symbols, 2)))
    run = jax.jit(model.apply)
    found, weights = run(params, read, said)
    np.testing.assert_allclose(np.exp(found[:, :3]).sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found, run(params, padded, said)[0])
    memory, state = model.apply(params, read, method="read")
    np.testing.assert_array_equal(memory.symbols, symbols.T)
    step = jax.jit(partial(model.apply, method="write"))
    for t in range(T):
        state, once, _ = step(params, said[t : t + 1], state, memory)
        np.testing.assert_allclose(once[0], found[t], rtol=1e-4, atol=1e-5)
    gate = jax.tree.map(lambda p: p, params)
    gate["params"]["decoder"]["point"]["gate"]["bias"] = jnp.full(1, -200.0)
    gate["params"]["decoder"]["point"]["gate"]["kernel"] *= 0
    copied, weights = run(gate, read, said)
    for t in range(T):
        for b in range(3):
            mass = np.zeros(V)
            for s in range(LENGTHS[b]):
                mass[symbols[s, b]] += float(weights[t, b, s])
            np.testing.assert_allclose(np.exp(copied[t, b]), mass, rtol=1e-4, atol=1e-6)
