"""Language modelling: the loss over carried states, its options, generation, the whole task."""

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
from configs import word_lm as word_lm_config
from experiments.config import ConfigError, resolve
from experiments.data import files
from experiments.language import running_text
from experiments.language.corpora import stdlib_text
from experiments.language.ngrams import NGrams
from experiments.language.running_text import LanguageModel, generate
from experiments.language.texts import LINE_END, Counts, load
from experiments.language.vocabulary import LEVELS, build
from experiments.language.windows import Windows
from experiments.mesh import Part
from experiments.tasks.language_model import language_model, loss, summarize
from experiments.training.step import init_state, make_evaluate, make_train_step

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "that", "fat", "rat", "eat"]


def write_text(path, words=400):
    """Random words; the last line alone has a Z and an é."""
    chosen = random.Random(3).choices(WORDS, k=words)
    path.write_text(" ".join(chosen) + "Zé", encoding="utf-8")
    return path


def one_reading(task, params, ids):
    """The nats of all symbols of a text but the first, read in one go."""
    _, logits = task.model.apply(params, ids[:-1, None], task.model.network.initial_state(1))
    logits = np.asarray(logits[:, 0], np.float64)
    chosen = logits[np.arange(len(ids) - 1), ids[1:]]
    return float(np.sum(np.log(np.exp(logits).sum(-1)) - chosen))


@pytest.fixture
def config(tmp_path):
    config = char_lm_config.get_config()
    config.mode = "tiny"
    return resolve(config, {"task.path": str(write_text(tmp_path / "words.txt"))}).unlock()


def test_the_facts_count_the_splits_and_what_training_never_saw(config, tmp_path):
    facts = language_model(config).facts
    text = (tmp_path / "words.txt").read_text(encoding="utf-8")
    assert facts["sha256"] == files.sha256(text.encode())
    assert facts["train_characters"] == len(text) * 9 // 10
    assert sum(facts[f"{name}_characters"] for name in ("train", "valid", "test")) == len(text)
    assert facts["vocabulary_size"] == len(set(text) - set("Zé")) + 1
    assert (facts["train_unknown_share"], facts["valid_unknown_share"]) == (0, 0)
    assert facts["test_unknown_share"] * facts["test_symbols"] == pytest.approx(2)


@pytest.mark.parametrize(
    "cell", [lj.gru(6), lj.stack(lj.lstm(6), lj.full_gate_recurrence_lstm(5))], ids=["gru", "stack"]
)
@pytest.mark.parametrize(("streams", "warm_up"), [(1, False), (3, False), (3, True)])
def test_windows_with_carried_states_are_one_long_reading(cell, streams, warm_up):
    """Windows of 20 against each stream read in one go, from 20 before its part if warmed up."""
    symbols = np.random.default_rng(1).integers(0, 4, 180).astype(np.int32)
    model = LanguageModel(cell, symbols=5)
    state = cell.initial_state(1)
    params = model.init(jax.random.PRNGKey(0), jnp.zeros((1, 1), jnp.int32), state)
    params = jax.tree.map(lambda p: 1.5 * p, params)
    counts = Counts(np.ones(5, np.int32), np.zeros(5, np.int32))
    fresh = partial(cell.initial_state, streams)
    advance = jax.jit(partial(loss, model, fresh, counts, 0.0, 0.0, params, key=None))
    read = jax.jit(model.apply)

    total, carry = 0.0, jax.tree.map(lambda s: s + 7.0, cell.initial_state(streams))
    for window in Windows(symbols, streams, 20, warm_up):
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
    task = language_model(config)
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


def test_an_untied_embedding_has_a_kernel_of_its_own_and_dropout(config):
    config.task.embedding, config.model.dropout = 5, 0.5
    task = language_model(config)
    params = task.init(jax.random.PRNGKey(0))
    symbols = task.facts["vocabulary_size"]
    assert params["params"]["Embed_0"]["embedding"].shape == (symbols, 5)
    assert params["params"]["Dense_0"]["kernel"].shape == (config.cell.hidden_size, symbols)
    config.model.dropout = 0.0
    plain, state = language_model(config).model, task.initial_carry()
    inputs = next(iter(task.eval_batches("valid"))).inputs
    read = partial(task.model.apply, params, inputs, state)
    np.testing.assert_array_equal(read()[1], plain.apply(params, inputs, state)[1])
    keys = [{"dropout": jax.random.PRNGKey(seed)} for seed in (0, 1)]
    one, two = (read(deterministic=False, rngs=key, method="read")[1] for key in keys)
    assert np.abs(one.outputs - two.outputs).max() > 0  # of the embedded symbols
    zeros = np.mean(np.asarray(one.dropped) == 0)
    assert 0.4 < zeros < 0.6


def test_activations_are_regularized_while_training_alone(config):
    """ar and tar by their formulas, on the outputs of the same dropout."""
    config.model.dropout = 0.4
    plain = language_model(config)
    config.task.update(ar=0.7, tar=0.3)
    task = language_model(config)
    params = jax.tree.map(lambda p: 3 * p, task.init(jax.random.PRNGKey(0)))
    window, key = next(task.train_batches(Part())), jax.random.PRNGKey(5)
    losses = [t.loss(params, t.initial_carry(), window, key)[0] for t in (plain, task)]
    options = dict(deterministic=False, rngs={"dropout": key}, method="read")
    _, reading = task.model.apply(params, window.inputs, task.initial_carry(), **options)
    outputs, dropped = np.asarray(reading.outputs), np.asarray(reading.dropped)
    expected = 0.7 * (dropped**2).mean() + 0.3 * ((outputs[1:] - outputs[:-1]) ** 2).mean()
    assert float(losses[1] - losses[0]) == pytest.approx(expected, rel=1e-3)
    assert abs((dropped**2).mean() / (outputs**2).mean() - 1) > 0.1
    losses = [t.loss(params, t.initial_carry(), window, None)[0] for t in (plain, task)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("level", LEVELS)
def test_bits_per_character_are_all_bits_over_all_characters(config, tmp_path, level):
    """On one stream, read in one go: nats from the logits, characters of the decoded text."""
    text = write_text(tmp_path / "words.txt").read_text(encoding="utf-8").replace(" sat ", " sat\n")
    (tmp_path / "words.txt").write_text(text, encoding="utf-8")
    config.task.update(level=level, vocabulary_size=20 if level != "word" else 6)
    config.train.batch_size = 1
    task = language_model(config)
    params = jax.tree.map(lambda p: 2 * p, task.init(jax.random.PRNGKey(1)))
    evaluate = jax.jit(partial(task.loss, key=None))
    totals = {"nats_per_character": np.zeros(2), "nats_per_symbol": np.zeros(2)}
    carry = task.initial_carry()
    for window in task.eval_batches("test"):
        carry, means = evaluate(params, carry, window)[1]
        for name, mean in means.items():
            totals[name] += [float(mean.total), float(mean.weight)]

    known = build(level, [load(config).splits["train"]], config.task.vocabulary_size, False)
    ids = known.encode(load(config).splits["test"])
    nats, characters = one_reading(task, params, ids), len(known.decode(ids))
    assert totals["nats_per_symbol"] == pytest.approx([nats, len(ids) - 1], rel=1e-5)
    first = known.lengths[ids[0]]
    assert totals["nats_per_character"] == pytest.approx([nats, characters - first], rel=1e-5)
    if level == "word":
        assert 0.1 < np.mean(ids == known.unknown) == task.facts["test_unknown_share"]
        assert task.metric == "perplexity"


def test_the_last_tenth_is_the_valid_and_the_test_split_in_one(config):
    config.train.batch_size = 1
    task = language_model(config)
    params = jax.tree.map(lambda p: 2 * p, task.init(jax.random.PRNGKey(1)))
    splits = load(config).splits
    ids = build("character", [splits["train"]], 0, False).encode(splits["valid"] + splits["test"])
    bits = one_reading(task, params, ids) / (len(ids) - 1) / math.log(2)
    assert task.score(params, "test") == {"last_tenth_bits_per_character": pytest.approx(bits)}
    assert task.score(params, "valid") == {}


@pytest.mark.parametrize("level", ["character", "word"])
def test_baselines_count_ngrams(config, level):
    """Nats from the counting models, over the characters of the decoded text."""
    config.task.update(level=level, vocabulary_size=30)
    found = language_model(config).baselines()
    (best,) = set(found) - {"unigram"}
    order = int(best.removeprefix("Kneser-Ney ").removesuffix("-gram"))
    splits = load(config).splits
    known = build(level, [splits["train"]], 30, False)
    train, test = known.encode(splits["train"]), known.encode(splits["test"])
    characters = len(known.decode(test)) - known.lengths[test[0]]
    for name, height in [("unigram", 1), (best, order)]:
        nats = -NGrams.fit([train], height, known.size).log_probability(test)[1:]
        assert found[name]["bits_per_character"] == pytest.approx(
            nats.sum() / characters / math.log(2)
        )
        assert found[name]["perplexity"] == pytest.approx(math.exp(nats.mean()))
    counts = np.bincount(train, minlength=known.size)
    entropy = -np.sum(counts[counts > 0] / len(train) * np.log(counts[counts > 0] / len(train)))
    assert math.log(found["unigram"]["perplexity"]) == pytest.approx(entropy, rel=0.1)
    if level == "character":
        assert found[best]["perplexity"] < 0.3 * found["unigram"]["perplexity"]


def test_summaries_are_in_bits_nats_and_perplexity():
    nats = {"nats_per_character": 2 * math.log(2), "nats_per_symbol": 3 * math.log(2)}
    summary = summarize(nats | {"objective": 1.0})
    assert summary["bits_per_character"] == pytest.approx(2.0)
    assert summary["perplexity"] == pytest.approx(8.0)
    assert summary["objective"] == 1.0


def test_training_learns_the_words(config):
    config.cell.hidden_size = 32
    config.optimizer.update(learning_rate=0.02, warmup_steps=0)
    config.train.steps = 120
    task = language_model(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    evaluate, step = make_evaluate(task, config), make_train_step(task, config)
    before = evaluate(state.params, "test")[0]["bits_per_character"]
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    after = evaluate(state.params, "test")[0]["bits_per_character"]
    assert before > 3.5
    assert after < 2.0


def test_generation_is_the_model_read_step_by_step(config):
    task = language_model(config)
    params = jax.tree.map(lambda p: 3 * p, task.init(jax.random.PRNGKey(2)))
    prompt = jnp.array([3, 1, 4])
    greedy = generate(task.model, params, jax.random.PRNGKey(0), prompt, jnp.zeros(1), length=12)
    read = jnp.concatenate([prompt, greedy[:, 0]])
    _, logits = task.model.apply(params, read[:, None], task.model.network.initial_state(1))
    following = jnp.argmax(logits[:, 0, :-1], axis=-1)
    assert greedy[:, 0].tolist() == following[2:-1].tolist()
    assert len(set(greedy[:, 0].tolist())) > 1


def test_generation_depends_on_key_temperature_and_options(config):
    task = language_model(config)
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
    task = language_model(config)
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
    ("unit", "prompt", "written", "shown"),
    [
        ("sentence", "☃\n", "\n he sat. She went.\n", "☃\n\n he sat."),
        ("sentence", "☃", 'e 3.5 "Go!" he', '☃e 3.5 "Go!"'),
        ("sentence", "☃", "no end", "☃no end"),
        ("paragraph", "☃\n", "\n\nOne.\nTwo.\n \nThree", "☃\n\n\nOne.\nTwo."),
        ("paragraph", "☃", "\n\nOne.\nTwo.", "☃"),
        (None, "", "One.\n\nTwo.", "One.\n\nTwo."),
    ],
)
def test_samples_end_where_their_unit_does(
    config, tmp_path, monkeypatch, unit, prompt, written, shown
):
    text = "".join(sorted(set(written))) * 40
    (tmp_path / "words.txt").write_text(text)
    ids = build("character", [text], 0, False).encode(written)
    monkeypatch.setattr(running_text, "generate", lambda *_: jnp.asarray(ids)[:, None])
    task = language_model(config)
    task.sample(None, None, tmp_path, prompt=prompt, temperature=1.0, unit=unit)
    got = (tmp_path / "samples.txt").read_text(encoding="utf-8")
    assert got == f"--- temperature 1 ---\n{shown}\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "--length is 0, it must be at least 1"),
        ({"temperature": -1.0}, "--temperature is -1, it must be 0 or above and finite"),
        ({"top_k": 1000}, "--top_k is 1000, it must be between 1 and"),
        ({"top_p": 0.0}, "--top_p is 0.0"),
        ({"unit": "page"}, "--unit is 'page', it must be sentence or paragraph"),
    ],
)
def test_bad_sampling_options_are_named(config, tmp_path, options, message):
    task = language_model(config)
    params = task.init(jax.random.PRNGKey(0))
    with pytest.raises(ConfigError, match=message):
        task.sample(params, jax.random.PRNGKey(0), tmp_path, **options)


def test_texts_that_cannot_serve_are_refused(config, tmp_path):
    (tmp_path / "short.txt").write_text("too short")
    config.task.path = str(tmp_path / "short.txt")
    with pytest.raises(ConfigError, match="short.txt has 9 characters; give a text of at least 40"):
        language_model(config)
    config.task.path, config.task.text = None, "shakespear"
    with pytest.raises(ConfigError, match="did you mean 'shakespeare'"):
        language_model(config)
    config.task.update(text="stdlib", tied=True)
    with pytest.raises(ConfigError, match=r"config\.task\.embedding is 0; give the embedding"):
        language_model(config)
    config.task.steps = 0
    with pytest.raises(ConfigError, match=r"config\.task\.steps is 0"):
        language_model(config)


@pytest.mark.parametrize("level", ["ngram", "subword", "word"])
def test_one_line_serves_unless_a_split_has_too_few_symbols(config, tmp_path, level):
    config.task.update(level=level, vocabulary_size=50)
    (tmp_path / "words.txt").write_text("a b c d e f g h i j " * 5)
    assert language_model(config).facts["vocabulary_size"] >= 11
    (tmp_path / "words.txt").write_text("x" * 60)
    if level != "ngram":
        with pytest.raises(ConfigError, match="split of words.txt has fewer than two"):
            language_model(config)
    (tmp_path / "words.txt").write_text(" \n" * 60)
    with pytest.raises(ConfigError, match="the training text is empty"):
        language_model(config)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\x7fELF\0\0", "is no text"), (b"\xff" * 99, "is no UTF-8 text")],
)
def test_files_that_hold_no_text_are_refused(config, tmp_path, content, message):
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=f"config.task.path: .*words.txt {message}"):
        language_model(config)


def test_ten_million_characters_on_a_line_are_a_text_like_others(config, tmp_path):
    words = "the cat sat on a mat, " * 500_000
    (tmp_path / "words.txt").write_text(words)
    started = time.process_time()
    facts = language_model(config).facts
    assert time.process_time() - started < 10.0
    assert sum(facts[f"{name}_characters"] for name in ("train", "valid", "test")) == len(words)
    assert facts["vocabulary_size"] == len(set(words)) + 1


def test_the_standard_library_is_the_default_text():
    config = char_lm_config.get_config()
    config.mode = "tiny"
    facts = language_model(resolve(config)).facts
    assert facts["sha256"] == files.sha256(stdlib_text().encode())
    assert json.loads(json.dumps(facts)) == facts


def test_captions_are_lines_in_their_own_splits():
    config = resolve(word_lm_config.get_config(), {"mode": "tiny"}).unlock()
    try:
        task = language_model(config)
    except ConfigError as error:
        pytest.skip(f"Multi30k cannot be had ({error})")
    lines = {name: text.count("\n") for name, text in load(config).splits.items()}
    assert lines == {"train": 29_000, "valid": 1014, "test": 1000}
    assert task.score is None
    assert load(config).sentence_end is LINE_END
    assert task.facts["test_unknown_share"] > 0
