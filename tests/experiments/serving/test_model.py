"""What serves is what was trained: whole sequences, parts of them, single steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments import command_line
from experiments.language.running_text import LanguageModel
from experiments.serving.model import pool
from tests.experiments.serving.served import LENGTHS, MODELS, ROWS, apply, inputs, served, variables
from tests.experiments.tasks.test_tasks import tiny


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_what_the_trained_model_does(name):
    model = MODELS[name]()
    params, given = variables(model), inputs(model)
    lengths = np.full(ROWS, 7) if isinstance(model, LanguageModel) else LENGTHS
    own = model.served(params)
    state, outputs = own.whole(given, lengths, own.fresh(ROWS))
    wanted_state, wanted = apply(model, params, given, lengths)
    np.testing.assert_allclose(outputs, wanted, rtol=1e-5, atol=1e-5)
    if wanted_state is not None:
        packed = lj.stream(own.network, own.params).pack(wanted_state)
        np.testing.assert_allclose(state, packed, atol=1e-6)


@pytest.mark.parametrize("name", ["one-hot", "embedded", "music", "last"])
def test_steps_say_what_sequences_that_end_there_do(name):
    own = served(name)
    given, state = inputs(MODELS[name]()), own.fresh(ROWS)
    for t, x in enumerate(given):
        state, output = own.step(state, x)
        final, whole = own.whole(given[: t + 1], np.full(ROWS, t + 1), own.fresh(ROWS))
        np.testing.assert_allclose(output, whole[-1] if whole.ndim == 3 else whole, atol=1e-5)
        np.testing.assert_allclose(state, final, atol=1e-6)


def test_a_sequence_can_come_in_parts():
    own, given = served("music"), inputs(MODELS["music"]())
    state, outputs = own.whole(given, LENGTHS, own.fresh(ROWS))
    middle, first = own.whole(given[:4], np.minimum(LENGTHS, 4), own.fresh(ROWS))
    end, rest = own.whole(given[4:], np.maximum(LENGTHS - 4, 0), middle)
    np.testing.assert_allclose(np.concatenate([first, rest]), outputs, atol=1e-6)
    np.testing.assert_allclose(end, state, atol=1e-6)


def test_only_what_looks_back_alone_streams():
    streams = {name for name in MODELS if served(name).streams}
    assert streams == MODELS.keys() - {"steps", "last of both", "mean"}


def test_pooling_by_hand():
    ys = np.random.default_rng(3).standard_normal((5, 3, 4)).astype(np.float32)
    lengths = np.array([5, 0, 2])
    ys *= (np.arange(5)[:, None] < lengths)[..., None]
    for b, n in enumerate(lengths):
        mean = ys[:, b].sum(0) / max(n, 1)
        np.testing.assert_allclose(pool(ys, lengths, "mean", False)[b], mean, rtol=1e-6)
        last = ys[max(n - 1, 0), b]
        np.testing.assert_array_equal(pool(jnp.asarray(ys), lengths, "last", False)[b], last)
        joined = np.concatenate([last[:2], ys[0, b, 2:]])
        np.testing.assert_array_equal(pool(jnp.asarray(ys), lengths, "last", True)[b], joined)


@pytest.mark.parametrize("name", ["char_lm", "music", "temporal_order", "pixels"])
def test_tasks_say_what_serves(name, tmp_path):
    task = command_line.build_task(tiny(name, tmp_path))
    params = task.init(jax.random.key(0))
    own = task.serve(params)
    one, rng = own.inputs.step(), np.random.default_rng(4)
    given = rng.integers(0, own.inputs.symbols or 200, (6, 2, *one.shape)).astype(one.dtype)
    outputs = own.whole(given, np.full(2, 6), own.fresh(2))[1]
    wanted = apply(task.model, params, given, np.full(2, 6))[1]
    np.testing.assert_allclose(outputs, wanted, rtol=1e-4, atol=1e-4)
    assert len(own.names) in (0, outputs.shape[-1])
