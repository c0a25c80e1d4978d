"""Polyphonic music: loading, padding, the protocol of the likelihood, composing, MIDI."""

import json
import os

import jax
import jax.numpy as jnp
import mido
import numpy as np
import pytest
import scipy.io

from configs import music as music_config
from experiments import midi
from experiments.config import ConfigError, resolve
from experiments.data import downloads
from experiments.mesh import Part
from experiments.tasks.music import compose, load, marginal_nll, music, pad
from experiments.training.step import init_state, make_evaluate, make_train_step

SIZES = {"traindata": 11, "validdata": 5, "testdata": 6}
NOTES = 8


def random_pieces(seed=0):
    """Pieces in which the chord of one of two keys alternates with a random one."""
    random = np.random.default_rng(seed)
    cells = {}
    for name, size in SIZES.items():
        pieces = np.empty((1, size), object)
        for number in range(size):
            piece = (random.random((random.integers(5, 30), NOTES)) < 0.3).astype(np.uint8)
            piece[::2] = [[1, 0, 1, 0, 1, 0, 0, 0], [0, 1, 0, 1, 0, 1, 0, 0]][number % 2]
            pieces[0, number] = piece
        cells[name] = pieces
    return cells


@pytest.fixture
def path(tmp_path):
    scipy.io.savemat(tmp_path / "pieces.mat", random_pieces())
    return tmp_path / "pieces.mat"


@pytest.fixture
def config(path):
    config = music_config.get_config()
    config.mode = "tiny"
    return resolve(config, {"task.path": str(path)}).unlock()


def nll_by_hand(task, params, piece):
    """One piece without padding, in float64: summed NLL of its frames after the first."""
    frames = jnp.asarray(piece, jnp.float32)[:, None]
    logits = np.asarray(task.model.apply(params, frames[:-1])[1][:, 0], np.float64)
    rates = 1 / (1 + np.exp(-logits))
    return -np.log(np.where(piece[1:], rates, 1 - rates)).sum()


def test_a_files_pieces_are_read_as_they_are(path):
    pieces = load(path)
    for split, name in [("train", "traindata"), ("valid", "validdata"), ("test", "testdata")]:
        assert len(pieces[split]) == SIZES[name]
        for piece, original in zip(pieces[split], random_pieces()[name][0], strict=True):
            np.testing.assert_array_equal(piece, original)


def put(name, value):
    """Puts a value into a place of some pieces."""

    def damage(cells):
        cells[name][0, 2] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda cells: cells.pop("testdata"), "has no pieces testdata; give it the cells traind"),
        (lambda cells: cells.update(testdata=np.eye(3)), "has no pieces testdata"),
        (lambda cells: cells.update(traindata=np.empty((1, 0), object)), "has no pieces traindata"),
        (put("validdata", np.full((4, NOTES), 2)), r"validdata\[2\] holds more than zeros"),
        (put("traindata", np.full((4, NOTES), np.nan)), r"traindata\[2\] holds more than zeros"),
        (put("traindata", np.eye(NOTES) / 2), r"traindata\[2\] holds more than zeros and ones"),
        (put("testdata", np.ones((4, 3))), r"testdata\[2\] has the shape \(4, 3\), it must"),
        (put("testdata", np.ones((1, NOTES))), r"testdata\[2\] has the shape \(1, 8\)"),
        (put("testdata", np.ones((0, NOTES))), r"testdata\[2\] has the shape \(0, 8\)"),
        (put("traindata", np.ones((2, 3, NOTES))), r"traindata\[2\] has the shape \(2, 3, 8\)"),
        (put("validdata", "do re mi"), r"MATLAB file .*\(a cell holds something else than real"),
        (put("validdata", 1j * np.ones((4, NOTES))), "something else than real numbers"),
        (put("validdata", {"notes": 1.0}), "something else than real numbers"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, damage, message):
    cells = random_pieces()
    damage(cells)
    scipy.io.savemat(tmp_path / "damaged.mat", cells)
    with pytest.raises(ConfigError, match=rf"config.task.path: .*d.mat .*{message}") as raised:
        load(tmp_path / "damaged.mat")
    assert str(raised.value).count("config.task.path") == 1


def test_pieces_without_notes_are_refused(tmp_path):
    cells = {name: np.empty((1, 1), object) for name in SIZES}
    for name in SIZES:
        cells[name][0, 0] = np.ones((4, 0))
    scipy.io.savemat(tmp_path / "silent.mat", cells)
    with pytest.raises(ConfigError, match=r"traindata\[0\] has the shape \(4, 0\)"):
        load(tmp_path / "silent.mat")


def test_files_that_are_no_matlab_files_are_refused(tmp_path, path):
    whole = path.read_bytes()
    for content, message in [
        (b"do re mi " * 50, "is no whole MATLAB file of version 5 to 7.2"),
        (whole[: len(whole) // 2], "is no whole MATLAB file of version 5 to 7.2"),
        (b"", "is empty"),
    ]:
        (tmp_path / "notes").write_bytes(content)
        with pytest.raises(ConfigError, match=f"config.task.path: .*notes {message}"):
            load(tmp_path / "notes")
    with pytest.raises(ConfigError, match=r"absent cannot be read \(No such file"):
        load(tmp_path / "absent")


def test_the_chorales_are_read_whole():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    pieces = load(downloads.locate(downloads.JSB_CHORALES))
    assert {split: len(found) for split, found in pieces.items()} == {
        "train": 229,
        "valid": 76,
        "test": 77,
    }
    frames = {split: sum(len(piece) - 1 for piece in found) for split, found in pieces.items()}
    assert frames == {"train": 13578, "valid": 4526, "test": 4648}
    assert marginal_nll(pieces, "test") == pytest.approx(11.09, abs=0.005)


def test_padding_fills_up_with_silence_and_empty_pieces():
    pieces = random_pieces()["testdata"][0]
    batch = pad(pieces, size=8)
    assert batch.roll.shape == (65, 8, NOTES)
    assert batch.lengths.tolist() == [len(piece) for piece in pieces] + [0, 0]
    for column, piece in enumerate(pieces):
        np.testing.assert_array_equal(batch.roll[: len(piece), column], piece)
        assert batch.roll[len(piece) :, column].sum() == 0
    assert pad([np.ones((65, 2))]).roll.shape[0] == 65
    assert pad([np.ones((66, 2))]).roll.shape[0] == 129


@pytest.mark.parametrize("batch_size", [2, 4, 16])
def test_the_reported_nll_is_that_of_every_frame_but_the_first(config, path, batch_size):
    config.train.batch_size = batch_size
    task = music(config)
    params = jax.tree.map(lambda p: 2 * p, task.init(jax.random.PRNGKey(3)))
    pieces = load(path)["test"]
    total = sum(nll_by_hand(task, params, piece) for piece in pieces)
    everyone = jax.tree.map(lambda p: p[None], params)
    reported = make_evaluate(task, config)(everyone, "test")[0]["nll"]
    assert reported == pytest.approx(total / sum(len(piece) - 1 for piece in pieces), rel=1e-5)


def test_padding_has_no_influence_on_the_gradient(config, path):
    task = music(config)
    params = task.init(jax.random.PRNGKey(3))
    batch = pad(load(path)["valid"], size=8)
    noise = batch._replace(roll=batch.roll.copy())
    for column, length in enumerate(batch.lengths):
        noise.roll[length:, column] = 1.0
    gradient = jax.jit(jax.grad(lambda p, b: task.loss(p, (), b, None)[0]))
    for a, b in zip(
        jax.tree.leaves(gradient(params, batch)),
        jax.tree.leaves(gradient(params, noise)),
        strict=True,
    ):
        assert np.abs(a).max() > 0
        np.testing.assert_array_equal(a, b)


def test_every_training_piece_comes_once_an_epoch_in_another_order(config):
    config.train.batch_size = 4
    batches = music(config).train_batches(Part())
    lengths = [length for _ in range(11) for length in next(batches).lengths.tolist()]
    epochs = [lengths[i : i + 11] for i in range(0, 44, 11)]
    expected = sorted(len(piece) for piece in random_pieces()["traindata"][0])
    assert all(sorted(epoch) == expected for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    again = music(config).train_batches(Part())
    again.set_state(json.loads(json.dumps(music(config).train_batches(Part()).get_state())))
    assert next(again).lengths.tolist() == lengths[:4]


def test_the_facts_have_the_marginal_baseline(config, path):
    facts = music(config).facts
    pieces = load(path)
    rates = np.concatenate(pieces["train"]).mean(axis=0).clip(1e-6, 1 - 1e-6)
    frames = np.concatenate([piece[1:] for piece in pieces["test"]])
    nats = -(frames * np.log(rates) + (1 - frames) * np.log(1 - rates))
    assert facts["marginal_test_nll"] == pytest.approx(nats.sum() / len(frames))
    assert facts["test_frames"] == len(frames)
    assert facts["train_pieces"] == 11
    assert json.loads(json.dumps(facts)) == facts


def test_training_beats_the_marginal_rates(config, path):
    config.cell.hidden_size = 24
    config.optimizer.learning_rate = 0.01
    config.train.steps = 60
    task = music(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    step = make_train_step(task, config)
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    reached = make_evaluate(task, config)(state.params, "test")[0]["nll"]
    assert reached < 0.75 * marginal_nll(load(path), "test")


def test_composing_is_the_model_read_step_by_step(config):
    """At a temperature near zero a note sounds exactly if its logit is positive."""
    task = music(config)
    params = jax.tree.map(lambda p: 4 * p, task.init(jax.random.PRNGKey(5)))
    opening = np.array([1, 0, 1, 0, 0, 0, 0, 1], np.uint8)
    roll = np.asarray(compose(task.model, params, jax.random.PRNGKey(0), opening, 10, 1e-6))
    np.testing.assert_array_equal(roll[0], opening)
    logits = task.model.apply(params, roll[:, None])[1][:, 0]
    np.testing.assert_array_equal(roll[1:], logits[:-1] > 0)
    assert 0 < roll.mean() < 1


def test_composing_draws_every_note_by_its_rate(config):
    task = music(config)
    params = jax.tree.map(jnp.zeros_like, task.init(jax.random.PRNGKey(5)))
    bias = np.linspace(-2, 2, NOTES)
    params["params"]["Dense_0"]["bias"] = jnp.asarray(bias, jnp.float32)
    key = jax.random.PRNGKey(1)
    for temperature in (1.0, 2.0):
        roll = np.asarray(compose(task.model, params, key, np.zeros(NOTES), 8001, temperature))
        rates = 1 / (1 + np.exp(-bias / temperature))
        np.testing.assert_allclose(roll[1:].mean(axis=0), rates, atol=0.03)


def read_midi(path):
    """A MIDI file's notes as (number, start, end) in quarter notes, and its quarters a minute."""
    file = mido.MidiFile(path)
    (track,) = file.tracks
    now, sounding, found, tempo = 0, {}, [], None
    for message in track:
        now += message.time
        if message.type == "set_tempo":
            tempo = mido.tempo2bpm(message.tempo)
        elif message.type == "note_on":
            assert message.note not in sounding
            sounding[message.note] = now / file.ticks_per_beat
        elif message.type == "note_off":
            found.append((message.note, sounding.pop(message.note), now / file.ticks_per_beat))
    assert not sounding
    return sorted(found), tempo, now / file.ticks_per_beat


def test_midi_holds_tied_notes_and_restarts_others(tmp_path):
    roll = np.zeros((6, 88), np.uint8)
    roll[0:3, 39] = 1  # middle C, held over three quarters
    roll[3, 40] = 1
    roll[[1, 3], 43] = 1  # struck twice
    roll[4, 0] = roll[4, 87] = 1  # the lowest and the highest key; then silence
    midi.write_midi(tmp_path / "x.mid", roll, tempo=72)
    found, tempo, end = read_midi(tmp_path / "x.mid")
    assert found == [(21, 4, 5), (60, 0, 3), (61, 3, 4), (64, 1, 2), (64, 3, 4), (108, 4, 5)]
    assert tempo == pytest.approx(72, rel=1e-4)
    assert end == 6
    assert mido.MidiFile(tmp_path / "x.mid").length == pytest.approx(6 * 60 / 72, rel=1e-4)


def test_a_random_roll_survives_midi(tmp_path):
    roll = np.random.default_rng(2).random((40, 88)) < 0.4
    midi.write_midi(tmp_path / "x.mid", roll)
    read = np.zeros_like(roll)
    for pitch, start, end in read_midi(tmp_path / "x.mid")[0]:
        assert not read[int(start) : int(end), pitch - midi.LOWEST].any()
        read[int(start) : int(end), pitch - midi.LOWEST] = True
    np.testing.assert_array_equal(read, roll)


def test_sampling_writes_music_and_its_picture(config, path, tmp_path, capsys):
    task = music(config)
    params = task.init(jax.random.PRNGKey(0))
    task.sample(params, jax.random.PRNGKey(4), tmp_path, length=12, temperature=0.5)
    names = [line.rsplit("/", 1)[-1] for line in capsys.readouterr().out.splitlines()]
    assert names == ["sample.mid", "original.mid", "sample.png"]
    assert (tmp_path / "sample.png").read_bytes().startswith(b"\x89PNG")
    sampled, original = (read_midi(tmp_path / f"{name}.mid") for name in ("sample", "original"))
    assert sampled[2] == 12
    opening = {pitch for pitch, start, _ in sampled[0] if start == 0}
    assert opening == {pitch for pitch, start, _ in original[0] if start == 0}
    assert opening
    with pytest.raises(ConfigError, match="--temperature is 0, it must be above 0"):
        task.sample(params, jax.random.PRNGKey(4), tmp_path, temperature=0.0)
