"""Sequence classification: pooling by hand, padding, predictions, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from configs import default
from experiments.config import resolve
from experiments.mesh import Part
from experiments.perception.classifier import accuracies, classifier
from experiments.perception.examples import Split
from experiments.perception.readout import Readout
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
    total = {"loss": [0.0, 0.0], "accuracy": [0.0, 0.0]}
    for batch in task.eval_batches("test"):
        loss, (_, means) = task.loss(params, (), batch, None)
        gradient = jax.grad(lambda p, b=batch: task.loss(p, (), b, None)[0])(params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((loss, gradient)))
        for name, mean in means.items():
            total[name][0] += float(mean.total)
            total[name][1] += float(mean.weight)
    assert total["loss"][1] == total["accuracy"][1] == 45
    logits = [
        task.model.apply(params, jnp.asarray(x)[:, None], jnp.array([len(x)]))[0]
        for x in SPLITS["test"].inputs
    ]
    labels = SPLITS["test"].labels[:, 0]
    nats = [-jax.nn.log_softmax(z)[y] for z, y in zip(logits, labels, strict=True)]
    np.testing.assert_allclose(total["loss"][0], np.sum(nats), rtol=1e-4)


def test_inputs_are_prepared_on_the_device(config):
    """What `prepare` adds, the model sees."""
    plain = classifier(config, SPLITS, "abc")
    squared = classifier(config, SPLITS, "abc", prepare=jnp.square)
    batch = next(plain.train_batches(Part()))
    params = plain.init(jax.random.PRNGKey(0))
    by_hand = batch._replace(inputs=batch.inputs**2)
    wanted, got = plain.loss(params, (), by_hand, None), squared.loss(params, (), batch, None)
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-6)
    assert abs(float(got[0] - plain.loss(params, (), batch, None)[0])) > 1e-4


def test_accuracies_are_shares_of_right_answers():
    split = Split([np.zeros((1, 1))] * 4, np.array([[0], [1], [2], [1]]))
    found = accuracies(lambda: {"a": np.array([0, 1, 1, 1]), "b": np.array([1, 0, 0, 0])}, split)
    assert found == {"a": {"accuracy": 0.75}, "b": {"accuracy": 0.0}}
