"""Classification: its splits, inputs and baselines, and series of a file to the end."""

import importlib
import json
import os

import numpy as np
import pytest

from configs import classification as classification_config
from experiments.config import ConfigError, resolve
from experiments.data.series import Series
from experiments.mesh import Part
from experiments.perception.cylinder_bell_funnel import cylinder_bell_funnel
from experiments.sample import sample
from experiments.tasks.classification import classification
from experiments.training.loop import fit

task = importlib.import_module("experiments.tasks.classification")  # the module, not its task


def make_config(**changes):
    config = classification_config.get_config()
    config.mode = "tiny"
    return resolve(config, {"train.checkpoint_every": 3, **changes}).unlock()


def toy(number, seed, classes=("low", "high"), dimensions=2):
    """Short series whose first dimension lies low or high, and any others are noise."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes, number).tolist()
    shapes = [(random.integers(2, 9), dimensions) for _ in labels]
    sequences = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    for sequence, label in zip(sequences, labels, strict=True):
        sequence[:, 0] += 6.0 * classes.index(label)
    return Series("Toy", sequences, labels, tuple(classes))


def write_ts(path, found, labelled=True):
    rows = [
        ":".join([*(",".join(map(repr, d)) for d in values.T.tolist()), *[label] * labelled])
        for values, label in zip(found.sequences, found.labels, strict=True)
    ]
    said = " ".join(["true", *found.classes]) if labelled else "false"
    path.write_text(f"@problemName {found.name}\n@classLabel {said}\n@data\n" + "\n".join(rows))
    return str(path)


def test_every_fifth_example_of_each_class_is_held_out():
    labels = list("abbbaabbbbaabaaaac")
    whole = Series("", [np.full((1, 1), n) for n in range(len(labels))], labels, tuple("abc"))
    rest, held = task.divide(whole)
    # a: 0 4 5 10 11 13 14 15 16, its second and its seventh; b: 1 2 3 6 7 8 9 12, likewise; c: none
    assert [int(x[0, 0]) for x in held.sequences] == [2, 4, 9, 14]
    assert held.labels == list("baba")
    assert sorted(int(x[0, 0]) for x in [*rest.sequences, *held.sequences]) == list(range(18))
    assert rest.labels == [labels[int(x[0, 0])] for x in rest.sequences]


def test_inputs_are_normalised_by_the_training_split():
    train, valid, test = toy(30, 0), toy(9, 1), toy(8, 2)
    for split in (train, valid, test):
        for sequence in split.sequences:
            sequence *= [30, 0.01]
            sequence += [5, 700]
    data = task.prepare(train, valid, test)
    steps = np.concatenate(data.splits["train"].inputs)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(steps.std(axis=0), 1, atol=1e-3)
    plain = np.concatenate(train.sequences).astype(float)
    expected = (test.sequences[3] - plain.mean(axis=0)) / plain.std(axis=0)
    np.testing.assert_allclose(data.splits["test"].inputs[3], expected, rtol=1e-4, atol=1e-4)
    assert [int(label[0]) for label in data.splits["valid"].labels] == [
        ("low", "high").index(label) for label in valid.labels
    ]


def test_constant_dimensions_and_huge_values_stay_finite():
    train, test = toy(20, 0), toy(5, 1)
    for sequence in train.sequences:
        sequence[:, 1] = 0.1
    test.sequences[0][0] = [3e38, -3e38]
    data = task.prepare(train, train, test)
    assert not np.concatenate(data.splits["train"].inputs)[:, 1].any()
    assert data.splits["test"].inputs[0][0].tolist() == [task.FARTHEST, -task.FARTHEST]
    assert all(len(found) == 5 for found in task.baselines(data).values())


def test_training_inputs_lose_steps_and_gain_noise():
    random = np.random.default_rng(0)
    sequence = np.arange(4000, dtype=np.float32)[:, None] * [1, -1]
    sequence = sequence.astype(np.float32)
    changed = task.augment(0.01, 0.25, sequence, random)
    assert changed.dtype == np.float32
    steps = changed.round()
    assert (np.diff(steps[:, 0]) > 0).all()
    np.testing.assert_array_equal(steps[:, 0], -steps[:, 1])
    assert len(steps) == pytest.approx(3000, abs=100)
    assert (changed - steps).std() == pytest.approx(0.01, rel=0.05)
    assert abs(np.corrcoef((changed - steps).T)[0, 1]) < 0.1
    np.testing.assert_array_equal(task.augment(0.0, 0.0, sequence, random), sequence)
    assert {len(task.augment(0.1, 0.99, sequence[:3], random)) for _ in range(20)} == {1}


def test_training_takes_its_noise_and_its_drop_from_the_configuration():
    plain = task.load(make_config()).splits["train"].inputs
    config = make_config(**{"task.noise": 0.0, "task.drop": 0.9})
    batch = next(classification(config).train_batches(Part()))
    assert 0 < batch.lengths.mean() < 0.2 * np.mean(list(map(len, plain)))
    assert {*batch.inputs.ravel().tolist()} - {0.0} <= {*np.concatenate(plain).ravel().tolist()}


def test_baselines_find_what_is_plain():
    """One series of each class is known; noise in a second dimension deceives neither."""
    data = task.prepare(toy(40, 0), toy(9, 1), toy(25, 2))
    truth = np.concatenate(data.splits["test"].labels)
    found = task.baselines(data)
    assert list(found) == [
        "logistic regression on padded input",
        "1-nearest neighbour, dynamic time warping",
    ]
    for predicted in found.values():
        np.testing.assert_array_equal(predicted, truth)


def test_the_padded_input_reaches_to_the_end_of_the_longest():
    """Only the last of eight steps tells the class, and one series has but three."""
    random = np.random.default_rng(0)
    labels = ["low", "high"] * 20
    sequences = [random.normal(size=(8, 1)).astype(np.float32) for _ in labels]
    for sequence, label in zip(sequences, labels, strict=True):
        sequence[7] = 9.0 if label == "high" else -9.0
    whole = Series("", sequences, labels, ("low", "high"))
    short = Series("", [np.zeros((3, 1), np.float32)], ["low"], ("low", "high"))
    data = task.prepare(whole, short, whole)
    predicted = task.baselines(data)["logistic regression on padded input"]
    assert [data.classes[n] for n in predicted] == labels


def test_a_baseline_that_would_take_hours_is_left_out(monkeypatch):
    data = task.prepare(toy(20, 0), toy(5, 1), toy(4, 2))
    steps = [sum(map(len, data.splits[name].inputs)) for name in ("train", "valid", "test")]
    monkeypatch.setattr(task, "PATIENCE", (steps[0] + steps[1]) * steps[2] * 2 - 1)
    assert list(task.baselines(data)) == ["logistic regression on padded input"]
    monkeypatch.setattr(task, "PATIENCE", task.PATIENCE + 1)
    assert len(task.baselines(data)) == 2


def test_a_file_from_training_to_the_user_s_own_series(tmp_path, capsys):
    """The shift of the classes is easy to learn: all must be right, and the sample must say so."""
    path = write_ts(tmp_path / "Toy_TRAIN.ts", toy(60, 0))
    write_ts(tmp_path / "Toy_TEST.ts", toy(40, 1))
    changes = {"train.steps": 60, "train.eval_every": 20, "optimizer.learning_rate": 0.03}
    changes |= {"cell.name": "min_gru", "model.dropout": 0.0}
    config = make_config(**{"task.path": path, "task.bidirectional": False, **changes})
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps(config.to_dict()))
    results = fit(classification(config), config, workdir)
    assert results["headline"] == "accuracy"
    assert results["test"]["accuracy"]["mean"] == 1.0
    assert {found["accuracy"] for found in results["baselines"].values()} == {1.0}
    facts = [results["facts"][name] for name in ("name", "dimensions", "test_examples")]
    assert facts == ["Toy", 2, 40]
    sample(config, workdir)
    assert (workdir / "samples" / "confusion.png").stat().st_size > 10_000
    text = (workdir / "samples" / "wrong.txt").read_text()
    assert text == "no test series is taken for another class\n"
    own = toy(5, 2)
    sample(config, workdir, prompt=write_ts(tmp_path / "own.ts", own, labelled=False))
    lines = (workdir / "samples" / "answers.txt").read_text().splitlines()
    found = [line.split(" (")[0] for line in lines]
    assert found == [f"series {n}: class {label}" for n, label in enumerate(own.labels, 1)]
    assert "\n".join(lines) in capsys.readouterr().out


def test_the_wrong_ones_are_listed(tmp_path):
    test = Series("", [np.full((2, 1), x, np.float32) for x in (-3, 4, 5)], list("aba"), ("a", "b"))
    data = task.prepare(test, test, test)
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    task.sample(data, lambda params, inputs: probabilities[: len(inputs)], None, None, tmp_path)
    assert (tmp_path / "wrong.txt").read_text() == (
        "test series 2: class b, taken for a (70 %)\ntest series 3: class a, taken for b (80 %)\n"
    )


def test_labels_of_the_user_s_own_series_are_repeated_in_any_script(tmp_path):
    train = toy(20, 0, ("niedrig", "höher"))
    data = task.prepare(train, train, train)
    own = train._replace(labels=["höher"], sequences=[np.ones((2, 2))])
    prompt = write_ts(tmp_path / "own.ts", own)
    task.sample(data, lambda *_: np.array([[0.75, 0.25]]), None, None, tmp_path, prompt=prompt)
    answers = (tmp_path / "answers.txt").read_text(encoding="utf-8")
    assert answers == "series 1: class niedrig (75 %), labelled höher\n"


def test_without_a_test_file_some_of_the_training_file_is_held_out(tmp_path):
    whole = toy(50, 0)
    whole.labels[:] = ["low"] * 25 + ["high"] * 25
    splits = task.load(make_config(**{"task.path": write_ts(tmp_path / "mine.ts", whole)})).splits
    assert [len(split.inputs) for split in splits.values()] == [32, 8, 10]
    ends = {tuple(x[-1]) for split in splits.values() for x in split.inputs}
    assert len(ends) == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(dimensions=3), "has 3 dimensions, but the training data have 2"),
        (dict(classes=("low", "wide")), "has the label 'wide', which Toy_TRAIN.ts does not have"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, change, message):
    path = write_ts(tmp_path / "Toy_TRAIN.ts", toy(20, 0))
    other = write_ts(tmp_path / "Toy_TEST.ts", toy(20, 1, **change))
    with pytest.raises(ConfigError) as raised:
        classification(make_config(**{"task.path": path}))
    assert str(raised.value) == f"config.task.path: {other} {message}"


def test_a_class_of_the_header_may_lack_training_examples(tmp_path):
    classes = ("low", "high", "wide")
    path = write_ts(tmp_path / "Toy_TRAIN.ts", toy(20, 0)._replace(classes=classes))
    other = toy(20, 1, classes)
    write_ts(tmp_path / "Toy_TEST.ts", other)
    data = task.load(make_config(**{"task.path": path}))
    assert data.classes == classes
    assert [classes[label[0]] for label in data.splits["test"].labels] == other.labels


def test_what_cannot_be_is_refused(tmp_path):
    for number, message in [(2, "1 series of 1 classes for training and 0 for"), (30, "19 series")]:
        path = write_ts(tmp_path / "few.ts", toy(number, 0, ("a",)))
        with pytest.raises(ConfigError, match=rf"^config\.task\.path: .*few\.ts leaves {message}"):
            task.load(make_config(**{"task.path": path}))
    with pytest.raises(ConfigError, match=r"config\.task\.data is 'vowels', choose one of"):
        task.load(make_config(**{"task.data": "vowels"}))
    data = task.prepare(toy(9, 0), toy(9, 1), toy(9, 2))
    for prompt, message in [
        ("", "^--prompt is empty; give the path of a .ts file$"),
        (str(tmp_path / "none.ts"), "^--prompt: .*none.ts cannot be read"),
        (path.replace("few", "wide"), "^--prompt: .* has 3 dimensions, but the training data"),
    ]:
        write_ts(tmp_path / "wide.ts", toy(2, 0, dimensions=3))
        with pytest.raises(ConfigError, match=message):
            task.sample(data, None, None, None, tmp_path, prompt=prompt)


def test_generated_series_are_those_of_two_seeds():
    data = task.load(make_config())
    assert data.name == "CylinderBellFunnel (generated)"
    expected = [cylinder_bell_funnel(n, s) for s, n in enumerate(task.GENERATED.values())]
    assert [len(split.inputs) for split in data.splits.values()] == [96, 24, 90]
    for got, drawn in zip(data.splits["test"].inputs, expected[1].sequences, strict=True):
        np.testing.assert_allclose(got, data.normalise(drawn))


def test_japanese_vowels_come_in_their_official_split():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    data = task.load(make_config(**{"task.data": "japanese_vowels"}))
    assert [len(split.inputs) for split in data.splits.values()] == [216, 54, 370]
    counts = [np.bincount(np.concatenate(split.labels)) for split in data.splits.values()]
    assert counts[0].tolist() == [24] * 9
    assert counts[1].tolist() == [6] * 9
    assert counts[2].tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
