"""Speech: what is said, what is heard, and recordings that a user brings."""

import jax
import numpy as np
import pytest
from scipy.io import wavfile

from configs import speech as speech_config
from experiments.config import ConfigError, resolve
from experiments.data import files
from experiments.mesh import Part
from experiments.perception import mel, tones
from experiments.perception.examples import Split
from experiments.tasks.speech import (
    CONSTANT,
    GOALS,
    connected_baselines,
    listen,
    load,
    speech,
    vary,
)


def tiny(goal="isolated", **changes):
    config = speech_config.get_config(goal)
    config.mode = "tiny"
    return resolve(config, {f"task.{name}": value for name, value in changes.items()})


def built(config):
    """The task, and parameters that nobody has trained."""
    task = speech(config)
    return task, task.init(jax.random.PRNGKey(0))


def test_isolated_examples_are_standardized_frames_two_at_a_time():
    config = tiny()
    spoken, facts = load(config, "isolated")
    ears, splits, symbols = listen(config, spoken)
    assert symbols == list("0123456789")
    assert facts == {"data": "tones", "generated": True}
    assert {split: len(own.inputs) for split, own in splits.items()} == {
        "train": 60,
        "valid": 300,
        "test": 300,
    }
    frames = [mel.log_mel(r.waveform, 8000, 8) for r in tones.recordings(11, 8000) if r.take == 10]
    everything = np.concatenate(frames)
    mean, deviation = everything.mean(axis=0), everything.std(axis=0)
    for n, own in enumerate(frames):
        whole = (own[: len(own) // 2 * 2] - mean) / deviation
        found = splits["train"].inputs[n][: len(whole) // 2]
        np.testing.assert_allclose(found, whole.reshape(-1, 16), atol=1e-4)
    np.testing.assert_array_equal(np.concatenate(splits["train"].labels), np.repeat(range(10), 6))
    spectrogram = ears.spectrogram(splits["train"].inputs[0])
    np.testing.assert_allclose(spectrogram[: len(frames[0])], frames[0], atol=1e-4)


def test_connected_digits_of_the_test_are_joined_from_test_recordings_alone():
    spoken, _ = load(tiny("connected", sequences=30), "connected")
    drawn = {split: list(own) for split, own in spoken.items()}
    assert {split: len(own) for split, own in drawn.items()} == {"train": 30, "valid": 3, "test": 3}
    takes = {"train": {10}, "valid": set(range(5, 10)), "test": set(range(5))}
    for split, own in drawn.items():
        for sequence in own:
            names = [name.split("_") for name in sequence.name.split("+")]
            assert "".join(name[0] for name in names) == sequence.text
            assert {int(name[2]) for name in names} <= takes[split]
    again, _ = load(tiny("connected", sequences=30), "connected")
    assert [r.name for r in again["test"]] == [r.name for r in drawn["test"]]


def test_variations_move_bands_and_hide_some():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 2 * 10)).astype(np.float32)
    frames = features.reshape(120, 10)
    before, shifts, shares = features.copy(), set(), []
    for _ in range(200):
        found = vary(10, features, rng)
        assert (found.shape, found.dtype) == (features.shape, np.float32)
        own = found.reshape(120, 10)
        kept = own != 0
        fits = [
            s
            for s in range(-2, 3)
            if (own == frames[:, np.clip(np.arange(10) + s, 0, 9)])[kept].all()
        ]
        assert len(fits) == 1
        shifts.update(fits)
        bands, times = ~kept.any(axis=0), ~kept.any(axis=1)
        np.testing.assert_array_equal(kept, ~(bands[None] | times[:, None]))
        assert bands.sum() <= 6
        assert times.sum() <= 12
        shares.append(np.mean(~kept))
    assert shifts == {-2, -1, 0, 1, 2}
    assert 0.15 < np.mean(shares) < 0.4
    np.testing.assert_array_equal(features, before)


def test_the_network_learns_varied_examples_and_is_tested_on_plain_ones():
    task = speech(tiny())
    spoken, _ = load(tiny(), "isolated")
    _, splits, _ = listen(tiny(), spoken)
    batch = next(task.train_batches(Part()))
    plain = {features.tobytes() for features in splits["train"].inputs}
    drawn = [batch.inputs[:length, n] for n, length in enumerate(batch.lengths)]
    assert not plain & {np.ascontiguousarray(own).tobytes() for own in drawn}
    tested = [
        np.ascontiguousarray(batch.inputs[:length, n]).tobytes()
        for batch in task.eval_batches("test")
        for n, length in enumerate(batch.lengths)
        if length
    ]
    assert sorted(tested) == sorted(own.tobytes() for own in splits["test"].inputs)


def test_baselines_know_what_is_in_a_recording_but_not_in_which_order():
    """Chance is 10 %; who cannot tell a symbol from its reverse is right half the time."""
    (isolated,) = speech(tiny(takes=13)).baselines().values()
    assert 0.35 < isolated["accuracy"] < 0.75
    constant, pieces = speech(tiny("connected", sequences=100)).baselines().values()
    assert 60 < constant["label_error_rate"] <= 100
    assert pieces["label_error_rate"] < constant["label_error_rate"]


def test_the_constant_is_the_commonest_training_transcript():
    labels = [np.array(own, np.int32) for own in ([1, 2], [3], [1, 2], [4, 4, 4])]
    train = Split([np.zeros((5, 2))] * 4, labels)
    test = Split([np.zeros((5, 2))] * 2, [np.array([1, 3]), np.array([2, 2])])
    found = connected_baselines(train, test)
    assert found == {CONSTANT: {"label_error_rate": 50.0}}


def folder(directory, text="ab ba"):
    """Five recordings for training, and one each to validate and test."""
    rows = ["file,text,split"]
    for number, split in enumerate(["train"] * 5 + ["valid", "test"]):
        samples = np.random.default_rng(number).normal(0, 3000, 3000 + 100 * number)
        wavfile.write(directory / f"{number}.wav", 16000, samples.astype(np.int16))
        rows.append(f"{number}.wav,{text if split == 'train' else 'abc'},{split}")
    (directory / "transcripts.csv").write_text("\n".join(rows))
    return str(directory)


def test_a_folder_of_recordings_is_read_as_characters(tmp_path):
    config = tiny("connected", path=folder(tmp_path))
    spoken, facts = load(config, "connected")
    ears, splits, symbols = listen(config, spoken)
    assert symbols == [" ", "a", "b", "c"]
    assert splits["train"].labels[0].tolist() == [1, 2, 0, 2, 1]
    assert len(splits["test"].inputs[0]) == -(-3600 // 2 // 80) // 2 + 1
    rate, waveform = files.read_wav(tmp_path / "6.wav", "x")
    found = ears(mel.resample(waveform, rate, 8000))
    np.testing.assert_array_equal(found, splits["test"].inputs[0])
    assert facts["data"] == tmp_path.name
    transcripts = tmp_path / "transcripts.csv"
    transcripts.write_text(transcripts.read_text().replace("abc", "abb"))
    assert load(config, "connected")[1]["sha256"] != facts["sha256"]
    task, params = built(config)
    assert task.baselines()[CONSTANT]["label_error_rate"] == pytest.approx(200 / 3)  # ab ba, abb
    task.sample(params, jax.random.PRNGKey(1), tmp_path)
    assert "said abb, found" in (tmp_path / "samples.txt").read_text()


@pytest.mark.parametrize(("text", "needed"), [("a" * 6, 11), ("abcabcabcabcab", 14)])
def test_a_text_that_is_too_long_for_its_recording_is_refused(tmp_path, text, needed):
    """3000 samples at 16 kHz are 19 frames, 10 steps."""
    config = tiny("connected", path=folder(tmp_path, text))
    with pytest.raises(ConfigError) as raised:
        speech(config)
    what = f"its {len(text)} symbols need {needed} steps, it has 10 of them"
    assert str(raised.value) == f"config.task.path: {tmp_path / '0.wav'} is too short: {what}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"goal": "digits"}, "config.task.goal is 'digits', choose one of connected, isolated"),
        ({"data": "fsd"}, "config.task.data is 'fsd', choose one of fsdd, tones; did you mean"),
        ({"speaker": "theo"}, "config.task.speaker is 'theo', choose one of voice0, voice1"),
        (
            {"path": "there"},
            "config.task.path is 'there', which goes with the goal 'connected' alone",
        ),
        ({"path": "there", "goal": "connected"}, "config.task.path: there has no transcripts.csv"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError) as raised:
        speech(tiny(**changes))
    assert str(raised.value).startswith(message)


def test_a_speaker_who_is_left_out_is_the_only_one_that_is_tested():
    spoken, _ = load(tiny(speaker="voice2"), "isolated")
    assert {r.speaker for r in spoken["test"]} == {"voice2"}
    assert "voice2" not in {r.speaker for split in ("train", "valid") for r in spoken[split]}


@pytest.mark.parametrize("goal", GOALS)
def test_samples_say_what_was_said_and_what_was_found(goal, tmp_path, capsys):
    task, params = built(tiny(goal, sequences=30))
    task.sample(params, jax.random.PRNGKey(2), tmp_path)
    text = (tmp_path / "samples.txt").read_text()
    assert text in capsys.readouterr().out
    assert text.count("said ") == text.count(", found ") == (8 if goal == "isolated" else 3)
    assert text.count(" sure)") == (8 if goal == "isolated" else 0)
    assert (tmp_path / "spectrograms.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("goal", GOALS)
def test_a_recording_of_the_users_is_heard(goal, tmp_path):
    task, params = built(tiny(goal))
    recording = tones.recordings(11, 8000)[0]
    wavfile.write(tmp_path / "mine.wav", 8000, recording.waveform)
    task.sample(params, jax.random.PRNGKey(2), tmp_path, prompt=str(tmp_path / "mine.wav"))
    text = (tmp_path / "samples.txt").read_text()
    assert text.startswith("found ")
    assert "said" not in text
    (tmp_path / "mine.wav").write_bytes(b"RIFF")
    with pytest.raises(ConfigError, match=r"--prompt: .*mine\.wav is no whole PCM or float WAV"):
        task.sample(params, jax.random.PRNGKey(2), tmp_path, prompt=str(tmp_path / "mine.wav"))
    with pytest.raises(ConfigError, match="--prompt: . cannot be read"):
        task.sample(params, jax.random.PRNGKey(2), tmp_path, prompt="")
