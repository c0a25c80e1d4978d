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
from experiments.perception import ctc, mel, recordings, segmentation, tones
from experiments.perception.classifier import Predict, classifier
from experiments.perception.examples import Arrays, Split
from experiments.perception.recordings import Recording
from experiments.perception.spectrograms import Recognized, plot_recognized
from experiments.perception.transcriber import transcriber
from experiments.task import Task

GOALS = ("isolated", "connected")
STACKED = 2  # frames that the network reads at a time
SEEDS = {"train": 1, "valid": 2, "test": 3}  # of the joined sequences, whatever the run's seed
SHARE = 10  # for each of so many training sequences there is one to validate and one to test with
SHIFT, MASKED = 2, 6  # augmentation: bands up or down; bands, and frames of each second, at most
FRAMES = round(1 / mel.HOP)  # of a second
SHOWN = 8  # recordings in a sample
UNORDERED = "logistic regression on each band's mean and deviation"
ORDERED = "logistic regression on each band's means in thirds of the time, and its deviation"
SEGMENTS = f"{ORDERED}, for each segment between silences"
CONSTANT = "the commonest transcript"


class FeatureExtractor(NamedTuple):
    """What turns a waveform into features, and back into a spectrogram to look at.

    Attributes:
        rate: samples a second.
        bands: of the mel scale.
        standardize: by the training split's means and deviations.
    """

    rate: int
    bands: int
    standardize: mel.Standardizer

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Standardized features [T, STACKED · bands] of a waveform [N]."""
        return self.finish(mel.log_mel(waveform, self.rate, self.bands))

    def finish(self, frames: np.ndarray) -> np.ndarray:
        """The features [T, STACKED · bands] of log-mel frames [F, bands]."""
        return mel.stack_frames(self.standardize(frames), STACKED)

    def spectrogram(self, features: np.ndarray) -> np.ndarray:
        """The log-mel frames [STACKED · T, bands] of features [T, STACKED · bands]."""
        return self.standardize.undo(mel.unstack_frames(features, STACKED))


def speech(config: ConfigDict) -> Task:
    """Recognition of spoken digits, or of what the recordings of a folder say.

    `config.task.goal` is "isolated", a digit a recording, whose share of right answers is reported,
    or "connected", sequences of digits with gaps and noise, of which it is the label error rate.
    `config.task.data` is "tones", generated sounds, or "fsdd", the Free Spoken Digit Dataset; all
    recordings of `config.task.speaker` are kept for the test if one is named. A folder of
    recordings, `config.task.path`, is read as connected characters, see
    `recordings.load_folder`. Recordings are resampled to `config.task.rate`, and read as logarithms
    of the energies in `config.task.bands` mel bands.

    Args:
        config: with the fields of `configs/speech.py`.

    Returns:
        The task.

    Raises:
        ConfigError: if there are no such data, or a file holds something else.

    Source: Graves et al. 2006, "Connectionist temporal classification", ICML; the digits are those
    of `experiments.perception.recordings` and `experiments.perception.tones`.
    """
    goal = choose("task.goal", config.task.goal, GOALS)
    spoken, facts = load(config, goal)
    extract, splits, symbols = extract_features(config, spoken)
    augment = partial(spec_augment, extract.bands)
    sampled = extract, splits["test"], symbols
    if goal == "isolated":
        return classifier(
            config,
            splits,
            symbols,
            augment=augment,
            baselines=lambda: isolated_baselines(splits),
            sample=partial(sample_isolated, *sampled),
            facts=facts,
        )
    return transcriber(
        config,
        splits,
        symbols,
        augment=augment,
        baselines=lambda: connected_baselines(splits),
        sample=partial(sample_connected, *sampled),
        facts=facts,
    )


def load(config: ConfigDict, goal: str) -> tuple[Mapping[str, Iterable[Recording]], dict[str, Any]]:
    """The recordings that a configuration asks for.

    Args:
        config: with the fields of `configs/speech.py`.
        goal: one of GOALS.

    Returns:
        Those of "train", "valid" and "test", and what the results say about where they are from.

    Raises:
        ConfigError: if there are none, or fields do not go together.
    """
    task = config.task
    if task.path is not None:
        _check_path(task.path, task.speaker, goal)
        found = recordings.load_folder(Path(task.path), task.rate)
        return found, {"data": Path(task.path).resolve().name}
    digits, facts = _load_digits(config)
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


def _check_path(path: str, speaker: str | None, goal: str) -> None:
    """Raises `ConfigError` for what does not go with a folder of recordings."""
    if goal != "connected":
        what = f"config.task.path is {path!r}, which goes with the goal 'connected' alone"
        raise ConfigError(f"{what}; give --config=configs/speech.py:connected")
    if speaker is not None:
        what = f"config.task.speaker is {speaker!r}, but the folder config.task.path names none"
        raise ConfigError(f"{what}; name the recordings to test on in its column split instead")


def _load_digits(config: ConfigDict) -> tuple[list[Recording], dict[str, Any]]:
    """Recordings of a digit each, and where they are from."""
    task = config.task
    if choose("task.data", task.data, ("tones", "fsdd")) == "tones":
        return tones.recordings(task.takes, task.rate), {"data": "tones", "generated": True}
    found = recordings.load_fsdd(task.rate, config.data_dir)
    return found, {"data": "fsdd", "generated": False}


def extract_features(
    config: ConfigDict, spoken: Mapping[str, Iterable[Recording]]
) -> tuple[FeatureExtractor, dict[str, Split], list[str]]:
    """Features and labels of recordings.

    Args:
        config: `task.rate` and `task.bands` are used, and `task.path` is named in an error.
        spoken: the recordings of "train", "valid" and "test".

    Returns:
        What turns a waveform into features, fitted to the training split; the splits; the symbols
        of all texts, in order, which the labels number.

    Raises:
        ConfigError: naming a recording that is too short for its text.
    """
    rate, bands = config.task.rate, config.task.bands
    found = {
        split: [(r.name, r.text, mel.log_mel(r.waveform, rate, bands)) for r in own]
        for split, own in spoken.items()
    }
    symbols = sorted({symbol for own in found.values() for _, text, _ in own for symbol in text})
    fitted = mel.Standardizer.fit(frames for _, _, frames in found["train"])
    extract = FeatureExtractor(rate, bands, fitted)
    splits = {}
    for split, own in found.items():
        inputs = [extract.finish(frames) for _, _, frames in own]
        labels = [np.array([symbols.index(s) for s in text], np.int32) for _, text, _ in own]
        for (name, text, _), features in zip(own, inputs, strict=True):
            _check_length(config, name, text, len(features))
        splits[split] = Split(inputs, labels)
    return extract, splits, symbols


def _check_length(config: ConfigDict, name: str, text: str, steps: int) -> None:
    """Raises `ConfigError` if no path of so many steps says a text: equal neighbours need a blank.

    Example:
        >>> _check_length(ConfigDict({"task": {"path": "."}}), "a.wav", "oo", steps=3)
    """
    needed = len(text) + sum(a == b for a, b in itertools.pairwise(text))
    if needed > steps:
        what = f"is too short: its {len(text)} symbols need {needed} steps, it has {steps} of them"
        raise refusal(Path(config.task.path or ".") / name, recordings.FIELD, what)


def spec_augment(bands: int, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another speaker, in another room: all bands move up or down, and some of it is masked.

    A stretch of bands and, for each second, one of time are set to 0, the mean.

    Args:
        bands: how many a frame has.
        features: standardized ones [T, STACKED · bands].
        rng: of what is moved and masked.

    Returns:
        Other features, of the same shape and type.

    Source: Park et al. 2019, "SpecAugment", arXiv:1904.08779, section 2, with shifts of the bands
    in place of time warping.
    """
    frames = mel.unstack_frames(features, STACKED)
    shift = rng.integers(-SHIFT, SHIFT, endpoint=True)
    frames = frames[:, np.clip(np.arange(bands) + shift, 0, bands - 1)]
    frames[:, _mask(bands, rng)] = 0
    for _ in range(0, len(frames), FRAMES):
        frames[_mask(len(frames), rng)] = 0
    return mel.stack_frames(frames, STACKED)


def _mask(size: int, rng: np.random.Generator) -> slice:
    """A stretch of 0 to MASKED places among `size`."""
    start, length = rng.integers(size), rng.integers(MASKED, endpoint=True)
    return slice(start, start + length)


def isolated_baselines(splits: Mapping[str, Split]) -> dict[str, np.ndarray]:
    """What is told without a recurrent network: by the mean sound, and by that of parts in order.

    Args:
        splits: "train" and "valid", which are learnt from, and "test".

    Returns:
        By the name of the model, a label for each test recording [N].
    """
    train, valid, test = (splits[name] for name in recordings.SPLITS)
    known = Split([*train.inputs, *valid.inputs], [*train.labels, *valid.labels])
    return {
        UNORDERED: segmentation.classify(known, test.inputs, parts=1),
        ORDERED: segmentation.classify(known, test.inputs, segmentation.PARTS),
    }


def connected_baselines(splits: Mapping[str, Split]) -> dict[str, dict[str, float]]:
    """What is reached without a recurrent network: one text for all, and segments at silences.

    Args:
        splits: "train" and "valid", which are learnt from, and "test".

    Returns:
        By the name of the model, its label error rate in the test split.
    """
    train, valid, test = (splits[name] for name in recordings.SPLITS)
    texts = Counter(tuple(labels.tolist()) for labels in [*train.labels, *valid.labels])
    constant = np.array(texts.most_common(1)[0][0], np.int32)
    found: dict[str, Arrays] = {CONSTANT: [constant] * len(test.inputs)}
    if (segments := segmentation.transcribe(train, valid, test.inputs)) is not None:
        found[SEGMENTS] = segments
    return {
        name: {"label_error_rate": ctc.label_error_rate(list(labels), list(test.labels))}
        for name, labels in found.items()
    }


def _pick(
    extract: FeatureExtractor,
    test: Split,
    symbols: Sequence[str],
    key: jax.Array,
    prompt: str | None,
) -> tuple[list[np.ndarray], list[str]]:
    """Some test recordings' features and texts, or those of the user's; his text is not known.

    Raises:
        ConfigError: if the user's recording cannot be read.
    """
    if prompt is not None:
        return [extract(recordings.read(Path(prompt), "--prompt", extract.rate))], [""]
    rng = np.random.default_rng(int(jax.random.bits(key)))
    chosen = rng.permutation(len(test.inputs))[:SHOWN]
    texts = ["".join(symbols[k] for k in test.labels[n]) for n in chosen]
    return [test.inputs[n] for n in chosen], texts


def sample_isolated(
    extract: FeatureExtractor,
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
        extract: what turns a waveform into features.
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
    inputs, texts = _pick(extract, test, symbols, key, prompt)
    items = []
    for features, text, odds in zip(inputs, texts, predict(params, inputs), strict=True):
        found = symbols[int(np.argmax(odds))]
        items.append(_recognized(extract, features, text, found, f" ({odds.max():.0%} sure)"))
    _show(directory, items, extract.rate)


def sample_connected(
    extract: FeatureExtractor,
    test: Split,
    symbols: Sequence[str],
    transcribe: Callable[..., Any],
    params: Any,
    key: jax.Array,
    directory: Path,
    prompt: str | None = None,
) -> None:
    """Writes down some test recordings, and where each symbol is.

    Args:
        extract, test, symbols, params, key, directory, prompt: see `sample_isolated`.
        transcribe: see `transcriber`.

    Raises:
        ConfigError: if the user's file cannot be read.
    """
    inputs, texts = _pick(extract, test, symbols, key, prompt)
    items = []
    for features, text, said in zip(inputs, texts, transcribe(params, inputs), strict=True):
        found = "".join(symbols[k] for k in said.symbols)
        path = [["", *symbols][k] for k in ctc.align(said.log_probs, said.symbols)]
        items.append(_recognized(extract, features, text, found, path=path))
    _show(directory, items, extract.rate)


def _recognized(
    extract: FeatureExtractor,
    features: np.ndarray,
    text: str,
    found: str,
    remark: str = "",
    path: Sequence[str] = (),
) -> Recognized:
    """A recording for the plot; a text that is empty is not known."""
    title = f"said {text}, found {found}{remark}" if text else f"found {found}{remark}"
    right = text == found if text else None
    return Recognized(extract.spectrogram(features), title, right, path)


def _show(directory: Path, items: Sequence[Recognized], rate: int) -> None:
    """Prints what was recognized and writes samples.txt and spectrograms.png."""
    write_samples(directory, [f"{item.title}\n" for item in items])
    plot_recognized(directory / "spectrograms.png", items, rate)
    print(directory / "spectrograms.png")
