"""The cloze task: its examples, its metrics by hand, baselines, scores, samples, refusals."""

import json
import math
import os
import random
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import cloze as cloze_config
from experiments.config import ConfigError, resolve
from experiments.data import files
from experiments.language.ngrams import NGrams
from experiments.mesh import Part
from experiments.tasks.cloze import cloze, cut, ranks
from experiments.training.step import init_state, make_evaluate, make_train_step

WORDS = ["the", "a", "cat", "dog", "mat", "hat", "sat", "ran", "on", "by", "big", "red"]
TEXT = {"train": 270, "valid": 15, "test": 15}  # lines


def write_text(path, lines=300):
    """Lines of three to eight random words, blank ones between them; the last has a new word."""
    rng = random.Random(0)
    texts = []
    for number in range(lines):
        words = rng.choices(WORDS, k=rng.randint(3, 8)) + ["zebra"] * (number == lines - 1)
        texts.append(" ".join(words))
    path.write_text("\n\n".join(texts) + "\n")
    return path


def settings(path, **changes):
    config = cloze_config.get_config()
    config.mode = "tiny"
    return resolve(config, {"task.path": str(path), "task.lines": 3, **changes}).unlock()


@pytest.fixture
def config(tmp_path):
    return settings(write_text(tmp_path / "words.txt"))


def as_sets(task, split):
    """All examples of a split as tuples of words."""
    return sorted(
        tuple(words[:length].tolist())
        for batch in task.eval_batches(split)
        for words, length in zip(batch.words.T, batch.lengths, strict=True)
        if length
    )


def test_examples_are_stretches_of_lines_each_once(config, tmp_path):
    task = cloze(config)
    lines = (tmp_path / "words.txt").read_text().split("\n\n")
    lines[-1] = lines[-1].strip()
    counts = [len(line.split()) for line in lines]
    expected, start = {}, 0
    for split, number in TEXT.items():
        own = counts[start : start + number]
        sums = [sum(own[k : k + 3]) + 2 for k in range(0, number, 3)]
        expected[split], start = sorted(sums), start + number
    for split in ("valid", "test"):
        assert sorted(map(len, as_sets(task, split))) == expected[split]
        assert task.facts[f"{split}_words"] == sum(expected[split])
    assert task.facts["train_examples"] == 90
    assert task.facts["train_words"] == sum(expected["train"])
    assert task.facts["sha256"] == files.sha256("\n".join(lines).encode())
    assert task.facts["vocabulary_size"] == len(WORDS) + 1 + 3  # the line end, unknown and marks
    assert task.facts["test_unknown_share"] == 1 / sum(expected["test"])
    assert json.loads(json.dumps(task.facts)) == task.facts


def test_single_lines_need_no_line_ends(config):
    config.task.lines = 1
    task = cloze(config)
    assert task.facts["vocabulary_size"] == len(WORDS) + 3
    assert task.facts["test_examples"] == 15


def test_long_lines_become_several(tmp_path):
    (tmp_path / "long.txt").write_text("\n".join([" ".join(WORDS * 21)] * 20))
    task = cloze(settings(tmp_path / "long.txt", **{"task.lines": 1}))
    assert task.facts["test_words"] == 252
    assert sorted(map(len, as_sets(task, "test"))) == [52, 100, 100]


def test_cut_keeps_the_order():
    assert cut(list("abcdefg"), 3) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


def test_an_epoch_reads_every_training_text(config):
    task = cloze(config)
    batches = task.train_batches(Part())
    state = batches.get_state()
    texts = epoch(batches)
    assert len(texts) == task.facts["train_examples"] == 90
    assert sum(map(len, texts)) == task.facts["train_words"]
    batches.set_state(state)
    assert sorted(map(tuple, epoch(batches))) == sorted(map(tuple, texts))


def epoch(batches):
    """The different texts of the first twelve batches of eight."""
    drawn = [next(batches) for _ in range(12)]
    texts = {
        words[:length].tobytes(): words[:length]
        for batch in drawn
        for words, length in zip(batch.words.T, batch.lengths, strict=True)
    }
    return list(texts.values())


def by_hand(task, params, split):
    """Perplexity, top1 and top5 of a split by a loop, each word predicted in a text of its own."""
    read = jax.jit(task.model.apply)
    unknown = task.model.words - 1
    nats, right = [], {1: [], 5: []}
    for text in as_sets(task, split):
        for place, word in enumerate(text):
            seen = np.array(text)
            seen[place] = (word + 1) % task.model.words  # the model must not look there
            padded = np.zeros((40, 1), np.int32)
            padded[: len(text), 0] = seen
            logits = read(params, padded, np.array([len(text)])).logits()[place, 0]
            logits = np.asarray(logits, np.float64)
            nats.append(math.log(np.exp(logits).sum()) - logits[word])
            known = np.argsort(-logits[:unknown]).tolist()
            for k in right:
                right[k].append(word in known[:k])
    shares = {f"top{k}": np.mean(r) for k, r in right.items()}
    return {"perplexity": math.exp(np.mean(nats)), **shares}


@pytest.mark.parametrize("bidirectional", [True, False])
def test_metrics_are_those_of_every_word_hidden_in_turn(config, bidirectional):
    config.task.bidirectional = bidirectional
    config.train.batch_size = 4  # leaves places of the last batch empty
    task = cloze(config)
    state = init_state(task, config)
    params = jax.tree.map(lambda p: p * 3, state.params)
    found = make_evaluate(task, config)(params, "test")[0]
    expected = by_hand(task, jax.tree.map(lambda p: p[0], params), "test")
    assert 0 < expected["top1"] < expected["top5"] < 1
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name


def test_ranks_leave_out_the_unknown_word():
    logits = jnp.array([[3.0, 1.0, 2.0, 9.0]] * 4)  # the last word is the unknown one
    assert ranks(logits, jnp.arange(4)).tolist() == [0, 2, 1, 4]


def test_training_hides_words_and_evaluation_does_not(config):
    config.model.dropout = 0.0

    def nats(rate, key):
        config.task.hide = rate
        task = cloze(config)
        params = jax.tree.map(lambda p: 3 * p, jax.jit(task.init)(jax.random.PRNGKey(0)))
        batch = next(iter(task.eval_batches("valid")))
        loss, (_, means) = jax.jit(partial(task.loss, params, ()))(batch, key)
        assert means["nats"].weight == batch.lengths.sum() < batch.words.size
        assert loss == pytest.approx(float(means["nats"].total / means["nats"].weight))
        return float(loss)

    key = jax.random.PRNGKey(1)
    assert nats(0.0, None) == nats(0.9, None) == pytest.approx(nats(0.0, key), rel=1e-6)
    assert abs(nats(0.9, key) - nats(0.0, key)) > 1e-3


def test_the_baselines_count_the_words_of_training(config):
    task = cloze(config)
    found, train = task.baselines(), epoch(task.train_batches(Part()))
    test = [np.array(text) for text in as_sets(task, "test")]
    words = np.concatenate(test).tolist()
    counts = np.bincount(np.concatenate(train), minlength=task.model.words)
    unknown = task.model.words - 1
    for k in (1, 5):
        above = [sum(counts[:unknown] > counts[word]) for word in words if word != unknown]
        right = sum(n < k for n in above) / len(words)
        assert found["unigram"][f"top{k}"] == pytest.approx(right)
    for name, order in [("unigram", 1), ("Kneser-Ney 3-gram, words before", 3)]:
        model = NGrams.fit(train, order, task.model.words)
        nats = -np.concatenate([model.log_probability(text) for text in test]).mean()
        assert found[name]["perplexity"] == pytest.approx(math.exp(nats))
    rows = [row for text in test for row in model.log_probability_around(text)]
    right = [row[word] for row, word in zip(rows, words, strict=True)]
    above = [
        sum(row[:unknown] > own)
        for row, own, word in zip(rows, right, words, strict=True)
        if word != unknown
    ]
    assert found["Kneser-Ney 3-gram, both sides"] == {
        "perplexity": pytest.approx(math.exp(-np.mean(right))),
        "top1": pytest.approx(sum(n < 1 for n in above) / len(words)),
        "top5": pytest.approx(sum(n < 5 for n in above) / len(words)),
        "missing_line_accuracy": found["Kneser-Ney 3-gram, both sides"]["missing_line_accuracy"],
    }
    assert found["chance"] == {"missing_line_accuracy": 0.1}
    assert found["unigram"]["missing_line_accuracy"] in [k / 5 for k in range(6)]


def write_topics(path):
    """Passages of three lines about one of twelve names; each line has a verb of its own."""
    names = ["ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ivy", "joe", "kim", "lee"]
    chosen = random.Random(1).choices(names, k=200)
    path.write_text("\n".join(f"{n} sings\n{n} swims\n{n} sleeps" for n in chosen))
    return path


def learn(path, bidirectional):
    changes = {
        "task.bidirectional": bidirectional,
        "task.beams": 5,
        "task.embedding": 16,
        "cell.hidden_size": 16,
        "optimizer.learning_rate": 0.03,
        "train.steps": 250,
        "train.batch_size": 16,
        "model.dropout": 0.0,
    }
    config = settings(path, **changes)
    task = cloze(config)
    state, batches = init_state(task, config), task.train_batches(Part())
    step = make_train_step(task, config)
    for _ in range(config.train.steps):
        state, _ = step(state, next(batches))
    values = make_evaluate(task, config)(state.params, "test")[0]
    params = jax.tree.map(lambda p: p[0], state.params)
    return task, params, values | task.score(params, "test")


def test_what_follows_tells_what_was_missing(tmp_path, capsys):
    """The first name of a passage can be told by those after it alone: 1 of 8 words."""
    path = write_topics(tmp_path / "topics.txt")
    task, params, both = learn(path, bidirectional=True)
    _, _, forward = learn(path, bidirectional=False)
    unigram = task.baselines()["unigram"]
    assert both["top1"] > 0.98
    assert unigram["top1"] < forward["top1"] < 0.9
    assert both["perplexity"] < 1.1 < forward["perplexity"] < unigram["perplexity"]
    assert both["run2_exact"] > 0.9
    assert both["run3_exact"] > 0.9
    assert both["missing_line_accuracy"] == 1.0
    assert unigram["missing_line_accuracy"] < 0.6
    check_samples(task, params, tmp_path, capsys)


def check_samples(task, params, directory, capsys):
    """What a model that has learned writes: here its guesses can be told."""
    task.sample(params, jax.random.PRNGKey(0), directory)
    written = (directory / "samples.txt").read_text()
    assert capsys.readouterr().out.strip() == written.strip()
    blocks = [block.split("\n") for block in written.strip().split("\n\n")]
    gaps = [sum(line.split().count("____") for line in block) for block in blocks]
    assert gaps == [1] * 4 + [2] * 4 + [3] * 4 + [1] * 4
    for block in blocks[-4:]:
        assert any(line.startswith("  > * ") for line in block)
    task.sample(params, jax.random.PRNGKey(0), directory, prompt="eve sings\n___ ___\neve sleeps")
    lines = (directory / "samples.txt").read_text().splitlines()
    assert lines[:3] == ["eve sings", "____ ____", "eve sleeps"]
    assert lines[3].endswith("eve swims")
    with pytest.raises(ConfigError, match="--prompt has no gap"):
        task.sample(params, jax.random.PRNGKey(0), directory, prompt="eve sings")


def test_the_missing_lines_are_scored_where_there_are_ten(config, tmp_path):
    task = cloze(config)
    params = jax.jit(task.init)(jax.random.PRNGKey(0))
    assert set(task.score(params, "valid")) == {
        "run2_exact",
        "run3_exact",
        "missing_line_accuracy",
    }
    config.task.path = str(write_text(tmp_path / "few.txt", lines=60))
    task = cloze(config)
    params = jax.jit(task.init)(jax.random.PRNGKey(0))
    assert "missing_line_accuracy" not in task.score(params, "test")
    assert "chance" not in task.baselines()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"one line\n" * 10, "has 10 lines that are not blank; give a text of at least 20"),
        (b"one long line " * 19, "has 1 lines that are not blank"),
        (b"\n" * 99, "has 0 lines that are not blank"),
        (b"\xff" * 99, "is no UTF-8 text"),
    ],
)
def test_texts_that_cannot_serve_are_refused(config, tmp_path, content, message):
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=f"config.task.path: .*{message}"):
        cloze(config)


def test_multi30k_is_read_by_sentences():
    if not os.environ.get("LSTM_JAX_DATA"):
        pytest.skip("LSTM_JAX_DATA is not set")
    config = cloze_config.get_config()
    config.mode = "tiny"
    facts = cloze(resolve(config)).facts
    counts = {"train": 29_000, "valid": 1014, "test": 1000}
    assert {split: facts[f"{split}_examples"] for split in counts} == counts
    assert facts["test_words"] == 12_968
    assert facts["lines"] == 1
