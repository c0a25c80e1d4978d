"""Speech: what is said, what is heard, and recordings that a user brings."""

import sys

import jax
import numpy as np
import pytest
from scipy.io import wavfile

from configs import speech as speech_config
from experiments.config import ConfigError, resolve
from experiments.data import files
from experiments.mesh import Part
from experiments.perception import ctc, mel, recordings, segmentation, tones
from experiments.perception.examples import Split
from experiments.perception.transcriber import Transcript
from experiments.tasks.speech import (
    CONSTANT,
    GOALS,
    ORDERED,
    SEGMENTS,
    UNORDERED,
    connected_baselines,
    extract_features,
    isolated_baselines,
    load,
    sample_connected,
    sample_isolated,
    spec_augment,
    speech,
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
    extract, splits, symbols = extract_features(config, spoken)
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
    spectrogram = extract.spectrogram(splits["train"].inputs[0])
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
    texts = [tuple(r.text for r in own[:3]) for own in drawn.values()]
    assert len(set(texts)) == 3


def test_few_sequences_leave_one_to_validate_and_one_to_test_with():
    spoken, _ = load(tiny("connected", sequences=5), "connected")
    assert [len(list(own)) for own in spoken.values()] == [5, 1, 1]


def test_everything_is_made_or_read_at_the_rate_that_is_asked_for(tmp_path, monkeypatch):
    made = tones.recordings(11, 16000)
    spoken, _ = load(tiny(rate=16000), "isolated")
    np.testing.assert_array_equal(spoken["train"][0].waveform, made[10].waveform)
    spoken, _ = load(tiny("connected", rate=16000), "connected")
    learnt = recordings.divide(made, None)["train"]
    expected = next(iter(recordings.sequences(learnt, 1, 1, 16000)))
    np.testing.assert_array_equal(next(iter(spoken["train"])).waveform, expected.waveform)
    spoken, _ = load(tiny("connected", rate=16000, path=folder(tmp_path)), "connected")
    assert len(spoken["train"][0].waveform) == 3000
    monkeypatch.setattr(recordings, "load_fsdd", lambda *given: [made[0]._replace(name=str(given))])
    config = tiny(rate=16000, data="fsdd")
    with config.unlocked():
        config.data_dir = "there"
    spoken, facts = load(config, "isolated")
    assert spoken["test"][0].name == "(16000, 'there')"
    assert facts == {"data": "fsdd", "generated": False}
    extract, splits, _ = extract_features(tiny(rate=16000), dict.fromkeys(spoken, made[:1]))
    assert extract.rate == 16000
    assert len(splits["test"].inputs[0]) == -(-len(made[0].waveform) // 320)


def test_variations_move_bands_and_hide_some():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 2 * 10)).astype(np.float32)
    frames = features.reshape(120, 10)
    before, shifts, shares, most = features.copy(), set(), [], (0, 0)
    for _ in range(200):
        found = spec_augment(10, features, rng)
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
        most = np.maximum(most, (bands.sum(), times.sum()))
        shares.append(np.mean(~kept))
    assert shifts == {-2, -1, 0, 1, 2}
    assert most[0] == 6 < most[1] <= 12  # of two seconds
    assert 0.15 < np.mean(shares) < 0.4
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize("goal", GOALS)
def test_the_network_learns_varied_examples_and_is_tested_on_plain_ones(goal):
    task = speech(tiny(goal))
    spoken, _ = load(tiny(goal), goal)
    _, splits, _ = extract_features(tiny(goal), spoken)
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


def test_the_baselines_of_tones_need_the_order():
    """Chance is 10 %; who cannot tell a symbol from its reverse is right half the time."""
    isolated = speech(tiny(takes=13)).baselines()
    assert 0.35 < isolated[UNORDERED]["accuracy"] < 0.75
    assert isolated[ORDERED]["accuracy"] > isolated[UNORDERED]["accuracy"] + 0.2
    connected = speech(tiny("connected", sequences=100)).baselines()
    assert 60 < connected[CONSTANT]["label_error_rate"] <= 100
    assert connected[SEGMENTS]["label_error_rate"] < 0.7 * connected[CONSTANT]["label_error_rate"]


def test_the_constant_is_the_commonest_transcript_that_may_be_learnt_from():
    labels = [np.array(own, np.int32) for own in ([1, 2], [3], [3], [4, 4, 4], [1, 2], [1, 2])]
    train, valid = (Split([np.zeros((5, 2))] * len(own), own) for own in (labels[:4], labels[4:]))
    test = Split([np.zeros((5, 2))] * 2, [np.array([1, 3]), np.array([2, 2])])
    found = connected_baselines({"train": train, "valid": valid, "test": test})
    assert found == {CONSTANT: {"label_error_rate": 50.0}}


@pytest.mark.parametrize("missing", ["train", "valid"])
def test_baselines_learn_from_training_and_validation(missing):
    """A label that one of them lacks is found nevertheless."""
    rng = np.random.default_rng(1)

    def draw(classes):
        labels = [np.array([k], np.int32) for k in classes for _ in range(12)]
        return Split([rng.normal(4 * own, 1, (9, 2)) for own in labels], labels)

    splits = {name: draw((0, 1) if name == missing else (0, 1, 2)) for name in ("train", "valid")}
    splits["test"] = draw((0, 1, 2))
    for found in isolated_baselines(splits).values():
        np.testing.assert_array_equal(found, np.concatenate(splits["test"].labels))


def test_segments_are_learnt_from_both_and_cut_as_validation_says(monkeypatch):
    rng, given = np.random.default_rng(2), []
    splits = {
        name: Split([rng.normal(size=(9, 2))], [np.array([1], np.int32)])
        for name in ("train", "valid", "test")
    }

    def transcribe(train, valid, inputs):
        given.append((train, valid, inputs))
        return [np.array([1, 1])]

    monkeypatch.setattr(segmentation, "transcribe", transcribe)
    assert connected_baselines(splits)[SEGMENTS] == {"label_error_rate": 100.0}
    assert given == [(splits["train"], splits["valid"], splits["test"].inputs)]


def folder(directory, text="ab ba"):
    """Five recordings for training, and one each to validate and test."""
    rows = ["file,text,split"]
    for number, split in enumerate(["train"] * 5 + ["valid", "test"]):
        samples = np.random.default_rng(number).normal(0, 3000, 3000 + 100 * number)
        wavfile.write(directory / f"{number}.wav", 16000, samples.astype(np.int16))
        rows.append(f"{number}.wav,{text if split == 'train' else 'abc'},{split}")
    (directory / "transcripts.csv").write_text("\n".join(rows))
    return str(directory)


def test_a_folder_has_a_name_wherever_one_stands(tmp_path, monkeypatch):
    folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load(tiny("connected", path="."), "connected")[1] == {"data": tmp_path.name}


def test_a_folder_of_recordings_is_read_as_characters(tmp_path):
    config = tiny("connected", path=folder(tmp_path))
    spoken, facts = load(config, "connected")
    extract, splits, symbols = extract_features(config, spoken)
    assert symbols == [" ", "a", "b", "c"]
    assert splits["train"].labels[0].tolist() == [1, 2, 0, 2, 1]
    assert len(splits["test"].inputs[0]) == -(-3600 // 2 // 80) // 2 + 1
    rate, waveform = files.read_wav(tmp_path / "6.wav", "x")
    found = extract(mel.convert_rate(waveform, rate, 8000))
    np.testing.assert_array_equal(found, splits["test"].inputs[0])
    assert facts == {"data": tmp_path.name}
    transcripts, before = tmp_path / "transcripts.csv", speech(config).facts["sha256"]
    transcripts.write_text(transcripts.read_text().replace("abc", "abb"))
    assert speech(config).facts["sha256"] != before
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


@pytest.mark.parametrize("text", ["aaaaab", "abcabcabca"])
def test_the_longest_text_that_a_recording_can_say_is_read(tmp_path, text):
    """Of 10 steps: with blanks between equal neighbours, and without."""
    task, params = built(tiny("connected", path=folder(tmp_path, text)))
    loss, _ = task.loss(params, (), next(task.train_batches(Part())), None)
    assert loss < 1e3


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
        (
            {"path": "there", "goal": "connected", "speaker": "theo"},
            "config.task.speaker is 'theo', but the folder config.task.path names none; name the",
        ),
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


@pytest.fixture
def plotted(monkeypatch):
    """What is handed to the plot."""
    given = []
    module = sys.modules[speech.__module__]
    monkeypatch.setattr(module, "plot_recognized", lambda *own: given.append(own))
    return given


def heard_at_16_khz():
    """What extracts features, three recordings that say 0, and the symbols 0 and 1."""
    made = [r for r in tones.recordings(11, 16000) if r.take == 10]
    zeros = [r for r in made if r.text == "0"]
    spoken = {"train": made[:12], "valid": zeros[:1], "test": zeros[:3]}
    extract, splits, symbols = extract_features(tiny(rate=16000), spoken)
    return extract, splits["test"], symbols


def test_isolated_samples_show_what_is_likeliest_and_whether_that_is_right(tmp_path, plotted):
    extract, test, symbols = heard_at_16_khz()
    odds, key = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), jax.random.PRNGKey(0)
    sample_isolated(extract, test, symbols, lambda *_: odds, None, key, tmp_path)
    ((path, items, rate),) = plotted
    assert (path, rate) == (tmp_path / "spectrograms.png", 16000)
    assert [(item.title, item.right) for item in items] == [
        ("said 0, found 0 (90% sure)", True),
        ("said 0, found 1 (80% sure)", False),
        ("said 0, found 0 (60% sure)", True),
    ]
    shown = {item.frames.tobytes() for item in items}
    assert shown == {extract.spectrogram(features).tobytes() for features in test.inputs}


def test_samples_are_some_recordings_that_the_key_chooses(tmp_path, plotted):
    extract, test, symbols = heard_at_16_khz()
    many = Split([test.inputs[0] + n for n in range(40)], [np.array([n % 2]) for n in range(40)])
    for seed in (0, 1, 0):
        key, odds = jax.random.PRNGKey(seed), np.ones((8, 2)) / 2
        sample_isolated(extract, many, symbols, lambda *_, o=odds: o, None, key, tmp_path)
    first, other, again = (tuple(i.frames.tobytes() for i in items) for _, items, _ in plotted)
    assert first == again
    assert len(set(first)) == len(set(other)) == 8 < len(set(first + other))


def test_connected_samples_show_where_each_symbol_is(tmp_path, plotted):
    extract, test, symbols = heard_at_16_khz()
    outputs = np.eye(3)[[[0, 1, 1, 0, 2], [0, 0, 0, 1, 0], [2, 2, 0, 2, 0]]]
    log_probs = np.log(0.8 * outputs + 0.1)
    said = [Transcript(ctc.greedy(own), own) for own in log_probs]
    sample_connected(extract, test, symbols, lambda *_: said, None, jax.random.PRNGKey(0), tmp_path)
    ((_, items, rate),) = plotted
    assert rate == 16000
    assert [(item.title, item.right, item.path) for item in items] == [
        ("said 0, found 01", False, ["", "0", "0", "", "1"]),
        ("said 0, found 0", True, ["", "", "", "0", ""]),
        ("said 0, found 11", False, ["1", "1", "", "1", ""]),
    ]


def test_a_recording_of_the_users_is_converted_to_the_rate(tmp_path, plotted):
    extract, test, symbols = heard_at_16_khz()
    waveform = tones.recordings(11, 16000)[0].waveform
    wavfile.write(tmp_path / "mine.wav", 16000, waveform)
    given = []

    def predict(params, inputs):
        given.extend(inputs)
        return np.array([[0.7, 0.3]])

    prompt, key = str(tmp_path / "mine.wav"), jax.random.PRNGKey(0)
    sample_isolated(extract, test, symbols, predict, None, key, tmp_path, prompt)
    np.testing.assert_array_equal(given, [extract(waveform)])
    ((_, (item,), _),) = plotted
    assert (item.title, item.right) == ("found 0 (70% sure)", None)


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
