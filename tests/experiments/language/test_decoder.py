"""The decoder against an explicit loop, its two ways of reading, padding, tying and dropout."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.language.attention import Memory
from experiments.language.decoder import Decoder, EncoderDecoder, Text, TextEncoder
from tests import oracle
from tests.cases import fields, random_like

SYMBOLS, EMBEDDING, STEPS = 7, 4, 3
LENGTHS = np.array([5, 2, 0])
WAYS = ("none", "luong", "bahdanau")
NETWORKS = {
    "lstm": lj.lstm(5),
    "gru": lj.gru(5),
    "full_gate_recurrence_lstm": lj.full_gate_recurrence_lstm(4),
    "lstmp": lj.lstmp(6, projection_size=3),
    "min_gru": lj.min_gru(5),
    "stack": lj.stack(lj.lstm(4), lj.peephole_lstm(5)),
}


def pairs(names, fast):
    """Each name with each way to attend; but for those of `fast`, they are slow."""
    return [
        pytest.param(name, way, marks=[] if (name, way) in fast else pytest.mark.slow)
        for name in names
        for way in WAYS
    ]


FAST = [("lstm", "none"), ("gru", "luong"), ("stack", "bahdanau"), ("lstmp", "bahdanau")]
READ_VECTORS = sorted(lj.CELLS.keys() - {"conv_lstm"})


def random_memory(size=6):
    rng = np.random.default_rng(0)
    mask = np.arange(5) < LENGTHS[:, None]
    values = rng.normal(size=(3, 5, size)) * mask[..., None]
    return Memory(jnp.asarray(values, jnp.float32), jnp.asarray(mask))


def random_symbols(steps=STEPS, seed=1):
    return jnp.asarray(np.random.default_rng(seed).integers(0, SYMBOLS, (steps, len(LENGTHS))))


def write(decoder, symbols, memory, deterministic=True):
    """Everything from the memory to the logits."""
    memory, state = decoder.start(memory)
    return decoder(symbols, state, memory, deterministic)


def random_params(module, *inputs, **options):
    """Random numbers for all parameters, biases too; no initializer has to be compiled."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, **options))
    return random_like(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes), seed=2)


def made(network, attention):
    """A decoder and its parameters."""
    decoder = Decoder(network, SYMBOLS, EMBEDDING, attention)
    return decoder, random_params(decoder, random_symbols(), random_memory(), method=write)


def step_by_step(decoder, params, symbols, memory):
    """One symbol a call, the state handed on."""
    memory, state = decoder.apply(params, memory, method="start")
    parts = []
    for t in range(symbols.shape[0]):
        state, *part = decoder.apply(params, symbols[t : t + 1], state, memory)
        parts.append(part)
    return state, *(jnp.concatenate(part) for part in zip(*parts, strict=True))


@pytest.mark.parametrize(("name", "attention"), pairs(NETWORKS, FAST))
def test_all_at_once_is_one_at_a_time_in_values_and_gradients(name, attention):
    decoder, params = made(NETWORKS[name], attention)
    symbols, memory = random_symbols(), random_memory()
    weights = jnp.asarray(np.random.default_rng(5).normal(size=(STEPS, 3, SYMBOLS)), jnp.float32)

    @partial(jax.jit, static_argnums=0)
    @partial(jax.value_and_grad, argnums=(1, 2), has_aux=True)
    def total(read, params, values):
        out = read(params, symbols, memory._replace(values=values))
        return jnp.sum(weights * out[1]) + jnp.square(out[2]).sum(), out

    ways = partial(decoder.apply, method=write), partial(step_by_step, decoder)
    (_, together), gradients = total(ways[0], params, memory.values)
    (_, alone), expected = total(ways[1], params, memory.values)
    assert float(jnp.abs(together[1]).max()) > 0.1
    for a, b in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for a, b in zip(*map(jax.tree.leaves, (gradients, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def dense(params, x):
    return x @ params["kernel"] + params.get("bias", 0)


def attend(name, params, query, values):
    """The context and the weights of one query of one row's values, those that are there."""
    if name == "none":
        return np.zeros(0), np.zeros(0)
    if not len(values):
        return np.zeros(values.shape[1]), np.zeros(0)
    keys = dense(params["key"], values)
    if name == "bahdanau":
        energies = dense(params["score"], np.tanh(dense(params["query"], query) + keys))[:, 0]
    else:
        energies = keys @ query
    odds = np.exp(energies - energies.max())
    return odds / odds.sum() @ values, odds / odds.sum()


def by_hand(name, attention, decoder, params, symbols, memory):
    """Logits [T, B, V] and weights [T, B, S] by loops over rows and steps, in float64."""
    cell = fields(lj.trees.from_dict(decoder.network, params["params"]["recurrent"]["network"]))
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)["params"]
    table = p["embed"]["embedding"]
    logits = np.zeros((*symbols.shape, SYMBOLS))
    weights = np.zeros((*symbols.shape, memory.mask.shape[1]))
    for b, length in enumerate(LENGTHS):
        values = np.asarray(memory.values[b, :length], np.float64)
        mean = values.mean(axis=0) if length else np.zeros(memory.values.shape[-1])
        names = decoder.network.initial_state(1)._fields
        state = {f: np.tanh(dense(p[f"bridge_{k}"], mean)) for k, f in enumerate(names)}
        h = np.zeros(decoder.network.output_size)
        for t, symbol in enumerate(symbols[:, b].tolist()):
            x = table[symbol]
            if attention == "bahdanau":
                context, found = attend(attention, p.get("attend"), h, values)
                x = np.concatenate([x, context])
            state, _ = oracle.step(name, cell, state, x, {})
            h = state["h"]
            if attention != "bahdanau":
                context, found = attend(attention, p.get("attend"), h, values)
            weights[t, b, : len(found)] = found
            r = np.tanh(dense(p["readout"], np.concatenate([h, context])))
            logits[t, b] = table @ r + p["bias"]
    return logits, weights


@pytest.mark.parametrize("attention", WAYS)
@pytest.mark.parametrize("name", ["lstm", "full_gate_recurrence_lstm"])
def test_logits_and_weights_are_those_of_a_loop(name, attention):
    decoder, params = made(NETWORKS[name], attention)
    symbols, memory = random_symbols(), random_memory()
    run = jax.jit(partial(decoder.apply, method=write))
    _, logits, weights = run(params, symbols, memory)
    assert logits.dtype == jnp.float32
    expected = by_hand(name, attention, decoder, params, symbols, memory)
    np.testing.assert_allclose(logits, expected[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weights, expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_what_a_masked_place_holds_has_no_influence(attention):
    """Whatever finite number it is; that there is no NaN, the encoder sees to."""
    decoder, params = made(lj.gru(5), attention)
    memory = random_memory()
    there = memory.mask[..., None]

    @jax.jit
    @jax.value_and_grad
    def total(params, values):
        return jnp.sin(
            decoder.apply(params, random_symbols(), memory._replace(values=values), method=write)[1]
        ).sum()

    expected, actual = (total(params, jnp.where(there, memory.values, v)) for v in (0.0, 1e3))
    for a, b in zip(*map(jax.tree.leaves, (expected, actual)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def translator(attention="luong", dropout=0.0):
    encoder = TextEncoder(lj.bidirectional(lj.lstm(3), lj.gru(2)), SYMBOLS + 1, EMBEDDING, dropout)
    return EncoderDecoder(encoder, Decoder(lj.gru(5), SYMBOLS, EMBEDDING, attention, dropout))


def random_text(padding=0):
    symbols = np.random.default_rng(7).integers(0, SYMBOLS + 1, (5, 3))
    symbols[np.arange(5)[:, None] >= LENGTHS] = padding
    return Text(jnp.asarray(symbols), jnp.asarray(LENGTHS))


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_the_padding_of_a_text_has_no_influence(attention):
    model = translator(attention)
    symbols = random_symbols()
    params = random_params(model, random_text(), symbols)
    inputs = dict(zip(("short", "other"), (random_text(0), random_text(SYMBOLS)), strict=True))

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def total(params, text):
        logits, weights = model.apply(params, text, symbols)
        return jnp.sin(logits).sum(), (logits, weights)

    expected, actual = (total(params, text) for text in inputs.values())
    jax.tree.map(np.testing.assert_array_equal, expected, actual)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(expected))
    unknown = total(params, random_text(SYMBOLS + 99))  # out of the table: its embedding is NaN
    jax.tree.map(np.testing.assert_array_equal, expected, unknown)
    memory = jax.jit(partial(model.apply, method="read"))(params, random_text(1))[0]
    assert (np.asarray(memory.values)[~np.asarray(memory.mask)] == 0).all()


def test_the_encoder_reads_each_row_as_if_alone():
    encoder = translator().encoder
    text = random_text()
    params = random_params(encoder, text)
    read = jax.jit(encoder.apply)
    memory = read(params, text)
    np.testing.assert_array_equal(memory.mask, np.arange(5) < LENGTHS[:, None])
    for row, length in enumerate(LENGTHS[:2]):
        alone = Text(text.symbols[:length, row : row + 1], text.lengths[row : row + 1])
        values = read(params, alone).values[0]
        np.testing.assert_allclose(memory.values[row, :length], values, rtol=1e-5, atol=1e-6)


def test_the_embedding_learns_from_reading_and_from_writing():
    decoder, params = made(lj.gru(5), "luong")
    symbols = jnp.full((STEPS, 3), 2)  # reads nothing but 2, is asked for 4

    def total(params):
        _, logits, _ = decoder.apply(params, symbols, random_memory(), method=write)
        return logits[..., 4].sum()

    gradient = jax.jit(jax.grad(total))(params)["params"]["embed"]["embedding"]
    moved = np.flatnonzero(np.abs(gradient).sum(axis=1))
    assert moved.tolist() == [2, 4]
    tables = [p for p in jax.tree.leaves(params) if p.shape == (SYMBOLS, EMBEDDING)]
    assert len(tables) == 1


NOISY = {
    "zoneout": lj.zoneout(lj.lstm(5), 0.5),
    "drop_connect": lj.drop_connect(lj.lstm(5), 0.5),
    "variational": lj.variational_dropout(lj.lstm(5), inputs=0.3, recurrent=0.3),
    "between layers": lj.stack(lj.lstm(5), lj.lstm(5), dropout=0.5),
}


def check_noise(run):
    """`run(seed, deterministic)` has noise of its own for each seed, and none if deterministic."""
    run = jax.jit(run, static_argnums=1)
    np.testing.assert_array_equal(run(0, True), run(1, True))
    np.testing.assert_array_equal(run(0, False), run(0, False))
    assert np.isfinite(run(0, False)).all()
    assert (run(0, False) != run(1, False)).any(axis=-1).all()
    assert (run(0, False) != run(0, True)).any(axis=-1).all()


@pytest.mark.parametrize(("noise", "attention"), pairs(NOISY, [(n, "bahdanau") for n in NOISY]))
def test_the_networks_noise_is_on_in_training_alone(noise, attention):
    decoder, params = made(NOISY[noise], attention)

    def run(seed, deterministic):
        rngs = {"dropout": jax.random.PRNGKey(seed)}
        inputs = random_symbols(), random_memory(), deterministic
        return decoder.apply(params, *inputs, rngs=rngs, method=write)[1][1:]

    check_noise(run)


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_each_step_draws_noise_of_its_own(attention):
    """With one mask for all of 16 steps, zoneout would leave half of the units as they began."""
    decoder, params = made(NOISY["zoneout"], attention)

    @jax.jit
    def run():
        memory, first = decoder.apply(params, random_memory(), method="start")
        rngs = {"dropout": jax.random.PRNGKey(0)}
        last = decoder.apply(params, random_symbols(16), first, memory, False, rngs=rngs)[0]
        return first.network, last.network

    for first, last in zip(*run(), strict=True):
        assert (first != last).all()


def test_dropout_is_on_in_training_alone():
    model = translator(dropout=0.5)
    params = random_params(model, random_text(), random_symbols())

    def run(seed, deterministic):
        rngs = {"dropout": jax.random.PRNGKey(seed)}
        return model.apply(params, random_text(), random_symbols(), deterministic, rngs=rngs)[0]

    check_noise(run)


@pytest.mark.parametrize(
    ("name", "attention"), pairs(READ_VECTORS, [(name, "luong") for name in READ_VECTORS])
)
def test_every_cell_writes(name, attention):
    options = {"projection_size": 3} if name == "lstmp" else {}
    network = lj.CELLS[name](4, **options)
    decoder, params = made(network, attention)
    symbols, memory = random_symbols(1), random_memory()
    read = jax.jit(partial(decoder.apply, params, memory=memory, method=write))
    logits, other = read(symbols)[1], read((symbols + 1) % SYMBOLS)[1]
    assert np.isfinite(logits).all()
    assert (logits != other).any(axis=-1).all()  # it has read the symbols
    assert (logits[0, 0] != logits[0, 2]).any()  # and the memory


@pytest.mark.parametrize("attention", WAYS)
def test_a_half_precision_cell_keeps_the_types_of_its_state(attention):
    """A beam search hands the state on, and a loop wants the same types each time."""
    decoder, params = made(lj.lstm(5, dtype="bfloat16"), attention)
    symbols, memory = random_symbols(), random_memory()

    def run(params):
        kept, first = decoder.apply(params, memory, method="start")
        return first, *decoder.apply(params, symbols, first, kept)

    first, state, logits, _ = jax.eval_shape(run, params)
    assert logits.dtype == jnp.float32
    assert [leaf.dtype for leaf in jax.tree.leaves(first)] == [
        leaf.dtype for leaf in jax.tree.leaves(state)
    ]
