"""Looking inside trained runs: what is read, what the loss's gradient is, what the page says."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments import command_line
from experiments.compare import compare
from experiments.config import ConfigError
from experiments.inspect import inspect
from experiments.inspection import calls, run, sections
from experiments.inspection.loss_gradient import loss_gradient
from experiments.train import train
from lstm_jax import analysis
from tests.cases import assert_close
from tests.experiments.page import Page
from tests.experiments.tasks.test_tasks import OWN, tiny

STEP_BY_STEP = ("captioning",)  # their networks read no whole sequences


@pytest.fixture
def layer():
    """A layer at work on sequences of 7, 5, 3, 1 and 0 steps."""
    cell = lj.gru(3)
    xs = jax.random.normal(jax.random.key(0), (7, 5, 2))
    params = cell.init(jax.random.key(1), 2)
    return analysis.layers(cell, params, xs, lengths=jnp.array([7, 5, 3, 1, 0]))[0]


def at_work(name, directory, **overrides):
    """A task of random parameters, and what they read."""
    config = tiny(name, directory, **overrides)
    task = command_line.build_task(config)
    params = task.init(jax.random.PRNGKey(3))
    return task, params, calls.read(task, params)


def test_windows_of_a_text_are_joined_in_order(tmp_path):
    task, params, reading = at_work("char_lm", tmp_path, **{"model.dropout": 0.0})
    (layers,) = calls.taken_apart(reading)["Recurrent_0"]
    inputs = np.concatenate([batch.inputs for batch in reading.batches])
    assert len(inputs) > 16
    chosen = calls.streams(inputs.shape[1])
    assert chosen == slice(1, 1 + calls.STREAMS) and calls.streams(1).start == 0
    np.testing.assert_array_equal(np.argmax(layers[0].xs, axis=-1), inputs[:, chosen])
    named = task.serve(params).inputs.names
    assert calls.symbols(task, params, reading) == [named[k] for k in inputs[:, 1]]
    carried = reading.calls["Recurrent_0"][1].initial_state.h[chosen]
    assert_close(layers[0].record["h"][len(reading.batches[0].inputs) - 1], carried, 1e-5)


def test_the_gradient_of_the_loss_is_that_of_its_readout(tmp_path):
    """Cross-entropy of the last output: ∂L/∂h = W(p − y)/B there, and the network's before."""
    task, params, reading = at_work("pixels", tmp_path, **{"model.dropout": 0.0})
    ((name, found),) = loss_gradient(task, params, reading).items()
    call = reading.calls["Recurrent_0"][reading.middle]
    batch, weights = reading.batches[reading.middle], params["params"]["Dense_0"]

    def loss(ys):
        last = ys[call.lengths - 1, jnp.arange(ys.shape[1])]
        logits = last @ weights["kernel"] + weights["bias"]
        own = jax.nn.log_softmax(logits)[jnp.arange(len(last)), batch.labels[:, 0]]
        return -own.mean()

    wanted = analysis.gradient_flow(call.network, call.params, call.xs, loss, lengths=call.lengths)
    assert name == "lstm"
    for field, norms in wanted["lstm"].items():
        assert_close(1e3 * found[field], np.asarray(1e3 * norms), 1e-4)
    assert np.all(np.asarray(found["h"])[np.asarray(call.lengths) - 1, range(norms.shape[1])] > 0)


def test_the_gradient_of_the_loss_starts_from_the_state_of_the_window_before(tmp_path):
    task, params, reading = at_work("char_lm", tmp_path, **{"model.dropout": 0.0})
    call = reading.calls["Recurrent_0"][reading.middle]
    batch, weights = reading.batches[reading.middle], params["params"]["Dense_0"]
    assert reading.middle > 0 and np.abs(call.initial_state.h[1:]).max() > 1e-3
    start = jax.tree.map(lambda leaf: jnp.where(batch.fresh[:, None], 0, leaf), call.initial_state)

    def loss(ys):
        known = jax.nn.log_softmax(ys @ weights["kernel"] + weights["bias"])
        own = jnp.take_along_axis(known, batch.targets[..., None], axis=-1)[..., 0]
        return -jnp.mean(batch.weights * own)

    wanted = analysis.gradient_flow(call.network, call.params, call.xs, loss, start)["lstm"]
    found = loss_gradient(task, params, reading)["lstm"]
    assert_close(1e3 * found["c"], np.asarray(1e3 * wanted["c"]), 1e-4)


def test_a_network_that_reads_backwards_is_turned(tmp_path):
    _, _, reading = at_work("cloze", tmp_path)
    assert list(reading.calls) == ["forward", "backward"]
    call = reading.calls["backward"][0]
    ((layer,), *_) = calls.taken_apart(reading)["backward"]
    row, length = 0, int(call.lengths[0])
    assert call.reverse and length > 2
    assert_close(layer.xs[:length, row], np.asarray(call.xs[:length, row])[::-1], 1e-6)
    assert calls.titled("backward", "lstm", reading) == "backward, lstm"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*OWN} - {*STEP_BY_STEP}))
def test_every_task_can_be_taken_apart(name, tmp_path):
    task, params, reading = at_work(name, tmp_path)
    parts = calls.taken_apart(reading)
    titles = [
        calls.titled(module, layer.name, reading)
        for module, batches in parts.items()
        for layer in batches[0]
    ]
    gradients = loss_gradient(task, params, reading)
    assert list(gradients) == titles and titles
    if name != "forecasting":  # whose readout begins at zero
        assert all(np.max(fields["state"]) > 0 for fields in gradients.values())
    for batches in parts.values():
        for layer in batches[0]:
            assert np.isfinite(run.flow(layer)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cell"),
    [("video", "conv_lstm"), ("music", "rnn"), ("translation", "lstm"), ("cloze", "min_gru")],
)
def test_frames_padding_and_several_networks_have_their_sections(name, cell, tmp_path):
    config = tiny(name, tmp_path, **{"cell.name": cell, "train.steps": 2, "train.eval_every": 2})
    train(config, tmp_path / "run")
    found = [section.name for section in sections.of_run(run.load(config, tmp_path / "run"))]
    assert len(set(found)) == len(found) >= 6
    assert ("initialization" in found) is (cell != "conv_lstm")
    assert any(name.startswith("saturation") for name in found) is (cell != "rnn")


def test_a_single_step_has_no_lag(layer):
    short = layer._replace(mask=layer.mask.at[1:].set(False))
    with pytest.raises(ConfigError, match="have one step; none has a lag"):
        run.whole(short)
    cut = run.whole(layer, 2)
    assert cut.xs.shape[:2] == (5, 2) and cut.mask.all()


def test_losses_are_means_since_the_validation_before(tmp_path):
    lines = [
        {"step": 5, "split": "train", "nll": 4.0},
        {"step": 10, "split": "train", "nll": 2.0},
        {"step": 10, "split": "valid", "nll": 3.5},
        {"step": 10, "split": "valid", "nll": 4.5},
        {"step": 15, "split": "valid", "nll": 9.0},
        {"step": 20, "split": "train", "nll": 1.0},
        {"step": 20, "split": "valid", "nll": 3.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    class Task:
        higher_is_better, metric = False, "nll"

    found = run.losses(Task, tmp_path)
    assert [list(values) for values in found] == [[10, 20], [3.0, 1.0], [4.0, 3.0]]
    Task.higher_is_better = True
    assert run.losses(Task, tmp_path) is None


def test_the_page_about_a_language_model(tmp_path, capsys):
    text = 'He said "a (b) C" to her.\nAnd then (she said) "No".\n'
    (tmp_path / "book.txt").write_text("".join(text for _ in range(120)))
    config = tiny("char_lm", tmp_path, **{"train.steps": 2, "train.eval_every": 2})
    config.unlock().task.path = str(tmp_path / "book.txt")
    train(config, tmp_path / "run")
    page = inspect(config, tmp_path / "run")
    shown = Page(page.read_text())
    numbers = json.loads((page.parent / "inspection.json").read_text())
    pictures = {picture.stem for picture in page.parent.glob("*.png")}
    assert pictures == set(numbers["found"])
    assert pictures >= {
        *("gradient_flow", "loss_gradient", "spectrum", "saturation_lstm", "gates_lstm"),
        *("time_constants", "trajectories_lstm", "retention", "initialization", "overfitting"),
        "tracker_inside_quotes_lstm",
    }
    assert len(shown.all("img")) == len(pictures)
    assert all(image["src"].startswith("data:image/png;base64,") for image in shown.all("img"))
    assert {link["href"] for link in shown.all("a")} == {f"#{name}" for name in pictures}
    for found in numbers["found"].values():
        for sentence in found:
            assert " ".join(sentence.split()) in shown.text
    assert "lstm, before training: each step back multiplies" in shown.text
    assert "inspection/gradient_flow.png" in capsys.readouterr().out


@pytest.mark.slow
def test_a_comparison_shows_its_cells_beside_each_other(tmp_path):
    config = tiny("temporal_order", tmp_path).unlock()
    config.cells = ("rnn", "gru")
    compare(config, tmp_path / "run")
    page = inspect(config, tmp_path / "run")
    found = json.loads((page.parent / "inspection.json").read_text())["found"]
    assert set(found) == {"gradient_flow", "time_constants", "overfitting"}
    assert [line.split(":")[0] for line in found["gradient_flow"]] == ["rnn", "gru"]
    assert "rnn: no unit keeps anything by itself" in found["time_constants"][0]


def test_what_cannot_be_inspected_says_why(tmp_path):
    config = tiny("captioning", tmp_path, **{"train.steps": 2, "train.eval_every": 2})
    with pytest.raises(ConfigError, match="holds no checkpoint; train there first"):
        inspect(config, tmp_path / "absent")
    train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match="task 'captioning' reads step by step"):
        inspect(config, tmp_path / "run")
    config.unlock().experiments = {"adding_4": {}}
    with pytest.raises(ConfigError, match=r"several comparisons; name one.*adding_4"):
        inspect(config, tmp_path)
