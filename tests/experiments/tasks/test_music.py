"""Polyphonic music: the protocol of the likelihood, training, facts, samples."""

import json

import jax
import jax.numpy as jnp
import mido
import numpy as np
import pytest
import scipy.io

from configs import music as music_config
from experiments.config import ConfigError, resolve
from experiments.mesh import Part
from experiments.music.baselines import marginal_rates, nll
from experiments.music.examples import Batches
from experiments.music.midi import read_midi, write_midi
from experiments.music.rolls import load
from experiments.tasks.music import music
from experiments.training.step import init_state, make_evaluate, make_train_step
from tests.experiments.music.pieces import NOTES, random_cells


@pytest.fixture
def path(tmp_path):
    scipy.io.savemat(tmp_path / "pieces.mat", random_cells())
    return tmp_path / "pieces.mat"


@pytest.fixture
def config(path):
    config = music_config.get_config()
    config.mode = "tiny"
    return resolve(config, {"task.path": str(path), "task.buckets": 2}).unlock()


def nll_by_hand(task, params, piece):
    """One piece without padding, in float64: summed NLL of its frames after the first."""
    frames = jnp.asarray(piece, jnp.float32)[:, None]
    logits = np.asarray(task.model.apply(params, frames[:-1])[1][:, 0], np.float64)
    rates = 1 / (1 + np.exp(-logits))
    return -np.log(np.where(piece[1:], rates, 1 - rates)).sum()


@pytest.mark.parametrize("batch_size", [2, 4, 16])
def test_the_reported_nll_is_that_of_every_frame_but_the_first(config, path, batch_size):
    config.train.batch_size = batch_size
    task = music(config)
    params = jax.tree.map(lambda p: 2 * p, task.init(jax.random.PRNGKey(3)))
    pieces = load(path).pieces["test"]
    total = sum(nll_by_hand(task, params, piece) for piece in pieces)
    everyone = jax.tree.map(lambda p: p[None], params)
    reported = make_evaluate(task, config)(everyone, "test")[0]["nll"]
    assert reported == pytest.approx(total / sum(len(piece) - 1 for piece in pieces), rel=1e-5)


def test_padding_has_no_influence_on_the_gradient(config, path):
    task = music(config)
    params = task.init(jax.random.PRNGKey(3))
    batch = Batches(config, load(path).pieces).evaluation("valid")[0]
    assert 0 in batch.lengths
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


def test_the_facts_are_those_of_the_file(config, path):
    facts, pieces = music(config).facts, load(path)
    assert facts["sha256"] == pieces.facts["sha256"]
    assert facts["test_frames"] == sum(len(piece) - 1 for piece in pieces.pieces["test"])
    assert facts["train_pieces"] == 11
    assert json.loads(json.dumps(facts)) == facts


def test_training_beats_what_has_no_memory(config, path):
    """Chords take turns, but for random ones between them: the last frame but one counts."""
    config.cell.hidden_size = 24
    config.optimizer.learning_rate = 0.01
    config.train.steps = 60
    task = music(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    step = make_train_step(task, config)
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    reached = make_evaluate(task, config)(state.params, "test")[0]["nll"]
    pieces, known = load(path).pieces, task.baselines()
    rates = marginal_rates(pieces["train"] + pieces["valid"])
    assert known["each note's rate"] == {"nll": nll(rates, pieces["test"])}
    for values in known.values():
        assert reached < 0.9 * values["nll"]


def test_what_has_not_learnt_yet_has_the_notes_rates_as_odds(config, path):
    """With a silent network the first NLL is that of the rates."""
    task, pieces = music(config), load(path).pieces
    params = task.init(jax.random.PRNGKey(0))
    params["params"]["Dense_0"]["kernel"] *= 0
    everyone = jax.tree.map(lambda p: p[None], params)
    first = make_evaluate(task, config)(everyone, "test")[0]["nll"]
    rates = marginal_rates(pieces["train"])
    assert first == pytest.approx(nll(rates, pieces["test"]), rel=1e-2)


@pytest.mark.parametrize(
    ("recipe", "grid", "transpose"),
    [("quarters", 1, 0), ("sixteenths", 4, 0), ("transposed", 1, 5)],
)
def test_recipes_differ_in_the_grid_and_the_transposition(recipe, grid, transpose):
    task = music_config.get_config(recipe).task
    assert (task.grid, task.transpose) == (grid, transpose)
    with pytest.raises(ValueError, match="there is no recipe 'eighths', choose one of quarters"):
        music_config.get_config("eighths")


def test_data_that_there_are_not_are_refused(config):
    config.task.data = "jsb61"
    with pytest.raises(ConfigError, match="config.task.data is 'jsb61', choose one of jsb, jsb16"):
        music(config)


def sample(config, directory, **options):
    """The directory, with what a task with random parameters writes."""
    task = music(config)
    directory.mkdir(exist_ok=True)
    params = task.init(jax.random.PRNGKey(0))
    task.sample(params, jax.random.PRNGKey(4), directory, **options)
    return directory


def rolls(directory, grid=1):
    """The piano rolls that are in a directory, by the names of their files."""
    return {p.stem: read_midi(p, "", grid).roll for p in directory.glob("*.mid")}


def test_sampling_writes_music_that_opens_like_a_test_piece(config, path, tmp_path, capsys):
    config.task.grid = 4
    written = sample(config, tmp_path / "a", length=12, temperature=0.5)
    names = [line.rsplit("/", 1)[-1] for line in capsys.readouterr().out.splitlines()]
    assert names == ["sample.mid", "original.mid", "sample.png"]
    assert (written / "sample.png").read_bytes().startswith(b"\x89PNG")
    found = rolls(written, 4)
    assert len(found["sample"]) == 12
    np.testing.assert_array_equal(found["sample"][:6], found["original"][:6])
    assert found["original"][:, :NOTES].tolist() in [
        piece[:12].tolist() for piece in load(path).pieces["test"]
    ]
    seconds = mido.MidiFile(written / "sample.mid").length
    assert seconds == pytest.approx(12 / 4 * 60 / 90, rel=1e-4)


def test_sampling_goes_on_from_all_frames_of_a_midi_file(config, tmp_path, capsys):
    opening = np.pad(random_cells(3)["testdata"][0, 0], ((0, 0), (0, 88 - NOTES)))
    write_midi(tmp_path / "opening.mid", opening)
    prompt = str(tmp_path / "opening.mid")
    sample(config, tmp_path / "a", length=4)
    written = sample(config, tmp_path / "a", prompt=prompt, length=len(opening) + 9)
    assert sorted(p.name for p in written.iterdir()) == ["sample.mid", "sample.png"]
    found = rolls(written)["sample"]
    assert len(found) == len(opening) + 9
    np.testing.assert_array_equal(found[: len(opening)], opening)
    assert found[len(opening) :].any()
    assert len(rolls(sample(config, tmp_path / "b", prompt=prompt))["sample"]) == len(opening) + 64
    with pytest.raises(ConfigError, match=r"--length is 3, .* frames of opening.mid too"):
        sample(config, tmp_path / "c", prompt=prompt, length=3)


def test_options_of_samples_out_of_range_are_refused(config, tmp_path):
    for options, message in [
        ({"length": 0}, "--length is 0, it must be from 1 to 20000 frames"),
        ({"length": 10**9}, "--length is 1000000000, it must be from 1 to 20000 frames"),
        ({"temperature": 0.0}, "--temperature is 0, it must be above 0"),
        ({"temperature": float("inf")}, "--temperature is inf, it must be above 0"),
        ({"prompt": str(tmp_path / "absent.mid")}, "^--prompt: .*absent.mid cannot be read"),
    ]:
        with pytest.raises(ConfigError, match=message):
            sample(config, tmp_path / message[:9].strip("^-: "), **options)
    high = np.zeros((3, 88), np.uint8)
    high[:, NOTES] = 1
    write_midi(tmp_path / "high.mid", high)
    with pytest.raises(ConfigError, match=r"^--prompt: .*high.mid has notes above the 8 that the"):
        sample(config, tmp_path / "x", prompt=str(tmp_path / "high.mid"))
