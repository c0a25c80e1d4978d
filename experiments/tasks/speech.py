"""Speech: which digit a recording says, or which digits, one after the other."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.config import ConfigError, choose
from experiments.data.files import refusal
from experiments.language.samples import write_samples
from experiments.perception import ctc, mel, recordings, silences, tones
from experiments.perception.classifier import Predict, classifier
from experiments.perception.examples import Arrays, Split
from experiments.perception.recordings import Recording
from experiments.perception.spectrograms import Heard, plot_heard
from experiments.perception.transcriber import transcriber
from experiments.task import Task

GOALS = ("isolated", "connected")
STACKED = 2  # frames that the network reads at a time
SEEDS = {"train": 1, "valid": 2, "test": 3}  # of the joined sequences, whatever the run's seed
SHARE = 10  # for each of so many training sequences there is one to validate and one to test with
SHIFT, MASKED = 2, 6  # augmentation: bands up or down; bands, and frames of each second, at most
FRAMES = round(1 / mel.HOP)  # of a second
SHOWN = 8  # recordings in a sample
LOGISTIC = "logistic regression on each band's mean and deviation"
PIECES = f"{LOGISTIC}, for each piece between silences"
CONSTANT = "the commonest training transcript"


class Ears(NamedTuple):
    """What turns a waveform into features, and back into a spectrogram to look at.

    Attributes:
        rate: samples a second.
        bands: of the mel scale.
        standard: the training split's means and deviations.
    """

    rate: int
    bands: int
    standard: mel.Standard

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Standardized features [T, STACKED · bands] of a waveform."""
        return self.finish(mel.log_mel(waveform, self.rate, self.bands))

    def finish(self, frames: np.ndarray) -> np.ndarray:
        """The features of log-mel frames."""
        return mel.stack(self.standard(frames), STACKED)

    def spectrogram(self, features: np.ndarray) -> np.ndarray:
        """The log-mel frames [STACKED · T, bands] of features."""
        return self.standard.undo(mel.unstack(features, STACKED))


def speech(config: ConfigDict) -> Task:
    """Recognition of spoken digits, or of what the recordings of a folder say.

    `config.task.goal` is "isolated", a digit a recording, whose share of right answers is reported,
    or "connected", sequences of digits with gaps and noise, of which it is the label error rate.
    `config.task.data` is "tones", generated sounds, or "fsdd", the Free Spoken Digit Dataset; all
    recordings of `config.task.speaker` are kept for the test if one is named. A folder of
    recordings, `config.task.path`, is read as connected characters, see
    `recordings.load_folder`. Recordings are resampled to `config.task.rate`, and read as logarithms
    of the energies in `config.task.bands` mel bands.

    Raises:
        ConfigError: if there are no such data, or a file holds something else.
    """
    goal = choose("task.goal", config.task.goal, GOALS)
    spoken, facts = load(config, goal)
    ears, splits, symbols = listen(config, spoken)
    train, test = splits["train"], splits["test"]
    augment = partial(vary, ears.bands)
    if goal == "isolated":
        return classifier(
            config,
            splits,
            symbols,
            augment=augment,
            baselines=lambda: {LOGISTIC: silences.classify(train, test.inputs)},
            sample=partial(sample_isolated, ears, test, symbols),
            facts=facts,
        )
    return transcriber(
        config,
        splits,
        symbols,
        augment=augment,
        baselines=lambda: connected_baselines(train, test),
        sample=partial(sample_connected, ears, test, symbols),
        facts=facts,
    )


def load(config: ConfigDict, goal: str) -> tuple[Mapping[str, Iterable[Recording]], dict[str, Any]]:
    """The recordings of each split, and what the results say about where they are from."""
    task = config.task
    if task.path is not None:
        if goal != "connected":
            what = f"config.task.path is {task.path!r}, which goes with the goal 'connected' alone"
            raise ConfigError(f"{what}; give --config=configs/speech.py:connected")
        read = recordings.load_folder(Path(task.path), task.rate)
        return read, {"data": Path(task.path).name, "sha256": recordings.digest(read)}
    digits, facts = load_digits(config)
    splits = recordings.divide(digits, task.speaker)
    if goal == "isolated":
        return splits, facts
    held = max(task.sequences // SHARE, 1)
    counts = {"train": task.sequences, "valid": held, "test": held}
    joined = {
        split: recordings.sequences(own, counts[split], SEEDS[split], task.rate)
        for split, own in splits.items()
    }
    return joined, facts


def load_digits(config: ConfigDict) -> tuple[list[Recording], dict[str, Any]]:
    """Recordings of a digit each, and where they are from."""
    task = config.task
    if choose("task.data", task.data, ("tones", "fsdd")) == "tones":
        return tones.recordings(task.takes, task.rate), {"data": "tones", "generated": True}
    found = recordings.load_fsdd(task.rate, config.data_dir)
    return found, {"data": "fsdd", "generated": False, "sha256": recordings.FSDD.sha256}


def listen(
    config: ConfigDict, spoken: Mapping[str, Iterable[Recording]]
) -> tuple[Ears, dict[str, Split], list[str]]:
    """The features and the labels of each split, and the symbols that the labels number."""
    rate, bands = config.task.rate, config.task.bands
    heard = {
        split: [(r.name, r.text, mel.log_mel(r.waveform, rate, bands)) for r in own]
        for split, own in spoken.items()
    }
    symbols = sorted({symbol for own in heard.values() for _, text, _ in own for symbol in text})
    ears = Ears(rate, bands, mel.Standard.fit(frames for _, _, frames in heard["train"]))
    splits = {}
    for split, own in heard.items():
        inputs = [ears.finish(frames) for _, _, frames in own]
        labels = [np.array([symbols.index(s) for s in text], np.int32) for _, text, _ in own]
        for (name, text, _), features in zip(own, inputs, strict=True):
            check_length(config, name, text, len(features))
        splits[split] = Split(inputs, labels)
    return ears, splits, symbols


def check_length(config: ConfigDict, name: str, text: str, steps: int) -> None:
    """Raises `ConfigError` if no path of so many steps says a text: equal neighbours need a blank.

    Example:
        >>> check_length(ConfigDict({"task": {"path": "."}}), "a.wav", "oo", steps=3)
    """
    needed = len(text) + sum(a == b for a, b in itertools.pairwise(text))
    if needed > steps:
        what = f"is too short: its {len(text)} symbols need {needed} steps, it has {steps} of them"
        raise refusal(Path(config.task.path or ".") / name, recordings.FIELD, what)


def vary(bands: int, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another speaker, in another room: all bands move up or down, and some of it is hidden.

    A stretch of bands and, for each second, one of time are set to 0, the mean (Park et al. 2019,
    "SpecAugment", arXiv:1904.08779).
    """
    frames = mel.unstack(features, STACKED)
    shift = rng.integers(-SHIFT, SHIFT, endpoint=True)
    frames = frames[:, np.clip(np.arange(bands) + shift, 0, bands - 1)]
    frames[:, hidden(bands, rng)] = 0
    for _ in range(0, len(frames), FRAMES):
        frames[hidden(len(frames), rng)] = 0
    return mel.stack(frames, STACKED)


def hidden(size: int, rng: np.random.Generator) -> slice:
    """A stretch of 0 to MASKED places among `size`."""
    start, length = rng.integers(size), rng.integers(MASKED, endpoint=True)
    return slice(start, start + length)


def connected_baselines(train: Split, test: Split) -> dict[str, dict[str, float]]:
    """What is reached without a recurrent network: one text for all, and pieces at silences."""
    texts = Counter(tuple(labels.tolist()) for labels in train.labels)
    constant = np.array(texts.most_common(1)[0][0], np.int32)
    found: dict[str, Arrays] = {CONSTANT: [constant] * len(test.inputs)}
    if (pieces := silences.transcribe(train, test.inputs)) is not None:
        found[PIECES] = pieces
    return {
        name: {"label_error_rate": ctc.label_error_rate(list(labels), list(test.labels))}
        for name, labels in found.items()
    }


def pick(
    ears: Ears, test: Split, symbols: Sequence[str], key: jax.Array, prompt: str | None
) -> tuple[list[np.ndarray], list[str]]:
    """Some test recordings' features and texts, or those of the user's; his text is not known.

    Raises:
        ConfigError: if the user's recording cannot be read.
    """
    if prompt is not None:
        return [ears(recordings.read(Path(prompt), "--prompt", ears.rate))], [""]
    rng = np.random.default_rng(int(jax.random.bits(key)))
    chosen = rng.permutation(len(test.inputs))[:SHOWN]
    texts = ["".join(symbols[k] for k in test.labels[n]) for n in chosen]
    return [test.inputs[n] for n in chosen], texts


def sample_isolated(
    ears: Ears,
    test: Split,
    symbols: Sequence[str],
    predict: Predict,
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Tells what some test recordings say: samples.txt and spectrograms.png.

    Args:
        ears: what hears them.
        test: the recordings.
        symbols: the classes.
        predict: see `classifier`.
        params: the parameters.
        key: chooses the recordings.
        directory: where the files go.
        prompt: the path of a WAV file of the user's, instead of test recordings.

    Raises:
        ConfigError: if the user's file cannot be read.
    """
    inputs, texts = pick(ears, test, symbols, key, prompt)
    items = []
    for features, text, odds in zip(inputs, texts, predict(params, inputs), strict=True):
        found = symbols[int(np.argmax(odds))]
        items.append(heard(ears, features, text, found, f" ({odds.max():.0%} sure)"))
    show(directory, items, ears.rate)


def sample_connected(
    ears: Ears,
    test: Split,
    symbols: Sequence[str],
    transcribe: Callable[..., Any],
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Writes down some test recordings, and where each symbol is; see `sample_isolated`."""
    inputs, texts = pick(ears, test, symbols, key, prompt)
    items = []
    for features, text, said in zip(inputs, texts, transcribe(params, inputs), strict=True):
        found = "".join(symbols[k] for k in said.symbols)
        path = ctc.align(said.log_probs, said.symbols)
        items.append(heard(ears, features, text, found, path=[["", *symbols][k] for k in path]))
    show(directory, items, ears.rate)


def heard(
    ears: Ears,
    features: np.ndarray,
    text: str,
    found: str,
    remark: str = "",
    path: Sequence[str] = (),
) -> Heard:
    """A recording for the plot; a text that is empty is not known."""
    title = f"said {text}, found {found}{remark}" if text else f"found {found}{remark}"
    right = text == found if text else None
    return Heard(ears.spectrogram(features), title, right, path)


def show(directory: Path, items: Sequence[Heard], rate: int) -> None:
    """Prints what was heard and writes samples.txt and spectrograms.png."""
    write_samples(directory, [f"{item.title}\n" for item in items])
    plot_heard(directory / "spectrograms.png", items, rate)
    print(directory / "spectrograms.png")
