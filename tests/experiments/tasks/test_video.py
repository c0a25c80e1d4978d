"""Video: patches, the loss, going on alone, what the numbers are, what is drawn."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import video as video_config
from experiments import command_line
from experiments.config import ConfigError, resolve
from experiments.mesh import Part
from experiments.perception import frames
from experiments.perception.forecaster import free_run
from experiments.tasks.video import HELD_OUT, network, video
from experiments.training.step import init_state, make_evaluate, make_train_step

CELLS = ("conv_lstm", "lstm")
CONTEXT, AHEAD, SIZE = 3, 2, 8  # those of mode tiny


def tiny(**overrides):
    config = video_config.get_config()
    config.mode = "tiny"
    return resolve(config, overrides)


@pytest.fixture(autouse=True)
def few_videos(monkeypatch):
    monkeypatch.setitem(HELD_OUT, "valid", 3)
    monkeypatch.setitem(HELD_OUT, "test", 53)


def some_videos(split="test", number=53, steps=CONTEXT + AHEAD, size=SIZE):
    return frames.videos(frames.shapes, split, range(number), steps, size) / 255


def strong(task, seed=0):
    """Parameters large enough for predictions that differ."""
    return jax.tree.map(lambda leaf: 3 * leaf, task.init(jax.random.PRNGKey(seed)))


def predictions(task, params, truth):
    """Of the frame after each, in float64."""
    _, logits = jax.jit(task.model.apply)(params, jnp.asarray(truth, jnp.float32))
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def summed_nll(guess, target):
    return summed(-target * np.log(guess) - (1 - target) * np.log(1 - guess))


def summed(errors):
    return errors.sum(axis=(-2, -1)).mean()


def test_a_plain_cell_is_wider_and_a_spatial_one_has_places():
    wide = network(tiny(**{"cell.name": "gru", "cell.hidden_size": 5, "task.widening": 3}))
    assert wide.output_size == 15
    spatial = network(tiny(**{"cell.hidden_size": 5, "task.patch": 2}))
    assert spatial.initial_state(7).h.shape == (7, 4, 4, 5)
    assert network(tiny(**{"cell.image_size": (2, 2)})).initial_state(1).c.shape == (1, 2, 2, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task.patch": 3}, "config.task.patch is 3, it must divide config.task.size, 8"),
        ({"cell.image_size": (4, 4)}, r"config.cell.image_size is \(4, 4\), .* have \(2, 2\) pl"),
        ({"cell.name": "lstm", "cell.kernel_size": 3}, "kernel_size is set, but the cell 'lstm'"),
        ({"task.data": "digit"}, "config.task.data is 'digit', .* did you mean 'digits'"),
        ({"task.size": 7}, r"config.task.size is 7, it must be an integer in \[8, 1024\]"),
        ({"task.data": "digits", "data_dir": "/absent"}, "mnist"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message, monkeypatch, tmp_path):
    monkeypatch.delenv("LSTM_JAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=message):
        command_line.build_task(tiny(**changes))


@pytest.mark.parametrize("cell", CELLS)
def test_the_reported_numbers_are_those_of_every_frame_but_the_first(cell):
    config = tiny(**{"cell.name": cell})
    task = video(config)
    params, truth = strong(task), some_videos()
    guess = predictions(task, params, truth[:-1])
    everyone = jax.tree.map(lambda leaf: leaf[None], params)
    (reported,) = make_evaluate(task, config)(everyone, "test")
    # batches of 50 and 3 videos count as many frames as they have
    assert reported["nll"] == pytest.approx(summed_nll(guess, truth[1:]), rel=1e-4)
    assert reported["mse"] == pytest.approx(summed((guess - truth[1:]) ** 2), rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_training_reads_the_truth_or_goes_on_alone(share):
    config = tiny(**{"task.free_running": share})
    task = video(config)
    params, truth = strong(task), some_videos(number=2)
    batch = np.rint(255 * truth).astype(np.uint8)
    train, _ = jax.jit(task.loss)(params, (), batch, jax.random.PRNGKey(0))
    if share:
        read = jnp.asarray(truth[:CONTEXT], jnp.float32)
        later = np.asarray(free_run(task.model, params, read, AHEAD))
        read = np.concatenate([truth[:CONTEXT], later])
    else:
        read = truth
    expected = summed_nll(predictions(task, params, read[:-1]), truth[1:])
    assert train == pytest.approx(expected, rel=1e-4)


def test_the_score_is_the_error_several_frames_ahead():
    task = video(tiny())
    params, truth = strong(task), some_videos()
    ahead = free_run(task.model, params, jnp.asarray(truth[:CONTEXT], jnp.float32), AHEAD)
    expected = summed((np.asarray(ahead, np.float64) - truth[CONTEXT:]) ** 2)
    assert task.score(params, "test")["mse_ahead"] == pytest.approx(expected, rel=1e-4)


def test_the_baselines_by_loops():
    found = video(tiny()).baselines()
    truth = some_videos()
    steps = range(1, CONTEXT + AHEAD)
    last = [summed((truth[n] - truth[n - 1]) ** 2) for n in steps]
    held = [summed((truth[n] - truth[CONTEXT - 1]) ** 2) for n in range(CONTEXT, CONTEXT + AHEAD)]
    assert found["the last frame"] == pytest.approx(
        {"mse": np.mean(last), "mse_ahead": np.mean(held)}, rel=1e-4
    )
    mean = some_videos("train").mean((0, 1))
    assert found["the mean training frame"]["mse"] == pytest.approx(
        np.mean([summed((truth[n] - mean) ** 2) for n in steps]), rel=1e-4
    )
    rates = mean.clip(1e-6, 1 - 1e-6)
    nll = summed_nll(rates, truth[1:])
    assert found["the mean training frame"]["nll"] == pytest.approx(nll, rel=1e-4)


def test_training_draws_one_video_after_the_other_and_goes_on_where_it_was():
    config = tiny(seed=3)
    batches = video(config).train_batches(Part())
    expected = frames.videos(frames.shapes, "train", range(12), CONTEXT + AHEAD, SIZE, seed=3)
    np.testing.assert_array_equal(next(batches), expected[:, :4])
    state = json.loads(json.dumps(batches.get_state()))
    np.testing.assert_array_equal(next(batches), expected[:, 4:8])
    again = video(config).train_batches(Part())
    again.set_state(state)
    np.testing.assert_array_equal(next(again), expected[:, 4:8])
    part = video(config).train_batches(Part(1, 2))
    np.testing.assert_array_equal(next(part), expected[:, 2:4])


@pytest.mark.slow
def test_a_convolutional_lstm_learns_to_move_shapes():
    """Soon it is ahead of the mean training frame and of the last one."""
    config = tiny(
        **{
            "cell.hidden_size": 12,
            "task.size": 16,
            "optimizer.learning_rate": 0.02,
            "train.batch_size": 8,
            "train.steps": 120,
        }
    )
    task = video(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    step = make_train_step(task, config)
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    (reached,) = make_evaluate(task, config)(state.params, "test")
    simple = task.baselines()
    assert reached["mse"] < 0.9 * min(values["mse"] for values in simple.values())


def test_digits_come_from_their_own_split():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    task = video(tiny(**{"task.data": "digits", "task.size": 64, "task.patch": 8}))
    with np.load(os.path.join(os.environ["LSTM_JAX_DATA"], "mnist/mnist.npz")) as arrays:
        images = {"train": arrays["x_train"][:55_000], "test": arrays["x_test"]}
    first = next(task.train_batches(Part())), next(iter(task.eval_batches("test")))
    for split, batch in zip(("train", "test"), first, strict=True):
        size = batch.shape[1]
        own = frames.videos(frames.digits(images[split]), split, range(size), CONTEXT + AHEAD, 64)
        np.testing.assert_array_equal(batch, own)


def test_sampling_draws_a_picture_and_an_animation(tmp_path, capsys):
    task = video(tiny())
    task.sample(strong(task), jax.random.PRNGKey(0), tmp_path)
    names = [line.rsplit("/", 1)[-1] for line in capsys.readouterr().out.splitlines()]
    assert names == ["frames.png", "video.gif"]
    with Image.open(tmp_path / "video.gif") as animation:
        assert animation.n_frames == CONTEXT + AHEAD - 1
    with Image.open(tmp_path / "frames.png") as picture:
        assert picture.width > 1000
