"""Handwriting: its three goals in mode tiny, what they are tried on, and what they draw."""

import itertools
from xml.etree import ElementTree

import jax
import numpy as np
import pytest

from configs import handwriting as handwriting_config
from experiments.config import ConfigError, resolve
from experiments.mesh import Part
from experiments.perception import scribbles
from experiments.perception.digits import eight_points, inputs, neighbours, stretch
from experiments.perception.lines import join, line_inputs
from experiments.tasks.handwriting import COLUMNS, ROWS, handwriting, load_digits, sample
from experiments.training.step import init_state, make_evaluate, make_train_step
from tests.experiments.perception.test_strokes import written

GOALS = ("digits", "connected", "synthesis")
SVG = "{http://www.w3.org/2000/svg}"


def tiny(goal, **overrides):
    config = handwriting_config.get_config(goal)
    config.mode = "tiny"
    return resolve(config, overrides).unlock()


def texts(path):
    return [text.text for text in ElementTree.parse(path).getroot().iter(f"{SVG}text")]


@pytest.mark.parametrize("goal", GOALS)
def test_a_goal_learns_and_is_scored(goal):
    config = tiny(goal, **{"cell.name": "gru"})
    task = handwriting(config)
    state = init_state(task, config)
    before = jax.device_get(state.params)
    step, batches = make_train_step(task, config), task.train_batches(Part())
    for _ in range(2):
        state, _ = step(state, next(batches))
    moved = jax.tree.map(lambda a, b: (np.asarray(a) != b).any(), before, state.params)
    assert all(jax.tree.leaves(moved))
    reached = make_evaluate(task, config)(state.params, "test")[0]
    member = jax.tree.map(lambda leaf: leaf[0], state.params)
    reached |= task.score(member, "test") if task.score else {}
    assert np.isfinite(reached[task.headline or task.metric])
    for model in task.baselines().values():
        assert (task.headline or task.metric) in model
    assert task.facts["data"] == "generated, drawn by no one"


@pytest.mark.parametrize("goal", GOALS)
def test_samples_are_drawn(goal, tmp_path, capsys):
    task = handwriting(tiny(goal))
    task.sample(task.init(jax.random.PRNGKey(0)), jax.random.PRNGKey(1), tmp_path)
    printed = capsys.readouterr().out.splitlines()
    name = {"digits": "digits", "connected": "lines", "synthesis": "strokes"}[goal]
    assert printed == [str(tmp_path / f"{name}.{suffix}") for suffix in ("svg", "png")]
    assert texts(tmp_path / f"{name}.svg")
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_hardest_digits_come_first(tmp_path):
    """By probabilities that are made up."""
    digits = load_digits(tiny("digits"))["test"]
    right = np.random.default_rng(0).permutation(len(digits.labels)) / len(digits.labels)
    found = (1 - right[:, None]) / 9 * np.ones((1, 10))
    found[np.arange(len(right)), digits.labels] = right
    sample(digits, lambda params, read: found, None, None, tmp_path)
    own = [text for text in texts(tmp_path / "digits.svg") if text.startswith("is ")]
    expected = np.argsort(right)[: ROWS * COLUMNS]
    assert own == [f"is {digits.labels[n]}" for n in expected]


@pytest.mark.parametrize("goal", ["digits", "connected"])
def test_the_users_own_strokes_are_read(goal, tmp_path, capsys):
    drawing = scribbles.scribble(4, np.random.default_rng(0))
    (tmp_path / "mine.txt").write_text(written([50 * stroke for stroke in drawing]))
    task = handwriting(tiny(goal))
    prompt = str(tmp_path / "mine.txt")
    params = task.init(jax.random.PRNGKey(0))
    task.sample(params, jax.random.PRNGKey(0), tmp_path, prompt=prompt)
    said, *files = capsys.readouterr().out.splitlines()
    assert len(files) == 2
    if goal == "digits":
        assert said.count("%") == 2
    else:
        assert said in texts(tmp_path / "lines.svg")[0]
    (tmp_path / "mine.txt").write_text("1,nan\n")
    with pytest.raises(ConfigError, match=r"^--prompt: .*mine\.txt line 1 is '1,nan'"):
        task.sample(params, jax.random.PRNGKey(0), tmp_path, prompt=prompt)


def test_digits_of_training_are_distorted_and_those_of_tests_are_not():
    config = tiny("digits", **{"task.distortion": 0.1})
    splits = load_digits(config)
    originals = {name: [inputs(p) for p in own.points] for name, own in splits.items()}
    task = handwriting(config)
    (shown,) = {len(task.eval_batches("test")[0].inputs)}
    assert shown == 8
    for batch in task.eval_batches("test"):
        for column in np.flatnonzero(batch.present):
            assert any((batch.inputs[:, column] == own).all() for own in originals["test"])
    batch = next(task.train_batches(Part()))
    for column in range(batch.inputs.shape[1]):
        nearest = min(np.abs(batch.inputs[:, column] - own).max() for own in originals["train"])
        assert 0 < nearest < 1


def test_generated_digits_are_those_of_the_scribbles():
    splits = load_digits(tiny("digits"))
    for seed, (name, count) in enumerate([("train", 40), ("valid", 40), ("test", 40)]):
        drawn, labels = scribbles.drawings(count, seed)
        np.testing.assert_array_equal(splits[name].labels, labels)
        expected = np.stack([eight_points(drawing) for drawing in drawn])
        np.testing.assert_array_equal(splits[name].points, expected)
        np.testing.assert_array_equal(stretch(splits[name].points), splits[name].points)
    for one, other in itertools.combinations(splits.values(), 2):
        assert not (one.points[:, None] == other.points).all(axis=(2, 3)).any()


def test_the_baseline_knows_the_digits_of_validation_too():
    config = tiny("digits")
    splits = load_digits(config)
    found = neighbours([splits["train"], splits["valid"]], splits["test"].points)
    reached = handwriting(config).baselines()["3 nearest neighbours"]["accuracy"]
    assert reached == pytest.approx(np.mean(found == splits["test"].labels))
    assert reached > 0.5


def test_lines_have_digits_of_their_own_split_alone():
    config = tiny("connected", **{"task.distortion": 0.0})
    task, splits = handwriting(config), load_digits(config)
    batches = {name: task.eval_batches(name) for name in splits}
    batches["train"] = [next(task.train_batches(Part())) for _ in range(2)]
    for seed, (name, digits) in enumerate(splits.items()):
        joined = join(digits, config.task.lines, seed)
        expected = {
            line_inputs(path).tobytes(): tuple(digits.labels[members])
            for path, members in zip(joined.paths, joined.members, strict=True)
        }
        found = {}
        for batch in batches[name]:
            for n in np.flatnonzero(batch.present):
                own = tuple(batch.labels[n, : batch.label_lengths[n]])
                found[batch.inputs[: batch.lengths[n], n].tobytes()] = own
        assert found.items() <= expected.items()
        assert len(found) == config.task.lines or name == "train"


@pytest.mark.parametrize(
    ("goal", "field", "value", "message"),
    [
        ("digits", "task.goal", "digit", "did you mean 'digits'"),
        ("digits", "task.data", "omniglot", "config.task.data is 'omniglot', choose one of gen"),
        ("connected", "task.data", "pendigit", "did you mean 'pendigits'"),
        ("synthesis", "task.data", "pendigits", "choose one of generated, omniglot"),
        ("digits", "task.pooling", "max", "choose one of last, mean"),
    ],
)
def test_other_goals_and_data_are_refused(goal, field, value, message):
    with pytest.raises(ConfigError, match=message):
        handwriting(tiny(goal, **{field: value}))


def test_every_goal_has_a_recipe_of_its_own():
    recipes = {goal: handwriting_config.get_config(goal) for goal in GOALS}
    assert [config.task.goal for config in recipes.values()] == list(GOALS)
    for one, other in itertools.combinations(recipes.values(), 2):
        for place in ("cell", "train", "task"):
            assert one[place].to_dict() != other[place].to_dict()
        assert one.cell.hidden_size != other.cell.hidden_size
        assert one.train.steps != other.train.steps
        assert one.task.buckets != other.task.buckets
