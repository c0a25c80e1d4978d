"""Character modelling: vocabulary, the loss over carried states, generation, the whole task."""

import json
import math
import random
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from configs import char_lm as char_lm_config
from experiments import data, files
from experiments.config import ConfigError, resolve
from experiments.mesh import Part
from experiments.step import init_state, make_evaluate, make_train_step
from experiments.tasks.char_lm import (
    CharacterModel,
    Vocabulary,
    char_lm,
    generate,
    loss,
    summarize,
)

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "that", "fat", "rat", "eat"]


def write_text(path, words=400):
    """Random words; the last line alone has a Z and an é."""
    chosen = random.Random(3).choices(WORDS, k=words)
    path.write_text(" ".join(chosen) + "Zé", encoding="utf-8")
    return path


@pytest.fixture
def config(tmp_path):
    config = char_lm_config.get_config()
    config.mode = "tiny"
    return resolve(config, {"task.path": str(write_text(tmp_path / "words.txt"))}).unlock()


def test_the_vocabulary_is_that_of_its_text():
    vocabulary = Vocabulary.of("banana split\n")
    assert vocabulary.symbols == "\n abilnpst"
    assert vocabulary.size == 11
    np.testing.assert_array_equal(vocabulary.encode("nab"), [6, 2, 3])
    assert vocabulary.decode(vocabulary.encode("a plain\nstab")) == "a plain\nstab"
    np.testing.assert_array_equal(vocabulary.encode("a!\x00é😀b"), [2, 10, 10, 10, 10, 3])
    assert vocabulary.decode(vocabulary.encode("ab😀")) == "ab\ufffd"


def test_the_facts_count_the_splits_and_what_training_never_saw(config, tmp_path):
    facts = char_lm(config).facts
    text = (tmp_path / "words.txt").read_text(encoding="utf-8")
    assert facts["sha256"] == files.sha256(text.encode())
    assert facts["train_characters"] == len(text) * 9 // 10
    assert sum(facts[f"{name}_characters"] for name in ("train", "valid", "test")) == len(text)
    assert facts["vocabulary_size"] == len(set(text) - set("Zé")) + 1
    assert (facts["valid_unknown_characters"], facts["test_unknown_characters"]) == (0, 2)


@pytest.mark.parametrize(
    "cell", [lj.gru(6), lj.stack(lj.lstm(6), lj.full_gate_recurrence_lstm(5))], ids=["gru", "stack"]
)
@pytest.mark.parametrize(("streams", "warm_up"), [(1, False), (3, False), (3, True)])
def test_windows_with_carried_states_are_one_long_reading(cell, streams, warm_up):
    """Windows of 20 against each stream read in one go, from 20 before its part if warmed up."""
    symbols = np.random.default_rng(1).integers(0, 4, 180).astype(np.int32)
    model = CharacterModel(cell, symbols=5)
    state = cell.initial_state(1)
    params = model.init(jax.random.PRNGKey(0), jnp.zeros((1, 1), jnp.int32), state)
    params = jax.tree.map(lambda p: 1.5 * p, params)
    advance = jax.jit(partial(loss, model, partial(cell.initial_state, streams), params, key=None))
    read = jax.jit(model.apply)

    total, carry = 0.0, jax.tree.map(lambda s: s + 7.0, cell.initial_state(streams))
    for window in data.Windows(symbols, streams, 20, warm_up):
        carry, means = advance(carry, window)[1]
        total += float(means["nats_per_character"].total)

    expected, part = 0.0, 180 // streams
    for start in range(0, 180, part):
        before = 20 if warm_up and start else 0
        text = symbols[start - before : start + part + 1]
        _, logits = read(params, text[:-1, None], state)
        nats = -jax.nn.log_softmax(logits[:, 0])[np.arange(len(text) - 1), text[1:]]
        expected += float(nats[before:].sum())
    assert total == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_the_cross_entropy_and_padding_is_free(config):
    config.task.steps, config.train.batch_size = 50, 8
    task = char_lm(config)
    params = task.init(jax.random.PRNGKey(1))
    window = list(task.eval_batches("valid"))[-1]
    assert 0 < window.weights.sum() < window.weights.size
    mean = task.loss(params, task.initial_carry(), window, None)[1][1]["nats_per_character"]
    _, logits = task.model.apply(params, window.inputs, task.initial_carry())
    chosen = np.take_along_axis(np.asarray(logits, np.float64), window.targets[..., None], -1)
    nats = np.log(np.exp(np.asarray(logits, np.float64)).sum(-1)) - chosen[..., 0]
    assert float(mean.total) == pytest.approx((nats * window.weights).sum(), rel=1e-5)
    assert float(mean.weight) == window.weights.sum()
    other = window._replace(
        targets=np.where(window.weights > 0, window.targets, (window.targets + 1) % 10)
    )
    gradient = jax.grad(lambda p, w: task.loss(p, task.initial_carry(), w, None)[0])
    for a, b in zip(
        jax.tree.leaves(gradient(params, window)),
        jax.tree.leaves(gradient(params, other)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_summaries_are_in_bits_nats_and_perplexity():
    summary = summarize({"nats_per_character": 2 * math.log(2), "objective": 1.0})
    assert summary["bits_per_character"] == pytest.approx(2.0)
    assert summary["perplexity"] == pytest.approx(4.0)
    assert summary["objective"] == 1.0


def test_training_learns_the_words(config):
    config.cell.hidden_size = 32
    config.optimizer.update(learning_rate=0.02, warmup_steps=0)
    config.train.steps = 120
    task = char_lm(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    evaluate, step = make_evaluate(task, config), make_train_step(task, config)
    before = evaluate(state.params, "test")[0]["bits_per_character"]
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    after = evaluate(state.params, "test")[0]["bits_per_character"]
    assert before > 3.5
    assert after < 2.0


def test_generation_is_the_model_read_step_by_step(config):
    task = char_lm(config)
    params = jax.tree.map(lambda p: 3 * p, task.init(jax.random.PRNGKey(2)))
    prompt = jnp.array([3, 1, 4])
    greedy = generate(task.model, params, jax.random.PRNGKey(0), prompt, jnp.zeros(1), length=12)
    read = jnp.concatenate([prompt, greedy[:, 0]])
    _, logits = task.model.apply(params, read[:, None], task.model.network.initial_state(1))
    following = jnp.argmax(logits[:, 0, :-1], axis=-1)
    assert greedy[:, 0].tolist() == following[2:-1].tolist()
    assert len(set(greedy[:, 0].tolist())) > 1


def test_generation_depends_on_key_temperature_and_options(config):
    task = char_lm(config)
    params = task.init(jax.random.PRNGKey(2))

    def write(seed=0, **options):
        heats = jnp.array([0.3, 5.0])
        key = jax.random.PRNGKey(seed)
        return np.asarray(generate(task.model, params, key, jnp.array([1]), heats, 200, **options))

    np.testing.assert_array_equal(write(), write())
    assert (write() != write(seed=1)).any()
    assert (write()[:, 0] != write()[:, 1]).any()
    assert (write() < task.model.symbols - 1).all()  # never the unknown symbol
    np.testing.assert_array_equal(write(top_k=1)[:, 0], write(seed=1, top_k=1)[:, 1])


def test_sampling_prints_and_writes_the_prompt_and_its_continuation(config, tmp_path, capsys):
    task = char_lm(config)
    params = task.init(jax.random.PRNGKey(0))
    task.sample(params, jax.random.PRNGKey(1), tmp_path, prompt="the Ω", length=20)
    written = (tmp_path / "samples.txt").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() == written.strip()
    parts = written.split("--- temperature ")[1:]
    assert [part.split(" ---\n")[0] for part in parts] == ["0.5", "0.8", "1"]
    assert all(part.split(" ---\n")[1].startswith("the Ω") for part in parts)
    task.sample(params, jax.random.PRNGKey(1), tmp_path, length=5, temperature=0.7, prompt="")
    alone = (tmp_path / "samples.txt").read_text(encoding="utf-8")
    assert alone.startswith("--- temperature 0.7 ---\n")
    assert len(alone) == len("--- temperature 0.7 ---\n") + 5 + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "--length must be at least 1"),
        ({"temperature": -1.0}, "--temperature at least 0"),
        ({"top_k": 1000}, "--top_k is 1000, it must be between 1 and"),
        ({"top_p": 0.0}, "--top_p is 0.0"),
    ],
)
def test_bad_sampling_options_are_named(config, tmp_path, options, message):
    task = char_lm(config)
    params = task.init(jax.random.PRNGKey(0))
    with pytest.raises(ConfigError, match=message):
        task.sample(params, jax.random.PRNGKey(0), tmp_path, **options)


def test_texts_that_cannot_serve_are_refused(config, tmp_path):
    (tmp_path / "short.txt").write_text("too short")
    config.task.path = str(tmp_path / "short.txt")
    with pytest.raises(ConfigError, match="a text of 9 characters is too short"):
        char_lm(config)
    config.task.path, config.task.text = None, "shakespear"
    with pytest.raises(ConfigError, match="did you mean 'shakespeare'"):
        char_lm(config)
    config.task.steps = 0
    with pytest.raises(ConfigError, match=r"config\.task\.steps is 0"):
        char_lm(config)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\x7fELF\0\0", "is no text"), (b"\xff" * 99, "is no UTF-8 text")],
)
def test_files_that_hold_no_text_are_refused(config, tmp_path, content, message):
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=f"config.task.path: .*words.txt {message}"):
        char_lm(config)


def test_ten_million_characters_on_a_line_are_a_text_like_others(config, tmp_path):
    words = "the cat sat on a mat, " * 500_000
    (tmp_path / "words.txt").write_text(words)
    started = time.process_time()
    facts = char_lm(config).facts
    assert time.process_time() - started < 10.0
    assert sum(facts[f"{name}_characters"] for name in ("train", "valid", "test")) == len(words)
    assert facts["vocabulary_size"] == len(set(words)) + 1


def test_the_standard_library_is_the_default_text():
    config = char_lm_config.get_config()
    config.mode = "tiny"
    facts = char_lm(resolve(config)).facts
    assert facts["sha256"] == files.sha256(data.stdlib_text().encode())
    assert json.loads(json.dumps(facts)) == facts
