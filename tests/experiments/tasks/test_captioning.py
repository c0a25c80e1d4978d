"""Captioning: its data, what simple models reach, what is drawn, scenes and features to the end."""

import importlib
import json

import numpy as np
import pytest
from PIL import Image

from configs import captioning as captioning_config
from experiments.config import ConfigError, resolve
from experiments.language import nlvr, scores
from experiments.language.pictures import Captioned
from experiments.language.scenes import Scene, scene
from experiments.language.vocabulary import build
from experiments.sample import sample
from experiments.tasks.captioning import FeatureEncoder, Pictures, captioning
from experiments.training.loop import fit

tasks = importlib.import_module("experiments.tasks.captioning")  # the module, not its task
COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


def make_config(**changes):
    config = captioning_config.get_config()
    config.mode = "tiny"
    return resolve(config, {"task.pictures": 12, "train.checkpoint_every": 3, **changes}).unlock()


def plain(names):
    """Pictures of one colour each, and its name in a sentence."""
    noise = np.random.default_rng(0).integers(0, 40, (len(names), 16, 16, 3))
    images = np.stack([np.full((16, 16, 3), COLORS[name]) for name in names]) + noise
    return Pictures(images.astype(np.uint8), [f"it is all {name} here" for name in names])


def write_features(path, counts=(24, 5, 6)):
    """Three cells of features; the colour that a caption names marks one of the first two."""
    rng, arrays = np.random.default_rng(1), {}
    for split, count in zip(("train", "valid", "test"), counts, strict=True):
        names = rng.choice(list(COLORS), count)
        features = np.zeros((count, 3, len(COLORS)))
        places = [list(COLORS).index(name) for name in names]
        features[np.arange(count), rng.integers(0, 2, count), places] = 1
        arrays |= {
            f"{split}_features": features,
            f"{split}_captions": np.array([f"it is {name}, so  I say." for name in names]),
        }
    np.savez(path, **arrays)
    return path


def run(config, workdir):
    """Trains and samples; the results and the sample's text."""
    workdir.mkdir(exist_ok=True)
    (workdir / "config.json").write_text(json.dumps(config.to_dict()))
    results = fit(captioning(config), config, workdir)
    sample(config, workdir)
    return results, (workdir / "samples" / "samples.txt").read_text()


@pytest.mark.parametrize(
    ("cell", "attention"),
    [("min_gru", "luong"), pytest.param("lstm", "bahdanau", marks=pytest.mark.slow)],
)
def test_scenes_from_training_to_pictures(cell, attention, tmp_path):
    config = make_config(**{"cell.name": cell, "task.attention": attention})
    results, text = run(config, tmp_path / "run")
    test = {name: value["mean"] for name, value in results["test"].items()}
    assert results["headline"] == "exact_match"
    assert 0 <= test["exact_match"] <= test["bleu"] + 1e-6 <= 100
    assert set(results["baselines"]) == {
        "the commonest training caption",
        "the nearest training picture's caption",
    }
    assert all(set(found) == {"bleu", "exact_match"} for found in results["baselines"].values())
    assert text.count("reference:") == text.count("caption:") == tasks.SHOWN
    assert f"reference: {scene('test', 3).caption}\n" in text
    assert (tmp_path / "run" / "samples" / "captions.png").stat().st_size > 10_000


def test_features_are_learnt_from_a_file(tmp_path):
    """The caption's one uncertain word is in the features: a model that sees them gets it right."""
    path = write_features(tmp_path / "features.npz", (60, 6, 12))
    changes = {"task.path": str(path), "cell.name": "gru", "task.attention": "luong"}
    changes |= {
        "train.steps": 150,
        "train.eval_every": 50,
        "optimizer.learning_rate": 0.02,
        "model.dropout": 0.0,
    }
    results, text = run(make_config(**changes), tmp_path / "run")
    assert results["headline"] == "bleu"
    assert set(results["test"]) >= {"bleu", "perplexity"}
    assert "exact_match" not in results["test"]
    assert results["test"]["bleu"]["mean"] == pytest.approx(100)
    one = results["baselines"]["one training caption, the best in validation"]["bleu"]
    assert 20 < one < 90
    assert "caption:   it is blue , so I say ." in text
    assert [path.name for path in (tmp_path / "run" / "samples").iterdir()] == ["samples.txt"]


def test_cells_without_features_are_not_there():
    encoder = FeatureEncoder(features=4, dropout=0.0)
    cells = np.random.default_rng(2).normal(size=(2, 3, 5)).astype(np.float32)
    cells[0, 1] = 0.0
    memory = encoder.init_with_output(np.array([0, 1], np.uint32), cells)[0]
    np.testing.assert_array_equal(memory.mask, [[True, False, True], [True, True, True]])
    assert memory.values.shape == (2, 3, 4)


def test_the_splits_are_the_scenes_by_their_numbers(monkeypatch):
    monkeypatch.setattr(tasks, "HELD_OUT", 10)
    splits = tasks.load(make_config())
    assert [len(split.captions) for split in splits.values()] == [12, 10, 10]
    for name, number in [("train", 11), ("valid", 0), ("test", 9)]:
        image, caption = scene(name, number)
        np.testing.assert_array_equal(splits[name].images[number], image)
        assert splits[name].captions[number] == caption


def test_nlvr_comes_with_its_words_apart(monkeypatch):
    image = np.zeros((32, 128, 3), np.uint8)
    lines = {"train": "a box, which is full", "valid": "one, two", "test": "no \n box, ."}
    read = {name: [Scene(image, line)] for name, line in lines.items()}
    monkeypatch.setattr(nlvr, "load", lambda data_dir: read)
    splits = tasks.load(make_config(**{"task.data": "nlvr"}))
    assert [split.captions for split in splits.values()] == [
        ["a box , which is full"],
        ["one , two"],
        ["no box , ."],
    ]
    facts = captioning(make_config(**{"task.data": "nlvr"})).facts
    assert (facts["train_captions"], facts["test_captions"]) == (1, 1)
    assert facts["vocabulary_size"] == 6 + 3
    assert "tok:none" in facts["bleu_signature"]


def test_a_batch_holds_each_picture_with_its_caption():
    task = captioning(make_config())
    seen, words = set(), build("word", tasks.load(make_config())["train"].captions, 99, marks=True)
    known = {image.tobytes(): caption for image, caption in (scene("valid", n) for n in range(12))}
    for batch in task.eval_batches("valid"):
        for place in np.flatnonzero(batch.lengths):
            text = words.decode(batch.symbols[1 : batch.lengths[place], place])
            assert text == known[batch.inputs[place].tobytes()]
            seen.add(text)
    assert seen == set(known.values())


def test_long_captions_are_left_out_of_training():
    split = plain(["red", "green", "blue"])
    split.captions[1] = "green"
    vocabulary = build("word", split.captions, 99, marks=True)
    kept = tasks.short(split, vocabulary, longest=5)
    assert kept.captions == ["green"]
    np.testing.assert_array_equal(kept.images, split.images[1:2])
    assert len(tasks.short(split, vocabulary, longest=6).captions) == 3
    with pytest.raises(ConfigError, match=r"config\.task\.longest is 1, but every caption"):
        tasks.short(split, vocabulary, longest=1)


def test_the_judge_knows_all_captions_of_a_picture():
    """The first two pictures are one, so that either caption is a reference of both."""
    image, other = plain(["red", "blue"]).images
    split = Pictures(np.stack([image, image, other]), ["a b c d e", "v w x y z", "k l m n o"])
    texts = ["v w x y z", "v w x y z", "k l m n p"]
    found = tasks.judge(texts, split, exact=True)
    assert found["exact_match"] == pytest.approx(100 / 3)
    matched = (14 / 15) * (11 / 12) * (8 / 9) * (5 / 6)
    assert found["bleu"] == pytest.approx(100 * matched**0.25)
    assert set(tasks.judge(texts, split, exact=False)) == {"bleu"}


def test_baselines_by_hand():
    """Of four test pictures the commonest colour has one, the nearest picture finds all known."""
    train = plain(["red", "green", "green", "red", "green"])
    valid, test = plain(["red", "red", "green"]), plain(["red", "green", "red", "blue"])
    found = tasks.baselines({"train": train, "valid": valid, "test": test}, exact=True)
    assert {name: values["exact_match"] for name, values in found.items()} == {
        "the commonest training caption": 25.0,
        "the nearest training picture's caption": 75.0,
    }
    found = tasks.baselines({"train": train, "valid": valid, "test": test}, exact=False)
    reds = scores.bleu(["it is all red here"] * 4, test.captions)[0]
    best = found["one training caption, the best in validation"]["bleu"]
    assert best == pytest.approx(reds)
    assert best > found["the commonest training caption"]["bleu"]


def test_the_nearest_picture_is_that_of_the_least_distance(monkeypatch):
    monkeypatch.setattr(tasks, "CHUNK", 3)
    rng = np.random.default_rng(3)
    pictures, others = (rng.integers(0, 256, (n, 4, 5, 3)).astype(np.uint8) for n in (6, 11))
    expected = [
        min(range(11), key=lambda n, p=p: np.sum((p.astype(int) - others[n].astype(int)) ** 2))
        for p in pictures
    ]
    assert tasks.nearest(pictures, others).tolist() == expected


def test_commonest_captions_come_first():
    assert tasks.commonest(["b", "c", "a", "c"], 2) == ["c", "a"]


def test_attention_is_shown_on_the_grid_of_the_picture(monkeypatch, tmp_path):
    """What the writer returns for cell 6 r + c is shown in row r, column c."""
    config = make_config(**{"task.attention": "luong"})
    task, drawn = captioning(config), []
    monkeypatch.setattr(tasks, "plot_captions", lambda path, items: drawn.extend(items))
    params = task.init(np.array([0, 3], np.uint32))
    task.sample(params, None, tmp_path)
    assert len(drawn) == tasks.DRAWN
    for number, item in enumerate(drawn):
        assert isinstance(item, Captioned)
        image, caption = scene("test", number)
        np.testing.assert_array_equal(item.image, image)
        assert item.references == [caption]
        assert item.attention.shape == (len(item.words), 6, 6)
        np.testing.assert_allclose(item.attention.sum((1, 2)), 1, rtol=1e-4)


def test_a_picture_of_the_users_is_scaled_and_described(tmp_path, capsys):
    task = captioning(make_config(**{"task.attention": "none"}))
    colors = np.random.default_rng(4).integers(0, 256, (48, 48, 4)).astype(np.uint8)
    colors[..., 3] = 255
    Image.fromarray(colors.repeat(3, 0).repeat(3, 1)).save(tmp_path / "mine.png")
    read = tasks.read_picture(tmp_path / "mine.png", (48, 48, 3))
    np.testing.assert_array_equal(read, colors[..., :3])
    params = task.init(np.array([0, 3], np.uint32))
    task.sample(params, None, tmp_path, prompt=str(tmp_path / "mine.png"))
    said = capsys.readouterr().out
    assert "reference" not in said
    assert (tmp_path / "samples.txt").read_text() in said
    assert (tmp_path / "captions.png").is_file()


@pytest.mark.parametrize("shape", [(24, 48, 3), (48, 24, 3)])
def test_a_picture_keeps_its_ratio_between_margins_of_its_mean(tmp_path, shape):
    colors = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)
    Image.fromarray(colors.repeat(2, 0).repeat(2, 1)).save(tmp_path / "mine.png")
    read = tasks.read_picture(tmp_path / "mine.png", (48, 48, 3))
    if shape[0] > shape[1]:
        read, colors = read.swapaxes(0, 1), colors.swapaxes(0, 1)
    np.testing.assert_array_equal(read[12:36], colors)
    margins = np.concatenate([read[:12], read[36:]])
    assert (margins == margins[0, 0]).all()
    np.testing.assert_allclose(margins[0, 0], colors.mean((0, 1)), atol=0.51)


@pytest.mark.parametrize("damage", ["absent", "empty", "text", "cut"])
def test_pictures_that_cannot_be_read_are_refused(damage, tmp_path):
    """In our own words, which hold none of Pillow's."""
    path, reason = tmp_path / "mine.png", "is no picture that can be read; give a PNG"
    Image.effect_noise((30, 2), 90).save(path)
    content = {"empty": b"", "text": b"no picture", "cut": path.read_bytes()[:70]}
    path.write_bytes(content.get(damage, path.read_bytes()))
    if damage == "absent":
        path.unlink()
        reason = "cannot be read (No such file or directory); give the path of a file that is there"
    if damage == "empty":
        reason = "is empty; give the path of a file that holds something"
    with pytest.raises(ConfigError) as raised:
        tasks.read_picture(path, (48, 48, 3))
    assert str(raised.value) == f"--prompt: {path} {reason}"


def test_no_path_is_no_picture():
    with pytest.raises(ConfigError, match="^--prompt is empty; give the path of a picture$"):
        tasks.read_picture("", (48, 48, 3))


@pytest.mark.parametrize("damage", ["text", "objects", "one array"])
def test_what_is_no_archive_is_refused_in_our_own_words(damage, tmp_path):
    path = tmp_path / "features.npz"
    path.write_bytes(b"a,b\n1,2\n")
    if damage == "objects":
        np.savez(path, train_features=np.array([None]))
    if damage == "one array":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    with pytest.raises(ConfigError) as raised:
        captioning(make_config(**{"task.path": str(path)}))
    what = "is no whole NumPy archive of numbers and texts; write it by np.savez"
    assert str(raised.value) == f"config.task.path: {path} {what}"


def test_features_have_no_place_for_a_picture(tmp_path):
    with pytest.raises(ConfigError, match="this model has learnt from features"):
        tasks.read_picture(tmp_path / "mine.png", (3, 4))


def test_data_that_is_not_there_is_named(tmp_path, monkeypatch):
    for name in ("LSTM_JAX_DATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with pytest.raises(ConfigError, match=r"config\.task\.data is 'scene'.*did you mean 'scenes'"):
        captioning(make_config(**{"task.data": "scene"}))
    with pytest.raises(
        ConfigError, match=r"config\.data_dir: the images of NLVR are not at .*nlvr"
    ):
        captioning(make_config(**{"task.data": "nlvr"}))
    with pytest.raises(ConfigError, match=r"config\.task\.path: .*none\.npz cannot be read"):
        captioning(make_config(**{"task.path": str(tmp_path / "none.npz")}))
