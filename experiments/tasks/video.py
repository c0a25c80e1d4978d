"""Video: read frames and predict the next one, then go on from one's own predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.config import ConfigError, choose, make_network, reads_frames
from experiments.data import batches, mnist
from experiments.perception import frames
from experiments.perception.films import Film, plot_films, write_gif
from experiments.perception.forecaster import Forecaster, free_run, partly_free_running
from experiments.task import Mean, Task, apply

DATA = ("digits", "shapes")
BATCH_AXES = 1  # a batch is frames uint8 [T, B, H, W]
HELD_OUT = {"valid": 200, "test": 500}  # videos
CHUNK = 50  # videos that are evaluated at once
SHOWN = 4  # videos in a sample


def video(config: ConfigDict) -> Task:
    """Next-frame prediction on generated videos, and several frames ahead.

    Frames 1 to T − 1 are read and 2 to T predicted, T = context + ahead. The loss is the negative
    log-likelihood of a frame in nats, each pixel's brightness taken as a probability; that of a
    perfect prediction is above zero where pixels are gray. After `config.task.context` frames the
    model goes on alone, and reads its own predictions. Errors are squared and summed over a frame.

    Raises:
        ConfigError: if the frames cannot be cut or filled so, or MNIST is nowhere.
    """
    used = config.task
    draw = source(config)
    model = Forecaster(
        network(config), used.patch, reads_frames(config), config.model.dropout
    )
    size = config.train.batch_size
    drawn = batches.endless(lambda n: draw("train", range(n * size, (n + 1) * size)))
    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, 1, used.size, used.size))),
        initial_carry=tuple,
        loss=partial(loss, model, used.context, used.free_running),
        train_batches=lambda part: batches.iterate(drawn, part, BATCH_AXES),
        eval_batches=partial(in_order, draw),
        metric="nll",
        higher_is_better=False,
        summarize=dict,
        sample=partial(sample, model, partial(draw, "test", range(SHOWN)), used.context),
        facts={"generated": used.data, **{f"{s}_videos": count for s, count in HELD_OUT.items()}},
        batch_axes=BATCH_AXES,
        unit="frames",
        headline="mse",
        score=lambda params, split: score(model, params, in_order(draw, split), used.context),
        baselines=lambda: baselines(draw, used.context),
    )


Draw = Callable[[str, Iterable[int]], np.ndarray]  # (split, numbers) -> frames uint8 [T, B, H, W]


def source(config: ConfigDict) -> Draw:
    """Draws videos by their numbers; another `config.seed` has other ones to learn from."""
    used = config.task
    steps = used.context + used.ahead
    casts: dict[str, frames.Cast] = dict.fromkeys(frames.SPLITS, frames.shapes)
    if choose("task.data", used.data, DATA) == "digits":
        splits = mnist.load(config.data_dir)
        casts = {split: frames.digits(images) for split, (images, _) in splits.items()}

    def draw(split: str, numbers: Iterable[int]) -> np.ndarray:
        seed = config.seed if split == "train" else 0
        return frames.videos(casts[split], split, numbers, steps, used.size, seed)

    return draw


def network(config: ConfigDict) -> Any:
    """A network over places for a spatial cell; else one with `task.widening` times the units.

    Raises:
        ConfigError: if frames cannot be cut into such patches, or the cell wants other images.
    """
    used, own = config.task, config.copy_and_resolve_references().unlock()
    if used.size % used.patch:
        raise ConfigError(
            f"config.task.patch is {used.patch}, it must divide config.task.size, {used.size}"
        )
    places, spatial = (used.size // used.patch,) * 2, reads_frames(config)
    if not spatial:
        own.cell.hidden_size *= used.widening
    elif own.cell.image_size not in (None, places):
        raise ConfigError(
            f"config.cell.image_size is {own.cell.image_size}, but frames of {used.size} pixels in"
            f" patches of {used.patch} have {places} places; leave it away"
        )
    else:
        own.cell.image_size = places
    return make_network(own, frames=spatial)


def in_order(draw: Draw, split: str) -> Iterable[np.ndarray]:
    """The held-out videos of a split."""
    numbers = range(HELD_OUT[split])
    for start in range(0, len(numbers), CHUNK):
        yield draw(split, numbers[start : start + CHUNK])


def loss(
    model: Forecaster,
    context: int,
    free_running: float,
    params: Any,
    carry: tuple,
    batch: jax.Array,
    key: jax.Array | None,
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """Negative log-likelihood in nats of the frames after the first, averaged over them.

    In training, a share `free_running` of the videos is read as `free_run` reads it.
    """
    truth, dropout = scaled(batch), None
    read = truth[:-1]
    if key is not None:
        choice, dropout = jax.random.split(key)
        if free_running:
            read = partly_free_running(model, params, truth, context, free_running, choice)[:-1]
    _, logits = apply(model, params, read, key=dropout)
    nll = optax.sigmoid_binary_cross_entropy(logits, truth[1:]).sum((-2, -1))
    mse = squared_error(jax.nn.sigmoid(logits), truth[1:])
    return nll.mean(), (carry, {"nll": Mean.of(nll), "mse": Mean.of(mse)})


def scaled(batch: Any) -> jax.Array:
    """Frames uint8 as numbers in [0, 1]."""
    return jnp.asarray(batch, jnp.float32) / 255


def squared_error(predicted: Any, truth: Any) -> Any:
    """|a − b|² of frames [..., H, W]."""
    return ((predicted - truth) ** 2).sum((-2, -1))


def score(
    model: Forecaster, params: Any, videos: Iterable[np.ndarray], context: int
) -> dict[str, float]:
    """The mean squared error of the frames after the context, predicted from it alone."""
    errors = []
    for batch in videos:
        truth = scaled(batch)
        ahead = free_run(model, params, truth[:context], len(truth) - context)
        errors.append(np.asarray(squared_error(ahead, truth[context:])))
    return {"mse_ahead": np.concatenate(errors, axis=1).mean().item()}


def baselines(draw: Draw, context: int) -> dict[str, dict[str, float]]:
    """What the last frame reaches as a prediction, and the mean of the training frames."""
    truth = np.concatenate(list(in_order(draw, "test")), axis=1) / np.float32(255)
    mean = draw("train", range(HELD_OUT["test"])).mean((0, 1)) / 255
    rates = mean.clip(1e-6, 1 - 1e-6)
    nll = -(truth[1:] * np.log(rates) + (1 - truth[1:]) * np.log1p(-rates))
    return {
        "the last frame": {
            "mse": squared_error(truth[:-1], truth[1:]).mean().item(),
            "mse_ahead": squared_error(truth[context - 1], truth[context:]).mean().item(),
        },
        "the mean training frame": {
            "nll": nll.sum((-2, -1)).mean().item(),
            "mse": squared_error(mean, truth[1:]).mean().item(),
            "mse_ahead": squared_error(mean, truth[context:]).mean().item(),
        },
    }


def sample(
    model: Forecaster,
    videos: Callable[[], np.ndarray],
    context: int,
    params: Any,
    key: jax.Array,
    directory: Path,
) -> None:
    """Draws predicted beside true frames of a few test videos: frames.png, video.gif.

    Args:
        model: the model.
        videos: gives some videos uint8 [T, B, H, W].
        context: how many frames are read before the model goes on alone.
        params: the parameters.
        key: not used; nothing here is left to chance.
        directory: where the files go.
    """
    truth = scaled(videos())
    following = jax.nn.sigmoid(apply(model, params, truth[:-1])[1])
    ahead = free_run(model, params, truth[:context], len(truth) - context)
    shown = [np.asarray(part).swapaxes(0, 1) for part in (truth, following, ahead)]
    films = list(map(Film, *shown))
    plot_films(directory / "frames.png", films)
    write_gif(directory / "video.gif", films)
    for name in ("frames.png", "video.gif"):
        print(directory / name)
