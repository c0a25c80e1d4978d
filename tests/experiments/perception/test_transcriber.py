"""Transcription: the loss a label, padding and empty places, decoding, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import default
from experiments.config import resolve
from experiments.mesh import Part
from experiments.perception import ctc
from experiments.perception.examples import Batch, Split
from experiments.perception.transcriber import transcriber
from experiments.training.step import init_state, make_evaluate, make_train_step

SYMBOLS = ("a", "b", "c")
SIZES = {"train": 48, "valid": 3, "test": 6}
FEATURES = 4


def bursts(random, count):
    """Each symbol is a burst of its own feature between gaps, both of random lengths."""
    labels = random.integers(0, len(SYMBOLS), random.integers(1, count + 1))
    frames = [np.zeros((random.integers(1, 3), FEATURES))]
    for label in labels:
        frames.append(np.tile(np.eye(FEATURES)[label], (random.integers(1, 3), 1)))
        frames.append(np.zeros((random.integers(1, 3), FEATURES)))
    frames.append(np.zeros((-sum(map(len, frames)) % 6, FEATURES)))  # few lengths, few compilations
    noisy = np.concatenate(frames)
    return (noisy + 0.1 * random.normal(size=noisy.shape)).astype(np.float32), labels


@pytest.fixture(scope="module")
def splits():
    random = np.random.default_rng(0)
    drawn = {name: [bursts(random, 4) for _ in range(size)] for name, size in SIZES.items()}
    return {name: Split(*map(list, zip(*own, strict=True))) for name, own in drawn.items()}


def make_config():
    config = default.get_config()
    config.task = ConfigDict({"name": "speech", "bidirectional": True, "buckets": 2, "beams": 4})
    config.cell.hidden_size = 8
    config.train.update(steps=4, batch_size=4)
    return resolve(config).unlock()


@pytest.fixture
def config():
    return make_config()


@pytest.fixture(scope="module")
def task(splits):
    return transcriber(make_config(), splits, SYMBOLS)


@pytest.fixture(scope="module")
def params(task):
    """Random ones, with outputs far from uniform."""
    return jax.tree.map(lambda leaf: 3 * leaf, jax.jit(task.init)(jax.random.key(0)))


apply = jax.jit(lambda model, *arguments: model.apply(*arguments), static_argnums=0)


def log_probs_of(task, params, sequence):
    """One input without padding."""
    logits = apply(task.model, params, sequence[:, None], np.array([len(sequence)]))
    logits = np.asarray(logits, np.float64)[:, 0]
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def test_the_loss_is_the_nats_of_all_sequences_over_all_their_labels(config, task, params, splits):
    inputs, labels = splits["test"]
    (found,) = make_evaluate(task, config)(jax.tree.map(lambda leaf: leaf[None], params), "test")
    nats, losses = 0.0, jax.jit(ctc.losses)
    for sequence, own in zip(inputs, labels, strict=True):
        own = np.pad(own, (0, 4 - len(own))), len(own)
        probs = jnp.asarray(log_probs_of(task, params, sequence), jnp.float32)[:, None]
        (one,) = losses(probs, np.array([len(sequence)]), own[0][None], np.array([own[1]]))
        nats += float(one)
    assert found["loss"] == pytest.approx(nats / sum(map(len, labels)), rel=1e-5)


def wider(batch):
    """The same sequences, with more padding that holds something and more empty places."""
    there = np.arange(len(batch.inputs))[:, None] < batch.lengths
    inputs = np.where(there[..., None], batch.inputs, 7.0)
    return Batch(
        np.pad(inputs, [(0, 5), (0, 3), (0, 0)], constant_values=-2.0),
        np.pad(batch.lengths, (0, 3)),
        np.pad(batch.labels, [(0, 3), (0, 2)], constant_values=1),
        np.pad(batch.label_lengths, (0, 3)),
        np.pad(batch.present, (0, 3)),
    )


def test_padding_and_empty_places_change_neither_loss_nor_gradient(task, params):
    batch = next(b for b in task.eval_batches("test") if not b.present.all())
    slopes = jax.jit(jax.value_and_grad(lambda p, b: task.loss(p, (), b, None)[0]))
    value, gradient = slopes(params, batch)
    same, same_gradient = slopes(params, wider(batch))
    assert np.isfinite(value) and same == pytest.approx(float(value), rel=1e-6)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)) > 0.01
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        same_gradient,
        gradient,
    )


def test_a_batch_of_empty_places_has_no_loss_and_no_gradient(task, params):
    batch = next(iter(task.eval_batches("test")))
    none = np.zeros_like(batch.lengths)
    empty = batch._replace(lengths=none, label_lengths=none, present=none.astype(bool))
    (value, (_, means)), gradient = jax.jit(
        jax.value_and_grad(lambda p: task.loss(p, (), empty, None), has_aux=True)
    )(params)
    assert value == 0 and means["loss"].weight == 0
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0), gradient)


def test_dropout_is_of_training_alone(config, splits):
    config.model.dropout = 0.5
    task = transcriber(config, splits, SYMBOLS)
    params, batch = jax.jit(task.init)(jax.random.key(0)), next(task.train_batches(Part(0, 1)))
    loss = jax.jit(lambda key: task.loss(params, (), batch, key)[0])
    assert loss(jax.random.key(1)) == loss(jax.random.key(1)) != loss(jax.random.key(2))


def test_the_scores_are_those_of_decoding_by_hand(task, params, splits):
    inputs, labels = splits["test"]
    probs = [log_probs_of(task, params, sequence) for sequence in inputs]
    searched = [ctc.prefix_beam_search(own, 4) for own in probs]
    greedy = [ctc.greedy(own) for own in probs]
    assert task.score(params, "test") == {
        "label_error_rate": ctc.label_error_rate(searched, labels),
        "label_error_rate_greedy": ctc.label_error_rate(greedy, labels),
    }


def test_samples_are_transcripts_of_any_inputs(config, splits, task, params, monkeypatch):
    given = []
    other = transcriber(config, splits, SYMBOLS, sample=lambda *arguments: given.append(arguments))
    other.sample(params, "key", "directory")
    ((transcribe, *rest),) = given
    assert rest == [params, "key", "directory"]
    monkeypatch.setattr("experiments.perception.transcriber.GROUP", 3)
    inputs = [*splits["test"].inputs, splits["test"].inputs[0]]
    transcripts = transcribe(params, inputs)
    assert len(transcripts) == 7
    for transcript, sequence in zip(transcripts, inputs, strict=True):
        expected = log_probs_of(task, params, sequence)
        np.testing.assert_allclose(transcript.log_probs, expected, atol=1e-5)
        np.testing.assert_array_equal(
            transcript.symbols, ctc.prefix_beam_search(transcript.log_probs, 4)
        )


def test_the_task_says_what_it_is(config, splits):
    task = transcriber(
        config, splits, SYMBOLS, facts={"spoken": True}, baselines=lambda: {"silence": {}}
    )
    assert (task.metric, task.higher_is_better, task.headline) == (
        "loss",
        False,
        "label_error_rate",
    )
    assert task.facts["spoken"] and task.facts["symbols"] == 3
    assert task.facts["train_examples"] == 48
    assert task.baselines() == {"silence": {}}


@pytest.mark.slow
def test_a_small_network_learns_what_the_bursts_say(config, splits):
    config.cell.hidden_size = 16
    config.optimizer.learning_rate = 0.03
    config.train.update(steps=150, batch_size=8)
    task = transcriber(config, splits, SYMBOLS)
    state, step = init_state(task, config), make_train_step(task, config)
    batches = task.train_batches(Part(0, 1))
    evaluate = make_evaluate(task, config)
    (before,) = evaluate(state.params, "test")
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    (after,) = evaluate(state.params, "test")
    assert after["loss"] < 0.2 * before["loss"]
    own = jax.tree.map(lambda leaf: leaf[0], state.params)
    assert task.score(own, "test")["label_error_rate"] < 10
