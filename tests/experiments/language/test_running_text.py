"""The model of running text against NumPy, and how its samples are joined and cut."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments.config import ConfigError
from experiments.language import running_text
from experiments.language.running_text import LanguageModel
from experiments.language.texts import LINE_END
from experiments.language.vocabulary import build
from lstm_jax.trees import from_dict


@pytest.mark.parametrize("size", [6, 4], ids=["projected", "same size"])
def test_a_tied_kernel_is_the_embedding_transposed(size):
    """Logits in NumPy from the outputs; both uses of the embedding move one array."""
    model = LanguageModel(lj.gru(4), symbols=9, embedding=size, tied=True)
    inputs = np.random.default_rng(0).integers(0, 8, (5, 2))  # symbol 8 is never read
    state = model.network.initial_state(2)
    params = model.init(jax.random.PRNGKey(0), inputs, state)
    params = jax.tree.map(lambda p: p + 0.1, params)
    table, bias = params["params"]["Embed_0"]["embedding"], params["params"]["Dense_0"]["bias"]
    projection = params["params"].get("projection", {"kernel": np.eye(4)})["kernel"]
    assert "kernel" not in params["params"]["Dense_0"]
    assert ("projection" in params["params"]) == (size != 4)
    xs = math.sqrt(size) * np.asarray(table)[inputs]
    network = from_dict(model.network, params["params"]["Recurrent_0"]["network"])
    _, ys = lj.unroll(model.network, network, xs, state)
    logits = np.asarray(ys) @ np.asarray(projection) @ np.asarray(table).T + np.asarray(bias)
    np.testing.assert_allclose(model.apply(params, inputs, state)[1], logits, rtol=1e-5, atol=1e-5)
    gradient = jax.grad(lambda p: jnp.sum(model.apply(p, inputs, state)[1][..., 3] ** 2))(params)
    moved = np.abs(gradient["params"]["Embed_0"]["embedding"]).sum(axis=1) > 0
    assert moved.tolist() == [symbol == 3 or symbol in inputs for symbol in range(9)]


@pytest.mark.parametrize(
    ("prompt", "ids", "shown"),
    [
        ("the ☃", [1, 0, 2, 2], "the ☃ the"),
        ("the\n", [0, 2, 1, 0, 1], "the\n\ncat the"),
        (" ", [2], " cat"),
        ("the", [0, 1], "the"),
    ],
)
def test_words_go_on_after_a_blank_and_captions_end_with_their_line(
    tmp_path, monkeypatch, prompt, ids, shown
):
    known = build("word", ["the\nthe\nthe cat\ncat the\n\n\n"], 4, False)
    assert known.symbols == ("\n", "the", "cat")

    def written(model, params, key, read, *options):
        assert read.tolist() == (known.encode(prompt).tolist() or [0])
        return jnp.asarray(ids)[:, None]

    monkeypatch.setattr(running_text, "generate", written)
    options = dict(prompt=prompt, temperature=1.0, unit="sentence")
    running_text.sample(None, known, LINE_END, None, None, tmp_path, **options)
    got = (tmp_path / "samples.txt").read_text(encoding="utf-8")
    assert got == f"--- temperature 1 ---\n{shown}\n"


@pytest.mark.parametrize(
    ("level", "prompt", "said"),
    [
        ("character", "a ☃tab☃\t", ("3 of 8", "'☃', '\\t'")),
        ("ngram", "x", ("1 of 1", "'x'")),
        ("word", "bat, Bat\ncat", ("3 of 5", "'Bat', '\\n', 'cat'")),
        ("word", "bat", None),
        ("character", "", None),
    ],
)
def test_unknown_symbols_of_a_prompt_are_named(tmp_path, monkeypatch, capsys, level, prompt, said):
    known = build(level, ["bat, a bat, a tab"], 14, False)
    monkeypatch.setattr(running_text, "generate", lambda *_: jnp.zeros((1, 1), int))
    options = dict(prompt=prompt, temperature=1.0)
    running_text.sample(None, known, LINE_END, None, None, tmp_path, **options)
    told = "warning: {} symbols of the prompt are unknown to this model: {}\n"
    assert capsys.readouterr().err == (told.format(*said) if said else "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "--length is 0, it must be at least 1"),
        ({"temperature": -0.5}, "--temperature is -0.5, it must be 0 or above and finite"),
        ({"temperature": math.nan}, "--temperature is nan, it must be 0 or above and finite"),
        ({"temperature": math.inf}, "--temperature is inf, it must be 0 or above and finite"),
    ],
)
def test_what_is_no_length_or_temperature_is_refused(tmp_path, options, message):
    with pytest.raises(ConfigError) as raised:
        running_text.sample(None, None, LINE_END, None, None, tmp_path, **options)
    assert str(raised.value) == message
