"""Log-mel features: how loud a recording is in bands that are spaced as an ear hears pitch."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy import fft
from scipy.sparse import csr_array

WINDOW, HOP = 0.025, 0.010  # seconds that a frame hears, and from one frame to the next
LOWEST = 60.0  # Hz, where the first band begins; the last one ends at half the sampling rate
FLOOR = 1e-6  # of the loudest energy, -60 dB: what is softer counts as that


def to_mel(hertz: ArrayLike) -> np.ndarray:
    """A frequency on the mel scale: m = 2595 log10(1 + f / 700)."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def log_mel(waveform: np.ndarray, rate: int, bands: int = 40) -> np.ndarray:
    """The energies of a recording in mel bands, relative to the loudest of them all, in nats.

        E[t, b] = Σ_f w_b(f) |Σ_n hann[n] x[hop · t + n - size // 2] exp(-2πi f n)|²
        y[t, b] = log max(E[t, b] / max E, FLOOR)

    Frame t is centred on sample hop · t; beyond its ends the waveform is 0. A louder copy of a
    recording has the same features.

    Args:
        waveform: samples [N], at least one.
        rate: samples a second.
        bands: how many there are.

    Returns:
        float32 [T, bands] in [log FLOOR, 0], T = ⌈N / hop⌉.

    Example:
        >>> log_mel(np.sin(np.arange(800.0)), rate=8000, bands=4).shape
        (10, 4)

    Source: the formula of mel and the triangles w_b are those of Young et al., "The HTK book".
    """
    size, hop, points = _sizes(rate)
    padded = np.pad(np.asarray(waveform, np.float32), (size // 2, size))
    frames = sliding_window_view(padded, size)[: len(waveform) : hop]
    window = scipy.signal.windows.hann(size).astype(np.float32)
    power = np.square(np.abs(fft.rfft(frames * window, points)))
    energy = (_triangles(rate, bands) @ power.T).T
    energy /= energy.max() or 1.0
    return np.log(np.maximum(energy, FLOOR))


def _sizes(rate: int) -> tuple[int, int, int]:
    """Samples of a frame, those to the next, and a power of two that is twice a frame or more."""
    size = round(WINDOW * rate)
    return size, round(HOP * rate), 2 ** math.ceil(math.log2(2 * size))


def to_band(hertz: ArrayLike, rate: int, bands: int) -> np.ndarray:
    """The band, counted from 0 and with a fraction, whose centre a frequency is.

    Args:
        hertz: frequencies [...].
        rate: samples a second.
        bands: how many there are.

    Returns:
        float64 [...]; -1 where the first band begins, `bands` where the last one ends.

    Example:
        >>> to_band([LOWEST, 4000.0], rate=8000, bands=40).round(6).tolist()
        [-1.0, 40.0]
    """
    low, high = to_mel(LOWEST), to_mel(rate / 2)
    return (to_mel(hertz) - low) / (high - low) * (bands + 1) - 1


@functools.cache
def _triangles(rate: int, bands: int) -> csr_array:
    """A band's weights fall linearly, in mel, to 0 at its neighbours' centres: [bands, F]."""
    places = to_band(fft.rfftfreq(_sizes(rate)[2], 1 / rate), rate, bands)
    distance = np.abs(places - np.arange(bands)[:, None])
    return csr_array(np.maximum(1 - distance, 0).astype(np.float32))


def stack_frames(features: np.ndarray, count: int) -> np.ndarray:
    """Lays every few frames side by side; where the last ones are too few, the last is repeated.

    Args:
        features: [T, D].
        count: how many frames become one.

    Returns:
        [⌈T / count⌉, count · D].

    Example:
        >>> stack_frames(np.array([[1], [2], [3]]), 2).tolist()
        [[1, 2], [3, 3]]
    """
    missing = -len(features) % count
    whole = np.pad(features, ((0, missing), (0, 0)), mode="edge")
    return whole.reshape(-1, count * features.shape[1])


def unstack_frames(features: np.ndarray, count: int) -> np.ndarray:
    """The frames that `stack_frames` laid side by side.

    Args:
        features: [T, count · D].
        count: how many frames have become one.

    Returns:
        [count · T, D].

    Example:
        >>> unstack_frames(np.array([[1, 2], [3, 3]]), 2).tolist()
        [[1], [2], [3], [3]]
    """
    return features.reshape(len(features) * count, -1)


class Standardizer(NamedTuple):
    """The mean and the deviation of each feature [D], from the training split."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, recordings: Iterable[np.ndarray]) -> Standardizer:
        """That of the frames of all recordings [T, D]; a feature that never varies keeps 1."""
        frames = np.concatenate(list(recordings))
        deviation = frames.std(axis=0)
        return cls(frames.mean(axis=0), np.where(deviation > 0, deviation, 1))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features [T, D] with mean 0 and deviation 1 over the training split."""
        return (features - self.mean) / self.deviation

    def undo(self, features: np.ndarray) -> np.ndarray:
        """What was standardized."""
        return features * self.deviation + self.mean


def convert_rate(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """A recording at another number of samples a second, by a polyphase filter.

    Args:
        waveform: samples [N].
        rate: how many of them are a second.
        wanted: how many are to be.

    Returns:
        float32 [⌈N · wanted / rate⌉]; the waveform itself if the rate is the wanted one.

    Example:
        >>> convert_rate(np.ones(441, np.float32), 44100, 8000).shape
        (80,)
    """
    if rate == wanted:
        return waveform
    common = math.gcd(rate, wanted)
    return scipy.signal.resample_poly(waveform, wanted // common, rate // common).astype(np.float32)
