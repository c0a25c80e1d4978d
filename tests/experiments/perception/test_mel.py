"""Log-mel features: against the formulas, computed slowly."""

import math

import numpy as np
import pytest

from experiments.perception import mel


def slow_log_mel(waveform, rate, bands):
    """The formulas frame by frame and band by band, in double precision."""
    size, hop = round(0.025 * rate), round(0.01 * rate)
    points = 1
    while points < 2 * size:
        points *= 2
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / (size - 1)) for n in range(size)]
    mels = [2595 * math.log10(1 + f * rate / points / 700) for f in range(points // 2 + 1)]
    low, high = (2595 * math.log10(1 + f / 700) for f in (60, rate / 2))
    step = (high - low) / (bands + 1)
    energies = []
    for centre in range(0, len(waveform), hop):
        heard = [centre + n - size // 2 for n in range(size)]
        frame = np.array([waveform[k] if 0 <= k < len(waveform) else 0.0 for k in heard]) * window
        turns = np.outer(np.arange(points // 2 + 1), np.arange(size)) / points
        power = np.abs(np.exp(-2j * np.pi * turns) @ frame) ** 2
        weights = [
            [max(0.0, 1 - abs(m - low - (b + 1) * step) / step) for m in mels] for b in range(bands)
        ]
        energies.append(np.array(weights) @ power)
    return np.log(np.maximum(np.array(energies) / np.max(energies), 1e-6))


@pytest.mark.parametrize(("samples", "rate", "bands"), [(801, 8000, 12), (500, 11025, 20)])
def test_features_are_those_of_the_formulas(samples, rate, bands):
    waveform = np.random.default_rng(samples).normal(size=samples) * np.hanning(samples)
    found = mel.log_mel(waveform.astype(np.float32), rate, bands)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_log_mel(waveform, rate, bands), atol=1e-3)


@pytest.mark.parametrize("samples", [1, 79, 80, 81, 199, 200, 801])
def test_there_is_a_frame_for_every_hop_that_begins(samples):
    waveform = np.random.default_rng(0).normal(size=samples)
    assert mel.log_mel(waveform, 8000, 10).shape == (-(-samples // 80), 10)


@pytest.mark.parametrize("hertz", [200.0, 440.0, 1000.0, 3000.0])
def test_a_tone_is_loudest_in_the_band_whose_centre_is_nearest(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(4000) / 8000)
    found = mel.log_mel(tone, 8000, 40)[5:-5]
    low, high = (2595 * math.log10(1 + f / 700) for f in (60, 4000))
    centres = [700 * (10 ** ((low + (high - low) * b / 41) / 2595) - 1) for b in range(1, 41)]
    nearest = int(np.argmin(np.abs(np.array(centres) - hertz)))
    assert (found.argmax(axis=1) == nearest).all()
    assert round(float(mel.to_band(centres[nearest], 8000, 40)), 6) == nearest


def test_loudness_does_not_count_and_silence_is_no_error():
    waveform = np.random.default_rng(1).normal(size=900).astype(np.float32)
    soft, loud = (mel.log_mel(waveform * factor, 8000, 16) for factor in (2.0**-9, 4.0))
    np.testing.assert_allclose(soft, loud, atol=1e-4)
    assert loud.max() == 0
    assert (mel.log_mel(np.zeros(900), 8000, 16) == np.log(np.float32(1e-6))).all()


def test_stacked_frames_lie_side_by_side():
    frames = np.random.default_rng(2).normal(size=(7, 3))
    found = mel.stack_frames(frames, 2)
    expected = [[*frames[2 * t], *frames[min(2 * t + 1, 6)]] for t in range(4)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(mel.unstack_frames(found, 2)[:7], frames)


def test_standard_features_have_mean_0_and_deviation_1_over_all_frames():
    rng = np.random.default_rng(3)
    recordings = [rng.normal(5, 3, (n, 4)) for n in (10, 30)]
    for features in recordings:
        features[:, 2] = 8.0
    standard = mel.Standardizer.fit(recordings)
    frames = np.concatenate([standard(features) for features in recordings])
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(frames.std(axis=0), [1, 1, 0, 1], atol=1e-9)
    np.testing.assert_allclose(standard.undo(standard(recordings[0])), recordings[0])


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 44100])
def test_a_resampled_tone_is_the_tone_at_the_other_rate(rate):
    time, wanted = np.arange(rate) / rate, np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 523.0 * time).astype(np.float32)
    found = mel.convert_rate(tone, rate, 8000)
    assert found.dtype == np.float32
    inner = slice(200, 7800)
    expected = np.sin(2 * np.pi * 523.0 * wanted)
    np.testing.assert_allclose(found[inner], expected[inner], atol=3e-3)
    assert len(found) == 8000
