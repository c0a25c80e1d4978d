"""Pictures as sequences: what each step shows, how they are divided, what the baseline finds."""

import os
import sys

import jax
import numpy as np
import pytest

from configs import pixels as configs
from experiments.command_line import build_task
from experiments.config import ConfigError, resolve
from experiments.data import mnist
from experiments.mesh import Part
from experiments.tasks.pixels import SHOWN, Pictures, baselines, in_sequence, load, sample


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return Pictures(rng.integers(0, 256, (5, 3, 4)).astype(np.uint8), rng.integers(0, 10, 5))


def tiny(order, **changes):
    config = configs.get_config(order)
    config.mode = "tiny"
    return resolve(config, changes)


def test_rows_are_steps_from_the_top(pictures):
    inputs, labels = in_sequence(pictures, "rows")
    for n, t in np.ndindex(5, 3):
        assert np.array_equal(inputs[n][t], pictures.images[n, t])
    assert [label.tolist() for label in labels] == [[digit] for digit in pictures.digits]


def test_pixels_are_steps_row_by_row(pictures):
    inputs, _ = in_sequence(pictures, "pixels")
    for n, t in np.ndindex(5, 12):
        assert inputs[n][t].tolist() == [pictures.images[n, t // 4, t % 4]]


def test_permuted_pixels_are_the_same_in_one_other_order(pictures):
    inputs, _ = in_sequence(pictures, "permuted")
    again, _ = in_sequence(pictures, "permuted")
    assert np.array_equal(inputs, again)
    numbers = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    order = in_sequence(Pictures(numbers, np.zeros(1, int)), "permuted").inputs[0][:, 0]
    assert sorted(order) == list(range(12)) and list(order) != list(range(12))
    assert np.array_equal(inputs[:, :, 0], pictures.images.reshape(5, 12)[:, order])


def test_the_order_of_mnist_s_pixels_stays_what_results_were_measured_with():
    """It hangs on NumPy's stream of numbers: if that changes, permuted pixels are another task."""
    numbers = np.arange(784, dtype=np.uint16).reshape(1, 28, 28)
    order = in_sequence(Pictures(numbers, np.zeros(1, int)), "permuted").inputs[0][:, 0]
    assert order[:5].tolist() == [318, 2, 606, 446, 758]


def test_the_small_pictures_are_divided_without_overlap():
    splits = load("digits", None)
    assert sum(len(split.digits) for split in splits.values()) == 1797
    seen = [image.tobytes() for split in splits.values() for image in split.images]
    assert len(set(seen)) == 1797
    assert max(split.images.max() for split in splits.values()) == 255
    assert all(set(split.digits) == set(range(10)) for split in splits.values())


def test_the_loss_is_the_cross_entropy_of_the_digit():
    task = build_task(tiny("rows"))
    params = task.init(jax.random.PRNGKey(1))
    batch = next(task.train_batches(Part()))
    loss, (_, means) = task.loss(params, (), batch, None)
    train = load("digits", None)["train"].images
    inputs = ((batch.inputs - train.mean()) / train.std()).astype(np.float32)
    plain = task.model.clone(mean=0.0, deviation=1.0)
    logits = plain.apply(params, inputs, batch.lengths)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = shares[np.arange(len(shares)), batch.labels[:, 0]]
    np.testing.assert_allclose(loss, -np.log(own).mean(), rtol=1e-5)
    right = (np.argmax(logits, axis=1) == batch.labels[:, 0]).mean()
    np.testing.assert_allclose(means["accuracy"].total / means["accuracy"].weight, right)


def test_the_baseline_tells_most_of_the_small_digits():
    found = baselines(load("digits", None))
    (predicted,) = found.values()
    accuracy = np.mean(predicted == load("digits", None)["test"].digits)
    assert 0.9 < accuracy < 1


def test_the_hardest_pictures_come_first(tmp_path, monkeypatch):
    """A model that is the surer of a digit the higher its number is fails on the lowest."""
    split = load("digits", None)["test"]
    drawn = {}
    module = sys.modules[sample.__module__]
    monkeypatch.setattr(module, "plot_panels", lambda path, *rest: drawn.update(rest=rest))

    def predict(params, inputs):
        assert len(inputs) == len(split.digits)
        shares = np.arange(1.0, 11) / 55
        return np.tile(shares, (len(inputs), 1))

    sample(split, "rows", predict, None, None, tmp_path)
    panels, title = drawn["rest"]
    assert [panel.text for panel in panels] == ["0, found 9"] * SHOWN
    assert not any(panel.right for panel in panels)
    assert f"{100 * np.mean(split.digits == 9):.2f} %" in title


def test_the_task_draws_test_pictures_that_it_reads_in_its_order(tmp_path, monkeypatch):
    """The title has the accuracy that evaluation finds, here of a model that knows nothing."""
    task = build_task(tiny("permuted"))
    drawn = {}
    module = sys.modules[sample.__module__]
    monkeypatch.setattr(module, "plot_panels", lambda path, *rest: drawn.update(rest=rest))
    params = task.init(jax.random.PRNGKey(3))
    task.sample(params, None, tmp_path)
    loss = jax.jit(task.loss, static_argnums=3)
    found = [loss(params, (), batch, None)[1][1] for batch in task.eval_batches("test")]
    right, number = (sum(float(m["accuracy"][k]) for m in found) for k in (0, 1))
    panels, title = drawn["rest"]
    assert title == f"the hardest of 299 test pictures, {100 * right / number:.2f} % of them right"
    assert {panel.image.shape for panel in panels} == {(8, 8)}


@pytest.mark.parametrize(
    ("field", "value"), [("order", "columns"), ("data", "mnits"), ("pooling", "max")]
)
def test_other_words_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=rf"config\.task\.{field} is '{value}', choose one of"):
        build_task(tiny("rows", **{f"task.{field}": value}))


def test_mnist_is_divided_as_usual():
    if "LSTM_JAX_DATA" not in os.environ:
        pytest.skip("LSTM_JAX_DATA is not set: there is no MNIST")
    splits = mnist.load()
    assert {name: len(split[1]) for name, split in splits.items()} == {
        "train": 55_000, "valid": 5_000, "test": 10_000,
    }
    assert splits["train"][1][:5].tolist() == [5, 0, 4, 1, 9]
    assert splits["test"][1][:5].tolist() == [7, 2, 1, 0, 4]
    counts = np.bincount(splits["test"][1])
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
