"""Handwriting written by a network: what it learns of the pen's next offset, and draws from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from flax import linen as nn
from ml_collections import ConfigDict
from scipy.special import xlogy

from experiments.config import ConfigError, make_network
from experiments.data import files
from experiments.perception import mixture
from experiments.perception.drawings import Drawn, Row, draw_strokes
from experiments.perception.examples import AXES, Batch, Batches, Split
from experiments.perception.strokes import (
    Drawing,
    fill,
    read_strokes,
    size,
    thin,
    to_offsets,
    to_strokes,
)
from experiments.task import Mean, Task, apply
from lstm_jax.linen import Recurrent

Offsets = Sequence[np.ndarray] | np.ndarray  # of drawings [T, 3], see `to_offsets`

SHOWN = 10  # drawings in a row of a sample
MOST_POINTS = 1000  # of a drawing to go on from; those of Omniglot have up to 92
START = np.zeros((1, 3), np.float32)  # the first offset of every drawing


class StrokeModel(nn.Module):
    """A recurrent network over offsets, dropout, and a linear layer to a mixture density."""

    network: Any
    components: int
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self,
        offsets: jax.Array,
        state: Any = None,
        lengths: jax.Array | None = None,
        deterministic: bool = True,
    ) -> tuple[Any, jax.Array]:
        """Maps offsets [T, B, 3] to the state after them and mixtures of the next [T, B, 6M + 1]"""
        state, ys = Recurrent(self.network, time_major=True)(
            offsets, initial_state=state, lengths=lengths, deterministic=deterministic
        )
        ys = nn.Dropout(self.dropout)(ys, deterministic=deterministic)
        return state, nn.Dense(mixture.size(self.components))(ys)


def synthesis(
    config: ConfigDict, drawings: Mapping[str, Sequence[Drawing]], facts: Mapping[str, Any]
) -> Task:
    """The task to predict each offset of the pen from those before it, and so to write.

    Offsets are divided by one number of four digits, that makes the training offsets' standard
    deviation 1.
    Reported is the negative log-likelihood in nats of an offset and of the end of a stroke given
    all before them, averaged over all points but the first of each drawing.

    Args:
        config: `task.components`, `task.distortion` and `task.buckets` are used.
        drawings: those of "train", "valid" and "test".
        facts: what else the results say about the data.

    Source: Graves 2013, "Generating sequences with recurrent neural networks", arXiv:1308.0850,
    section 4.
    """
    found = {name: [to_offsets(drawing) for drawing in own] for name, own in drawings.items()}
    unit = float(f"{np.std(following(found['train'])[:, :2]):.4g}")
    splits = {name: _split(own, unit) for name, own in found.items()}
    model = StrokeModel(make_network(config), config.task.components, config.model.dropout)
    batches = Batches(config, splits, partial(distort, config.task.distortion))

    return Task(
        model=model,
        init=lambda key: model.init(key, jnp.zeros((1, 1, 3))),
        initial_carry=tuple,
        loss=partial(_loss, model),
        train_batches=batches.train,
        eval_batches=batches.evaluation,
        metric="nll",
        higher_is_better=False,
        summarize=dict,
        sample=partial(sample, model, splits),
        facts={**facts, "unit": unit, **batches.facts()},
        batch_axes=AXES,
        unit="points",
        baselines=lambda: baselines(splits, config.task.components),
    )


def _split(offsets: Offsets, unit: float) -> Split:
    """Offsets in another unit; their one label says nothing."""
    scale = np.array([unit, unit, 1], np.float32)
    return Split([own / scale for own in offsets], [np.zeros(1, np.int32)] * len(offsets))


def distort(strength: float, offsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A drawing turned, slanted and stretched by a random linear map near the identity.

    Args:
        strength: the standard deviation of the map's entries around the identity.
        offsets: of the drawing [T, 3].
        rng: where the randomness comes from.

    Returns:
        Offsets [T, 3], their ends as they were.
    """
    linear = np.eye(2) + strength * rng.normal(size=(2, 2))
    return np.concatenate([offsets[:, :2] @ linear, offsets[:, 2:]], axis=1).astype(np.float32)


def _loss(
    model: StrokeModel, params: Any, carry: tuple, batch: Batch, key: jax.Array | None
) -> tuple[jax.Array, tuple[tuple, dict[str, Mean]]]:
    """Negative log-likelihood in nats of the points after the first, averaged over them."""
    lengths = jnp.maximum(jnp.asarray(batch.lengths) - 1, 0)
    _, outputs = apply(model, params, batch.inputs[:-1], lengths=lengths, key=key)
    nats = mixture.negative_log_likelihood(mixture.split(outputs), jnp.asarray(batch.inputs[1:]))
    valid = jnp.arange(nats.shape[0])[:, None] < lengths
    mean = Mean.of(nats, valid)
    return mean.total / jnp.maximum(mean.weight, 1), (carry, {"nll": mean})


def following(offsets: Offsets) -> np.ndarray:
    """The offsets that are predicted, those after the first of each drawing [N, 3]."""
    return np.concatenate([own[1:] for own in offsets]).astype(np.float64)


def histories(offsets: Offsets) -> np.ndarray:
    """What comes before each of `following` [N, 7]: a one, the last offset and the one before."""
    rows = []
    for own in offsets:
        before = np.concatenate([START, own[:-2]])[: len(own) - 1]
        rows.append(np.concatenate([np.ones((len(before), 1)), own[:-1], before], axis=1))
    return np.concatenate(rows).astype(np.float64)


def baselines(splits: Mapping[str, Split], components: int) -> dict[str, dict[str, float]]:
    """How well models without a network predict, of what they learn from training and validation.

    For all of them any point ends its stroke with the same probability.

    Args:
        splits: offsets of "train", "valid" and "test".
        components: of the mixture, if there are as many offsets to learn from.

    Returns:
        The negative log-likelihood of a point of the test split in nats by the name of the model.
    """
    from sklearn.mixture import GaussianMixture  # slow to import

    known, unseen = [*splits["train"].inputs, *splits["valid"].inputs], splits["test"].inputs
    learnt, test = following(known), following(unseen)
    before, now = histories(known), histories(unseen)
    weights = np.linalg.lstsq(before, learnt[:, :2], rcond=None)[0]
    mixed = GaussianMixture(min(components, len(learnt)), random_state=0).fit(learnt[:, :2])
    offset = {
        "one Gaussian": _gaussian_nll(learnt[:, :2], test[:, :2]),
        f"a mixture of {components} Gaussians": -mixed.score(test[:, :2]),
        "a Gaussian around a linear forecast from two offsets": _gaussian_nll(
            learnt[:, :2] - before @ weights, test[:, :2] - now @ weights
        ),
    }
    end = _end_nll(learnt[:, 2], test[:, 2])
    return {name: {"nll": float(value + end)} for name, value in offset.items()}


def _gaussian_nll(known: np.ndarray, test: np.ndarray) -> float:
    """-log p of the rows of `test` [N, 2], on average, for the Gaussian that fits `known` best."""
    covariance = np.cov(known.T, bias=True)
    return -scipy.stats.multivariate_normal(known.mean(axis=0), covariance).logpdf(test).mean()


def _end_nll(known: np.ndarray, test: np.ndarray) -> float:
    """-log p of the zeros and ones in `test`, on average, by the rate of ones in `known`."""
    rate, ones = known.mean(), test.mean()
    return -float(xlogy(ones, rate) + xlogy(1 - ones, 1 - rate))


def sample(
    model: StrokeModel,
    splits: Mapping[str, Split],
    params: Any,
    key: jax.Array,
    directory: Path,
    length: int | None = None,
    bias: float = 0.0,
    prompt: str | None = None,
) -> None:
    """Writes drawings by the network beside real ones: strokes.svg and strokes.png.

    Nothing says when a drawing is whole: each one ends with the stroke whose end comes nearest to
    as many points as the real one below it has.

    Args:
        model: the model.
        splits: offsets of all splits.
        params: the parameters.
        key: the random key.
        directory: where the files go.
        length: about how many points a drawing gets, if they are not to be as many as in the real
            ones.
        bias: the larger, the neater the drawings; 0: as they were learnt.
        prompt: the path of a drawing of the user's to go on from, see `strokes.parse`.

    Raises:
        ConfigError: if an option is out of its range, or the user's drawing cannot be read or has
            too many points.
    """
    if length is not None and length < 1:
        raise ConfigError(f"--length is {length}, it must be at least 1")
    if not 0 <= bias < math.inf:
        raise ConfigError(f"--bias is {bias:g}, it must be at least 0 and finite")
    choice, key = jax.random.split(key)
    test = splits["test"].inputs
    numbers = jax.random.permutation(choice, len(test))[:SHOWN]
    real = [test[n] for n in np.asarray(numbers)]
    opening = START if prompt is None else _opening(Path(prompt), splits["train"].inputs)
    points = [length or len(own) for own in real]
    steps = max(points) * 3 // 2
    written = np.asarray(write(model, params, key, opening, len(real), steps, bias))
    drawn = [np.concatenate([opening, ended(written[:, n], most)]) for n, most in enumerate(points)]
    title = f"written by the network, bias {bias:g}"
    title += f", going on from {Path(prompt).name}" if prompt else ""
    rows = [_row(title, drawn), _row("real, from the test split", real)]
    draw_strokes(directory, "strokes", rows)


def _row(title: str, offsets: Offsets) -> Row:
    return Row(title, [Drawn(to_strokes(own)) for own in offsets])


def _opening(path: Path, train: Offsets) -> np.ndarray:
    """The user's drawing as offsets, its size and the distances of its points as in training.

    Points between corners that are far apart are as usual, and of points that are near to each
    other some are left out, as `thin` did in training.
    """
    drawing = read_strokes(path, "--prompt")
    scale = np.mean([size(to_strokes(own)) for own in train])
    least, usual = np.quantile(_distances(train), [0.1, 0.5])
    scaled = [(own - drawing[0][0]) / (size(drawing) or 1.0) * scale for own in drawing]
    offsets = to_offsets([thin(fill(own, usual), least) for own in scaled])
    if len(offsets) > MOST_POINTS:
        what = f"has {len(offsets)} points at the usual distance, at most {MOST_POINTS} will do"
        raise files.refusal(path, "--prompt", f"{what}; cut it")
    return offsets


def _distances(offsets: Offsets) -> np.ndarray:
    """How far it is from each point of a stroke to the next [N]."""
    within = np.concatenate([own[1:][own[:-1, 2] == 0] for own in offsets])
    return np.hypot(*within[:, :2].T)


@partial(jax.jit, static_argnames=("model", "count", "steps"))
def write(
    model: StrokeModel,
    params: Any,
    key: jax.Array,
    opening: jax.Array,
    count: int,
    steps: int,
    bias: jax.Array | float,
) -> jax.Array:
    """Draws offset after offset, in one scan.

    Args:
        model: the model.
        params: its parameters.
        key: the random key.
        opening: offsets to go on from [P, 3].
        count: the number of drawings B.
        steps: the number of offsets T of each.
        bias: see `mixture.sample`.

    Returns:
        Offsets [T, B, 3].
    """

    def step(carry: tuple[Any, jax.Array], key: jax.Array) -> tuple[Any, jax.Array]:
        state, outputs = carry
        offsets = mixture.sample(key, mixture.split(outputs), bias)
        state, outputs = apply(model, params, offsets[None], state)
        return (state, outputs[0]), offsets

    shape = (opening.shape[0], count, 3)
    state, outputs = apply(model, params, jnp.broadcast_to(opening[:, None], shape))
    return jax.lax.scan(step, (state, outputs[-1]), jax.random.split(key, steps))[1]


def ended(offsets: np.ndarray, points: int) -> np.ndarray:
    """Offsets up to the end of the stroke that ends nearest to a number of points.

    Args:
        offsets: [T, 3].
        points: how many of them are wanted.

    Returns:
        The first N offsets [N, 3]; where no stroke ends, as many as are wanted.
    """
    ends = np.flatnonzero(offsets[:, 2]) + 1
    if not len(ends):
        return offsets[:points]
    return offsets[: ends[np.abs(ends - points).argmin()]]
