"""Attention against loops over queries and places, with what is masked and what is empty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.language.attention import ATTENTION, Memory

T, B, S, M, Q, SIZE = 3, 4, 5, 6, 7, 7
LENGTHS = np.array([5, 3, 1, 0])


def random_case(seed=0):
    """Queries [T, B, Q], and a memory whose last row is empty, zero past the lengths."""
    rng = np.random.default_rng(seed)
    mask = np.arange(S) < LENGTHS[:, None]
    values = rng.normal(size=(B, S, M)) * mask[..., None]
    memory = Memory(jnp.asarray(values, jnp.float32), jnp.asarray(mask))
    return jnp.asarray(rng.normal(size=(T, B, Q)), jnp.float32), memory


def made(name, seed=0):
    """A module with random parameters, biases too, and a function that reads a memory."""
    module = ATTENTION[name](SIZE)
    queries, memory = random_case()

    def attend(module, queries, memory):
        return module(queries, memory._replace(keys=module.keys(memory.values)))

    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), queries, memory, method=attend))
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), jnp.float32), shapes)
    return params, jax.jit(lambda params, *inputs: module.apply(params, *inputs, method=attend))


def energy(name, params, query, value):
    """What one query makes of one place, in float64."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)["params"]
    if name == "luong":
        return query @ (value @ p["key"]["kernel"])
    inner = query @ p["query"]["kernel"] + value @ p["key"]["kernel"] + p["key"]["bias"]
    return float(np.tanh(inner) @ p["score"]["kernel"][:, 0])


@pytest.mark.parametrize("name", ATTENTION)
def test_contexts_are_the_softmax_means_of_what_is_there(name):
    params, attend = made(name)
    queries, memory = random_case()
    contexts, weights = attend(params, queries, memory)
    values = np.asarray(memory.values, np.float64)
    for t in range(T):
        for b, length in enumerate(LENGTHS):
            query = np.asarray(queries[t, b], np.float64)
            odds = [np.exp(energy(name, params, query, values[b, s])) for s in range(length)]
            expected = np.zeros(S)
            expected[:length] = np.array(odds) / sum(odds)
            np.testing.assert_allclose(weights[t, b], expected, rtol=1e-4, atol=1e-6)
            context = sum((expected[s] * values[b, s] for s in range(S)), np.zeros(M))
            np.testing.assert_allclose(contexts[t, b], context, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ATTENTION)
def test_one_step_is_a_row_of_all_steps(name):
    params, attend = made(name)
    queries, memory = random_case()
    together = attend(params, queries, memory)
    for t in range(T):
        alone = attend(params, queries[t], memory)
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_allclose(one, all_of_them[t], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ATTENTION)
def test_masked_places_have_no_weight_and_no_gradient(name):
    params, attend = made(name)
    queries, memory = random_case()
    there = np.asarray(memory.mask)

    def total(values):
        contexts, weights = attend(params, queries, memory._replace(values=values))
        return jnp.sin(contexts).sum() + jnp.square(weights).sum()

    other = jnp.where(there[..., None], memory.values, 1e3)
    for values in (memory.values, other):
        weights = attend(params, queries, memory._replace(values=values))[1]
        assert (np.asarray(weights)[:, ~there] == 0).all()
        gradient = np.asarray(jax.jit(jax.grad(total))(values))
        assert np.isfinite(gradient).all()
        assert (gradient[~there] == 0).all()
        assert (gradient[there] != 0).any(axis=-1).all()
    np.testing.assert_array_equal(
        attend(params, queries, memory)[0],
        attend(params, queries, memory._replace(values=other))[0],
    )


@pytest.mark.parametrize("name", ATTENTION)
def test_an_empty_memory_gives_zeros_and_no_gradient(name):
    params, attend = made(name)
    queries, memory = random_case()
    contexts, weights = attend(params, queries, memory)
    assert (np.asarray(contexts[:, 3]) == 0).all()
    assert (np.asarray(weights[:, 3]) == 0).all()

    def total(params, queries):
        contexts, weights = attend(params, queries, memory)
        return (contexts[:, 3] + 1).sum() ** 2 + jnp.sqrt(weights[:, 3] + 1).sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(total, argnums=(0, 1)))(params, queries)):
        assert (np.asarray(leaf) == 0).all()


@pytest.mark.parametrize("name", ATTENTION)
def test_large_energies_do_not_overflow(name):
    params, attend = made(name)
    queries, memory = random_case()
    params = jax.tree.map(lambda p: 1e4 * p, params)
    contexts, weights = attend(params, 1e4 * queries, memory)
    assert np.isfinite(contexts).all()
    np.testing.assert_allclose(weights.sum(axis=-1), np.tile(LENGTHS > 0, (T, 1)), atol=1e-6)
