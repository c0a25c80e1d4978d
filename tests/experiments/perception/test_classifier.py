"""Sequence classification: pooling by hand, padding, predictions, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from configs import default
from experiments.config import resolve
from experiments.mesh import Part
from experiments.perception.classifier import classifier
from experiments.perception.examples import Split
from experiments.perception.readout import Readout
from experiments.task import apply
from experiments.training.loop import fit, load_best
from lstm_jax.trees import from_dict

RNG = np.random.default_rng(5)
LENGTHS = np.array([6, 1, 4])


def made(pooling, bidirectional):
    cell = lj.bidirectional(lj.lstm(3), lj.lstm(3)) if bidirectional else lj.lstm(3)
    model = Readout(cell, 4, pooling, bidirectional)
    xs = RNG.standard_normal((6, 3, 2)).astype(np.float32)
    params = model.init(jax.random.PRNGKey(0), xs, LENGTHS)
    return model, jax.tree.map(lambda p: p + RNG.standard_normal(p.shape) / 3, params), xs


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_what_is_pooled(pooling, bidirectional):
    model, params, xs = made(pooling, bidirectional)
    own = params["params"]
    (core,) = (own[name]["network"] for name in own if name.startswith("Recurrent"))
    for b, length in enumerate(LENGTHS):
        _, ys = lj.unroll(model.network, from_dict(model.network, core), xs[:length, b : b + 1])
        ys = np.asarray(ys)[:, 0]
        if pooling == "mean":
            pooled = ys.mean(axis=0)
        else:
            pooled = np.concatenate([ys[-1, :3], ys[0, 3:]]) if bidirectional else ys[-1]
        wanted = pooled @ own["Dense_0"]["kernel"] + own["Dense_0"]["bias"]
        spoiled = xs.copy()
        spoiled[length:, b] = np.nan
        got = model.apply(params, spoiled, LENGTHS)[b]
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture
def config():
    """Which of three directions a random walk in the plane drifts to."""
    config = default.get_config()
    with config.unlocked():
        config.task = {"name": "", "bidirectional": False, "pooling": "mean", "buckets": 2}
    config.cell.hidden_size = 8
    config.optimizer.learning_rate = 0.02
    config.train.update(steps=60, batch_size=16, eval_every=20, log_every=20)
    return resolve(config)


def walks(number, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, number).astype(np.int32)
    angles = 2 * np.pi * labels / 3
    drift = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lengths = rng.integers(5, 12, number)
    inputs = [d + rng.standard_normal((n, 2)) for n, d in zip(lengths, drift, strict=True)]
    return Split([x.astype(np.float32) for x in inputs], labels[:, None])


SPLITS = {"train": walks(150, 0), "valid": walks(30, 1), "test": walks(45, 2)}


def test_it_learns_and_predicts_what_it_scores(config, tmp_path):
    kept = {}

    def sample(predict, params, key, directory):
        kept["found"] = predict(params, SPLITS["test"].inputs)

    def baselines():
        return {"sums": np.array([turned(x.sum(axis=0)) for x in SPLITS["test"].inputs])}

    task = classifier(config, SPLITS, "abc", sample=sample, baselines=baselines)
    results = fit(task, config, tmp_path)
    assert results["test"]["accuracy"]["mean"] > 0.85
    assert results["baselines"]["sums"]["accuracy"] > 0.85
    best = jax.tree.map(lambda leaf: leaf[0], load_best(task, config, tmp_path).best_params)
    task.sample(best, None, None)
    found = kept["found"]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    accuracy = np.mean(found.argmax(axis=1) == SPLITS["test"].labels[:, 0])
    np.testing.assert_allclose(accuracy, results["test"]["accuracy"]["mean"])


def turned(total):
    """The class whose direction is the nearest."""
    return int(np.round(np.arctan2(total[1], total[0]) / (2 * np.pi / 3))) % 3


def test_empty_places_weigh_nothing(config):
    task = classifier(config, SPLITS, "abc")
    params = task.init(jax.random.PRNGKey(0))
    value = jax.jit(jax.value_and_grad(lambda p, b: task.loss(p, (), b, None), has_aux=True))
    total = {"loss": [0.0, 0.0], "accuracy": [0.0, 0.0]}
    for batch in task.eval_batches("test"):
        (loss, (_, means)), gradient = value(params, batch)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((loss, gradient)))
        np.testing.assert_allclose(loss, means["loss"].total / batch.present.sum(), rtol=1e-6)
        for name, mean in means.items():
            total[name][0] += float(mean.total)
            total[name][1] += float(mean.weight)
    assert total["loss"][1] == total["accuracy"][1] == 45
    apply = jax.jit(task.model.apply)
    logits = [apply(params, x[:, None], jnp.array([len(x)]))[0] for x in SPLITS["test"].inputs]
    labels = SPLITS["test"].labels[:, 0]
    nats = [-jax.nn.log_softmax(z)[y] for z, y in zip(logits, labels, strict=True)]
    np.testing.assert_allclose(total["loss"][0], np.sum(nats), rtol=1e-4)
    right = sum(int(np.argmax(z)) == y for z, y in zip(logits, labels, strict=True))
    np.testing.assert_allclose(total["accuracy"][0], right)


def test_a_batch_of_empty_places_costs_nothing(config):
    """A process's part of a small last batch may be one."""
    task = classifier(config, SPLITS, "abc")
    params = task.init(jax.random.PRNGKey(0))
    batch = task.eval_batches("test")[0]
    empty = batch._replace(
        inputs=0 * batch.inputs, lengths=0 * batch.lengths, present=np.zeros(16, bool)
    )
    (loss, _), gradient = jax.value_and_grad(task.loss, has_aux=True)(params, (), empty, None)
    assert loss == 0
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_the_model_is_what_the_configuration_says(config):
    with config.unlocked():
        config.task.update(pooling="last", bidirectional=True)
        config.model.dropout = 0.25
    model = classifier(config, SPLITS, "abc").model
    assert (model.pooling, model.bidirectional, model.dropout) == ("last", True, 0.25)
    assert model.network.output_size == 2 * config.cell.hidden_size


def test_dropout_is_for_training_alone_and_other_each_time(config):
    with config.unlocked():
        config.model.dropout = 0.5
    task = classifier(config, SPLITS, "abc")
    params, batch = task.init(jax.random.PRNGKey(0)), task.eval_batches("test")[0]
    value = jax.jit(lambda key: task.loss(params, (), batch, key)[0])
    losses = [float(value(key)) for key in (None, None, *jax.random.split(jax.random.PRNGKey(1)))]
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


def test_dropout_between_the_layers_is_for_training_alone(config):
    """The output layer has none here, so that all noise is the stack's."""
    model = Readout(lj.stack(lj.lstm(3), lj.lstm(3), dropout=0.5), 4)
    xs, lengths = RNG.standard_normal((6, 3, 2)).astype(np.float32), jnp.array(LENGTHS)
    params = model.init(jax.random.PRNGKey(0), xs, lengths)
    plain, again = model.apply(params, xs, lengths), model.apply(params, xs, lengths)
    noisy = apply(model, params, xs, lengths, key=jax.random.PRNGKey(1))
    assert np.array_equal(plain, again) and not np.allclose(plain, noisy)


def test_training_inputs_are_augmented(config):
    task = classifier(config, SPLITS, "abc", augment=lambda sequence, rng: 0 * sequence)
    assert not next(task.train_batches(Part())).inputs.any()
    assert task.eval_batches("valid")[0].inputs.any()


def test_predictions_are_of_standardized_inputs_in_groups_of_any_size(config):
    """More inputs than one group has; the last one is not full."""
    kept = {}
    task = classifier(
        config, SPLITS, "abc", moments=(0.3, 2.0), sample=lambda predict, *_: kept.update(p=predict)
    )
    task.sample(None, None, None)
    params = task.init(jax.random.PRNGKey(0))
    inputs = [*SPLITS["train"].inputs, SPLITS["test"].inputs[0]]
    found = kept["p"](params, inputs)
    assert found.shape == (151, 3)
    plain = classifier(config, SPLITS, "abc").model
    for n in (0, 99, 100, 150):
        by_hand, length = (inputs[n][:, None] - 0.3) / 2.0, jnp.array([len(inputs[n])])
        wanted = jax.nn.softmax(plain.apply(params, by_hand, length)[0])
        np.testing.assert_allclose(found[n], wanted, rtol=1e-4)


def test_the_loss_selects_and_the_accuracy_is_compared(config):
    task = classifier(config, SPLITS, "abc", facts={"data": "walks"})
    assert (task.metric, task.higher_is_better, task.headline) == ("loss", False, "accuracy")
    assert (task.facts["data"], task.facts["classes"], task.facts["valid_examples"]) == (
        "walks", 3, 30,
    )


def test_the_model_standardizes_its_inputs(config):
    plain = classifier(config, SPLITS, "abc")
    standard = classifier(config, SPLITS, "abc", moments=(0.3, 2.0))
    batch = next(plain.train_batches(Part()))
    params = plain.init(jax.random.PRNGKey(0))
    by_hand = batch._replace(inputs=(batch.inputs - 0.3) / 2.0)
    wanted, got = plain.loss(params, (), by_hand, None), standard.loss(params, (), batch, None)
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-6)
    assert abs(float(got[0] - plain.loss(params, (), batch, None)[0])) > 1e-4


def test_baselines_are_shares_of_right_answers(config):
    test = Split([np.zeros((1, 2), np.float32)] * 4, np.array([[0], [1], [2], [1]], np.int32))
    answers = {"a": np.array([0, 1, 1, 1]), "b": np.array([1, 0, 0, 0])}
    task = classifier(config, SPLITS | {"test": test}, "abc", baselines=lambda: answers)
    assert task.baselines() == {"a": {"accuracy": 0.75}, "b": {"accuracy": 0.0}}
