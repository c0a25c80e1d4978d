"""Translation: its data, its scores by hand, what it refuses, whole runs, a toy language."""

import random

import jax
import numpy as np
import pytest

from configs import translation as translation_config
from experiments.config import ConfigError, resolve
from experiments.language import scores
from experiments.language.corpora import Pair
from experiments.language.vocabulary import build
from experiments.tasks.translation import baselines, judge, load, translation, vocabularies
from experiments.training.loop import fit

GERMAN = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht"]
ENGLISH = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
COUNTS = {"train": 300, "valid": 20, "test": 20}


def write_pairs(directory, counts, words=(3, 6)):
    """Sentences whose translation is word by word, from the last word to the first."""
    rng = random.Random(1)
    for split, count in counts.items():
        drawn = [rng.choices(range(8), k=rng.randint(*words)) for _ in range(count)]
        for suffix, known, step in (("de", GERMAN, 1), ("en", ENGLISH, -1)):
            lines = [" ".join(known[n] for n in numbers[::step]) for numbers in drawn]
            (directory / f"{split}.{suffix}").write_text("\n".join(lines), encoding="utf-8")
    return directory


@pytest.fixture
def config(tmp_path):
    path = write_pairs(tmp_path, COUNTS)
    overrides = {"mode": "tiny", "task.path": str(path), "task.level": "word"}
    config = translation_config.get_config()
    config.mode = "tiny"
    return resolve(config, overrides).unlock()


def test_each_language_has_the_words_of_its_training_side(config, tmp_path):
    (tmp_path / "test.de").write_text("neun eins\n" * 20)
    splits = load(config)
    assert {name: len(split) for name, split in splits.items()} == COUNTS
    source, target = vocabularies(config, splits["train"])
    assert sorted(source.symbols) == sorted(GERMAN)
    assert sorted(target.symbols) == sorted(ENGLISH)
    assert (source.encode("neun eins") == source.unknown).tolist() == [True, False]
    facts = translation(config).facts
    assert (facts["source_symbols"], facts["target_symbols"]) == (11, 11)
    assert (facts["train_pairs"], facts["test_pairs"]) == (300, 20)
    assert "BLEU" in facts["bleu_signature"] or "tok:none" in facts["bleu_signature"]


def test_long_sentences_are_left_out_of_training_alone(config):
    config.task.longest = 5
    kept = sum(len(pair.source.split()) < 5 for pair in load(config)["train"])
    assert 0 < kept < 300
    facts = translation(config).facts
    assert (facts["train_pairs"], facts["test_pairs"]) == (kept, 20)


def test_a_sentence_is_read_whole_and_its_translation_follows_the_start(config):
    splits, task = load(config), translation(config)
    source, target = vocabularies(config, splits["train"])
    seen = []
    for batch in task.eval_batches("test"):
        for column in np.flatnonzero(batch.lengths):
            read = batch.inputs.symbols[: batch.inputs.lengths[column], column]
            written = batch.symbols[: batch.lengths[column] + 1, column]
            assert (written[0], written[-1]) == (target.start, target.end)
            seen.append(Pair(source.decode(read), target.decode(written)))
    assert sorted(seen) == sorted(splits["test"])


def test_baselines_by_hand():
    train = [Pair("a", "x y x"), Pair("b", "y x")]
    test = [Pair("x x x x", "x x x x"), Pair("c d e f", "x x x x")]
    found = baselines({"train": train, "test": test}, build("word", ["x y"], 9, marks=True))
    assert found["'x' for every word"] == {"bleu": pytest.approx(100)}
    copied = scores.bleu(["x x x x", "c d e f"], ["x x x x"] * 2)[0]
    assert found["the source itself"] == {"bleu": pytest.approx(copied)}
    assert copied == pytest.approx(100 * (4 * 3 * 2 * 1 / (8 * 6 * 4 * 2)) ** 0.25)


def test_translations_are_judged_against_the_references_of_their_split():
    """BLEU by hand: 5 of 8 words, 3 of 6 pairs, 2 of 4 triples and 1 of 2 in fours are there."""

    class Stub:
        vocabulary = build("word", ["a b, c."], 9, marks=True)

        def write(self, params, split):
            assert (params, split) == ("params", "valid")
            return ["a b , d", "e q r s"]

    split = [Pair("", "a b, d"), Pair("", "e f g h")]
    precisions = 5 / 8 * 3 / 6 * 2 / 4 * 1 / 2
    expected = {"bleu": pytest.approx(100 * precisions**0.25)}
    assert judge(Stub(), split, "params", "valid") == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task.path": None, "task.target": "de"}, "are both 'de'; choose two"),
        ({"task.target": "de"}, "are both 'de'; choose two"),
        ({"task.path": None, "task.target": "fr"}, "config.task.target is 'fr', choose one of"),
        ({"task.target": "fr"}, r"has no file train\.fr; it must have train\.de, train\.fr"),
        ({"task.longest": 2}, "config.task.longest is 2, but every"),
        ({"task.attention": "loung"}, "did you mean 'luong'"),
        (
            {"task.attention": "bahdanau", "model.variational_inputs": 0.1},
            "config.task.attention='bahdanau' runs them one by one; use 'luong'",
        ),
        ({"task.attention": "bahdanau", "model.drop_connect": 0.1}, "one by one; use 'luong'"),
    ],
)
def test_what_cannot_be_is_refused(config, changes, message):
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=message):
        translation(config)


def test_lines_that_do_not_pair_are_refused(config, tmp_path):
    (tmp_path / "valid.en").write_text("one\ntwo\n")
    with pytest.raises(ConfigError, match=r"valid\.de has 20 lines, but .*valid\.en has 2; pair"):
        translation(config)


def test_a_prompt_is_translated(config, tmp_path):
    task = translation(config)
    params = task.init(jax.random.key(0))
    task.sample(params, None, tmp_path, prompt="eins neun")
    text = (tmp_path / "samples.txt").read_text(encoding="utf-8")
    assert text.startswith("source:      eins neun\n")
    assert "reference" not in text
    for prompt in ("", " "):
        with pytest.raises(ConfigError, match="--prompt has no word in it"):
            task.sample(params, None, tmp_path, prompt=prompt)


@pytest.mark.slow
def test_a_toy_language_is_learned(config, tmp_path):
    """Word by word and back to front."""
    write_pairs(tmp_path, {"train": 2000, "valid": 40, "test": 40}, words=(4, 6))
    config.cell.update(name="gru", hidden_size=48)
    config.task.update(embedding=24, smoothing=0.0)
    config.model.dropout = 0.0
    config.optimizer.update(learning_rate=1e-2, warmup_steps=20)
    config.train.update(steps=600, batch_size=32, eval_every=200, log_every=100)
    workdir = tmp_path / "run"
    workdir.mkdir()
    jax.config.update("jax_disable_most_optimizations", False)
    assert fit(translation(config), config, workdir)["members"][0]["test"]["bleu"] > 90
