"""Generated speech: what the recordings are, and that only the order tells some apart."""

import numpy as np
import pytest

from experiments.perception import mel, tones


def test_every_voice_says_every_symbol_equally_often():
    found = tones.recordings(3, 8000)
    said = [(r.text, r.speaker, r.take) for r in found]
    assert len(said) == len(set(said)) == 10 * 6 * 3
    assert {r.text for r in found} == set("0123456789")
    assert {r.take for r in found} == {0, 1, 2}
    for recording in found:
        assert 0.1 * 8000 < len(recording.waveform) < 0.6 * 8000
        assert recording.waveform.dtype == np.float32
        assert 0.05 < np.abs(recording.waveform).max() <= 1


def test_a_take_is_the_same_among_more_takes_and_unlike_any_other():
    few = {r.name: r.waveform for r in tones.recordings(1, 8000)}
    many = {r.name: r.waveform for r in tones.recordings(2, 8000)}
    for name, waveform in few.items():
        np.testing.assert_array_equal(waveform, many[name])
    assert len({waveform.tobytes() for waveform in many.values()}) == len(many)


@pytest.mark.parametrize(("symbol", "other"), [("0", "1"), ("2", "3"), ("6", "7"), ("8", "9")])
def test_pairs_of_symbols_are_each_other_reversed(symbol, other):
    assert tones.SYMBOLS[symbol] == tones.SYMBOLS[other][::-1]


def test_the_formants_of_the_vowels_are_where_they_should_be():
    """Of "0", i and a: first energy at 2300 Hz, then at 700 and 1200 Hz."""
    voice, bands = tones.Voice(0), 40
    starts, ends = [], []
    for take in range(20):
        waveform = tones.say("0", voice, np.random.default_rng(take), 8000)
        frames = np.exp(mel.log_mel(waveform, 8000, bands))
        starts.append(frames[: len(frames) // 3].mean(axis=0))
        ends.append(frames[-len(frames) // 3 :].mean(axis=0))
    high, low = (round(float(mel.to_band(f * voice.tract, 8000, bands))) for f in (2300, 1200))
    start, end = (
        np.mean(part, axis=0)[high - 1 : high + 2].sum()
        / np.mean(part, axis=0)[low - 1 : low + 2].sum()
        for part in (starts, ends)
    )
    assert start > 10 * end
