"""Generated speech: ten symbols that are sequences of vowels, said by synthetic voices.

A pulse-like source of a voice's pitch goes through filters at the frequencies of each vowel's two
formants, as in Fant's source-filter model. Pairs of symbols are each other reversed, so that what
is in a recording does not tell them apart; the order does.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy

from experiments.perception.recordings import Recording

VOWELS = {"a": (700, 1200), "e": (480, 1900), "i": (300, 2300), "o": (450, 850), "u": (320, 700)}
SYMBOLS = {"0": "ia", "1": "ai", "2": "ou", "3": "uo", "4": "ae", "5": "ea"}
SYMBOLS |= {"6": "iau", "7": "uai", "8": "eoi", "9": "ioe"}
VOICES = 6
BANDWIDTH = 90.0  # Hz, of a formant


class Voice:
    """A speaker: a pitch in Hz and, from the length of the vocal tract, a factor on formants."""

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(number)
        self.name = f"voice{number}"
        self.pitch = 90 * 2.7 ** ((number + rng.uniform()) / VOICES)
        self.tract = rng.uniform(0.88, 1.14)


@functools.cache
def recordings(takes: int, rate: int) -> list[Recording]:
    """Every symbol by every voice, some times over.

    Args:
        takes: how many times; take n is the same whatever their number.
        rate: samples a second, at least 6000.

    Returns:
        As many for each symbol and voice as there are takes, by symbol, voice and take.

    Example:
        >>> [recording.name for recording in recordings(takes=2, rate=8000)[:3]]
        ['0_voice0_0', '0_voice0_1', '0_voice1_0']
    """
    return [
        Recording(
            f"{symbol}_{voice.name}_{take}",
            symbol,
            say(symbol, voice, np.random.default_rng((number, take, int(symbol))), rate),
            voice.name,
            take,
        )
        for symbol in SYMBOLS
        for number, voice in enumerate(map(Voice, range(VOICES)))
        for take in range(takes)
    ]


def say(symbol: str, voice: Voice, rng: np.random.Generator, rate: int) -> np.ndarray:
    """A symbol's vowels, gliding one into the next, at a random speed, loudness and level of noise.

    Args:
        symbol: one of SYMBOLS.
        voice: who says it.
        rng: of all that differs from take to take.
        rate: samples a second, at least 6000.

    Returns:
        A waveform [N], float32 in [-1, 1], of 0.12 to 0.54 seconds.

    Source: G. Fant 1960, "Acoustic Theory of Speech Production".
    """
    vowels = SYMBOLS[symbol]
    durations = rng.uniform(0.75, 1.25) * rng.uniform(0.08, 0.14, len(vowels)) * rate
    ends = np.cumsum(durations)
    time = np.arange(int(ends[-1]))
    pitch = voice.pitch * np.linspace(rng.uniform(0.85, 1.15), rng.uniform(0.7, 1.15), len(time))
    source = scipy.signal.sawtooth(2 * np.pi * np.cumsum(pitch) / rate)
    sound = np.zeros(len(time))
    for number, vowel in enumerate(vowels):
        presence = np.interp(time, ends - durations / 2, np.eye(len(vowels))[number])
        formants = voice.tract * rng.normal(1, 0.05, 2) * VOWELS[vowel]
        sound += presence * _resonate(source, formants, rate)
    sound *= scipy.signal.windows.tukey(len(time), 0.3)
    sound /= np.abs(sound).max()
    noise = 10 ** (-rng.uniform(15, 35) / 20) * rng.normal(size=len(time))
    return (rng.uniform(0.1, 0.5) * (sound + noise).clip(-2, 2)).astype(np.float32)


def _resonate(source: np.ndarray, formants: np.ndarray, rate: int) -> np.ndarray:
    """The sum of what each formant's filter lets through; the higher one is softer."""
    filters = [scipy.signal.iirpeak(f, f / BANDWIDTH, fs=rate) for f in formants]
    low, high = (scipy.signal.lfilter(*coefficients, source) for coefficients in filters)
    return low + 0.7 * high
