"""Writing: the likelihood of offsets, its baselines, samples that are the model step by step."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import multivariate_normal

from configs import handwriting
from experiments.config import ConfigError, resolve
from experiments.mesh import Part
from experiments.perception import synthesis
from experiments.perception.examples import Split
from experiments.perception.strokes import to_offsets
from experiments.perception.synthesis import (
    START,
    baselines,
    distort,
    ended,
    following,
    histories,
    write,
)
from experiments.training.step import init_state, make_evaluate, make_train_step


def random_drawings(seed, count=12):
    rng = np.random.default_rng(seed)
    return [
        [rng.normal(size=(rng.integers(1, 6), 2)).cumsum(axis=0) for _ in range(rng.integers(1, 4))]
        for _ in range(count)
    ]


DRAWINGS = {name: random_drawings(n) for n, name in enumerate(("train", "valid", "test"))}


def tiny(**overrides):
    config = handwriting.get_config("synthesis")
    config.mode = "tiny"
    return resolve(config, {"task.components": 1, **overrides})


def random_task(**overrides):
    return synthesis.synthesis(tiny(**overrides), DRAWINGS, {"data": "random"})


@pytest.fixture(scope="module")
def task():
    return random_task()


def scaled(drawings, unit):
    return [to_offsets(drawing) / [unit, unit, 1] for drawing in drawings]


def test_the_reported_nll_is_that_of_each_drawing_alone(task):
    """One drawing at a time, without padding, by SciPy's density, over the points predicted."""
    params = jax.tree.map(lambda p: 3 * p, task.init(jax.random.PRNGKey(1)))
    nats = []
    for offsets in scaled(DRAWINGS["test"], task.facts["unit"]):
        if len(offsets) < 2:
            continue
        outputs = task.model.apply(params, jnp.asarray(offsets[:-1, None], jnp.float32))[1][:, 0]
        for o, target in zip(np.asarray(outputs, np.float64), offsets[1:], strict=True):
            r, scales = np.tanh(o[5]), np.exp(o[3:5])
            covariance = np.outer(scales, scales) * np.array([[1, r], [r, 1]])
            end = expit(o[6])
            density = multivariate_normal(o[1:3], covariance).logpdf(target[:2])
            nats.append(-density - np.log(end if target[2] else 1 - end))
    members = jax.tree.map(lambda leaf: leaf[None], params)
    reported = make_evaluate(task, tiny())(members, "test")[0]["nll"]
    assert reported == pytest.approx(np.mean(nats), rel=1e-4)
    assert (task.metric, task.higher_is_better) == ("nll", False)
    assert task.facts["test_examples"] == len(DRAWINGS["test"])


def test_what_is_learnt_from_is_distorted_and_what_is_reported_is_not(task):
    originals = {name: scaled(own, task.facts["unit"]) for name, own in DRAWINGS.items()}

    def known(batch, name):
        return [
            any(len(own) == n and np.allclose(own, found[:n], atol=1e-5) for own in originals[name])
            for found, n in zip(batch.inputs.swapaxes(0, 1), batch.lengths, strict=True)
            if n
        ]

    for name in ("valid", "test"):
        assert all(all(known(batch, name)) for batch in task.eval_batches(name))
    assert np.mean(known(next(task.train_batches(Part())), "train")) < 0.5
    straight = random_task(**{"task.distortion": 0.0})
    assert all(known(next(straight.train_batches(Part())), "train"))


def test_outputs_are_dropped_in_training_alone(task):
    params = task.init(jax.random.PRNGKey(3))
    batch = next(task.train_batches(Part()))
    whole = random_task(**{"model.dropout": 0.0})
    plain = whole.loss(params, (), batch, None)[0]
    assert task.loss(params, (), batch, None)[0] == plain
    one, other = (task.loss(params, (), batch, jax.random.key(n))[0] for n in range(2))
    assert len({float(nats) for nats in (plain, one, other)}) == 3


def test_the_loss_is_the_mean_over_the_points_that_are_predicted(task):
    params = task.init(jax.random.PRNGKey(3))
    batch = next(task.train_batches(Part()))
    nats, (_, means) = task.loss(params, (), batch, None)
    assert means["nll"].weight == np.maximum(batch.lengths - 1, 0).sum()
    assert nats == pytest.approx(means["nll"].total / means["nll"].weight)
    dots = batch._replace(lengths=np.minimum(batch.lengths, 1))
    assert task.loss(params, (), dots, None)[0] == 0


def test_a_state_is_that_after_the_drawings_own_end(task):
    """Padding may be anything."""
    params = task.init(jax.random.PRNGKey(4))
    offsets = jnp.asarray(np.random.default_rng(4).normal(size=(5, 2, 3)), jnp.float32)
    padded = offsets.at[3:, 1].set(jnp.nan)
    state, outputs = task.model.apply(params, padded, lengths=jnp.array([5, 3]))
    alone, expected = task.model.apply(params, offsets[:3, 1:])
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1:], state), alone, atol=1e-6)
    np.testing.assert_allclose(outputs[:3, 1:], expected, atol=1e-6)


def test_the_unit_makes_the_deviation_of_training_offsets_one(task):
    offsets = np.concatenate([o[1:] for o in scaled(DRAWINGS["train"], task.facts["unit"])])
    assert np.std(offsets[:, :2]) == pytest.approx(1, abs=1e-3)


def test_what_is_predicted_and_what_comes_before():
    offsets = [to_offsets(drawing) for drawing in DRAWINGS["train"]]
    targets, rows = following(offsets), histories(offsets)
    number = 0
    for own in offsets:
        for t in range(1, len(own)):
            earlier = own[t - 2] if t > 1 else np.zeros(3)
            np.testing.assert_allclose(targets[number], own[t])
            np.testing.assert_allclose(rows[number], [1, *own[t - 1], *earlier])
            number += 1
    assert number == len(targets) == len(rows)


def test_baselines_are_the_densities_of_scipy_fitted_to_training_and_validation():
    splits = {
        name: Split([to_offsets(drawing) for drawing in drawings], [])
        for name, drawings in DRAWINGS.items()
    }
    found = {name: value["nll"] for name, value in baselines(splits, 1).items()}
    known, unseen = splits["train"].inputs + splits["valid"].inputs, splits["test"].inputs
    train, test = following(known), following(unseen)
    rate = train[:, 2].mean()
    gaussian = multivariate_normal(train[:, :2].mean(axis=0), np.cov(train[:, :2].T, ddof=0))
    ends = -np.log(np.where(test[:, 2] == 1, rate, 1 - rate)).mean()
    expected = np.mean([-gaussian.logpdf(row) for row in test[:, :2]]) + ends
    assert found["one Gaussian"] == pytest.approx(expected)
    assert found["a mixture of 1 Gaussians"] == pytest.approx(expected, abs=1e-4)

    from sklearn.linear_model import LinearRegression

    before, now = histories(known), histories(unseen)
    linear = LinearRegression().fit(before, train[:, :2])
    left = train[:, :2] - linear.predict(before)
    noise = multivariate_normal(np.zeros(2), left.T @ left / len(left))
    forecast = -noise.logpdf(test[:, :2] - linear.predict(now)).mean() + ends
    assert found["a Gaussian around a linear forecast from two offsets"] == pytest.approx(forecast)


def test_a_mixture_has_no_more_components_than_there_are_offsets():
    splits = {
        name: Split([to_offsets([np.random.default_rng(seed).normal(size=(5, 2))])], [])
        for seed, name in enumerate(("train", "valid", "test"))
    }
    found = baselines(splits, 20)
    assert np.isfinite(found["a mixture of 20 Gaussians"]["nll"])


@pytest.mark.parametrize(
    ("known", "test", "cost"),
    [
        ([1], [1], 0),
        ([0], [0], 0),
        ([0, 1], [1], np.log(2)),
        ([0, 0, 0, 1], [0, 1], np.log(16 / 3) / 2),
    ],
)
def test_ends_cost_what_their_rate_says(known, test, cost):
    """And nothing where the rate is certain and right."""

    def nll(**ends):
        splits = {
            name: Split([np.column_stack([np.sin(np.arange(82)).reshape(41, 2), own])], [])
            for name, own in ends.items()
        }
        return baselines(splits | {"valid": splits["train"]}, 1)["one Gaussian"]["nll"]

    none, known, test = (np.resize(own, 41) for own in ([0], known, test))
    added = nll(train=known, test=test) - nll(train=none, test=none)
    assert added == pytest.approx(cost, abs=1e-9)


def test_distortion_is_a_random_linear_map_that_leaves_the_ends():
    offsets = to_offsets(random_drawings(5, 1)[0])
    rng = np.random.default_rng(0)
    assert (distort(0.0, offsets, rng) == offsets).all()
    maps = []
    for _ in range(300):
        moved = distort(0.2, offsets, rng)
        maps.append(np.linalg.lstsq(offsets[:, :2], moved[:, :2], rcond=None)[0])
        np.testing.assert_allclose(offsets[:, :2] @ maps[-1], moved[:, :2], atol=1e-5)
        np.testing.assert_array_equal(moved[:, 2], offsets[:, 2])
    np.testing.assert_allclose(np.mean(maps, axis=0), np.eye(2), atol=0.05)
    np.testing.assert_allclose(np.std(maps, axis=0), 0.2, atol=0.03)


def test_writing_is_the_model_read_step_by_step(task):
    """With a large bias the drawing is that of the means."""
    params = jax.tree.map(lambda p: 3 * p, task.init(jax.random.PRNGKey(2)))
    params["params"]["Dense_0"]["bias"] = jnp.array([0, 0.3, -0.2, 0, 0, 0, 0.1])
    opening = to_offsets(random_drawings(6, 1)[0])
    written = np.asarray(write(task.model, params, jax.random.PRNGKey(0), opening, 2, 9, 60.0))
    whole = np.concatenate([np.repeat(opening[:, None], 2, axis=1), written])
    outputs = np.asarray(task.model.apply(params, jnp.asarray(whole))[1])
    expected = outputs[len(opening) - 1 : -1, :, 1:3]
    np.testing.assert_allclose(written[..., :2], expected, atol=1e-5)
    assert set(np.unique(written[..., 2])) == {0, 1}
    assert np.ptp(expected, axis=0).min() > 1e-3


def test_each_offset_is_drawn_anew(task):
    params = task.init(jax.random.PRNGKey(5))
    written = np.asarray(write(task.model, params, jax.random.PRNGKey(0), START, 500, 3, 0.0))
    whole = np.concatenate([np.zeros((1, 500, 3), np.float32), written])
    outputs = np.asarray(task.model.apply(params, jnp.asarray(whole))[1])[:-1]
    noise = (written[..., 0] - outputs[..., 1]) / np.exp(outputs[..., 3])
    np.testing.assert_allclose(np.cov(noise), np.eye(3), atol=0.25)


def test_a_drawing_ends_with_the_nearest_end_of_a_stroke():
    offsets = np.zeros((10, 3))
    offsets[[2, 6], 2] = 1
    assert [len(ended(offsets, points)) for points in (1, 4, 6, 9)] == [3, 3, 7, 7]
    offsets[:, 2] = 0
    assert len(ended(offsets, 4)) == 4


def test_training_beats_one_gaussian():
    """Of drawings that always turn in the same way."""
    turns = np.stack([np.cos(np.arange(12)), np.sin(np.arange(12))], axis=1)
    rng = np.random.default_rng(7)
    drawings = [[turns @ np.linalg.qr(rng.normal(size=(2, 2)))[0]] for _ in range(16)]
    drawings = [[own[0] + 0.02 * rng.normal(size=(12, 2))] for own in drawings]
    config = tiny(**{"cell.hidden_size": 24, "train.steps": 150, "optimizer.learning_rate": 1e-2})
    task = synthesis.synthesis(config, dict.fromkeys(("train", "valid", "test"), drawings), {})
    state, batches = init_state(task, config), task.train_batches(Part())
    step = make_train_step(task, config)
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    reached = make_evaluate(task, config)(state.params, "test")[0]["nll"]
    assert reached < task.baselines()["one Gaussian"]["nll"] - 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "--length is 0, it must be at least 1"),
        ({"bias": -1.0}, "--bias is -1, it must be at least 0 and finite"),
        ({"bias": float("nan")}, "--bias is nan"),
        ({"bias": float("inf")}, "--bias is inf"),
        ({"prompt": "absent.txt"}, r"--prompt: absent\.txt cannot be read"),
    ],
)
def test_options_out_of_range_are_refused(task, tmp_path, options, message):
    params = task.init(jax.random.PRNGKey(0))
    with pytest.raises(ConfigError, match=message):
        task.sample(params, jax.random.PRNGKey(0), tmp_path, **options)


def test_samples_go_on_from_the_users_strokes(task, tmp_path):
    (tmp_path / "mine.txt").write_text("START\n0,0\n30,0\n30,-40\nBREAK\n")
    params = task.init(jax.random.PRNGKey(0))
    task.sample(
        params,
        jax.random.PRNGKey(0),
        tmp_path,
        length=9,
        bias=0.5,
        prompt=str(tmp_path / "mine.txt"),
    )
    svg = (tmp_path / "strokes.svg").read_text()
    assert "written by the network, bias 0.5, going on from mine.txt" in svg
    assert (tmp_path / "strokes.png").read_bytes().startswith(b"\x89PNG")
