"""BLEU, ROUGE-L and exact match by hand and by plain loops."""

import math
import random
from collections import Counter

import numpy as np
import pytest

from experiments.language.scores import bleu, exact_match, rouge_l

WORDS = ["a", "man", "in", "blue", "hat", "&apos;s", "Dog", "über", ",", "."]


def texts(seed, count, longest=14):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(4, longest))) for _ in range(count)]


def nearby(lines, seed):
    """The lines with every fourth word or so another one, or gone."""
    rng = random.Random(seed)
    words = [[rng.choice([w, w, w, *WORDS[:1], ""]) for w in line.split()] for line in lines]
    return [" ".join(filter(None, line)) for line in words]


def plain_bleu(hypotheses, references):
    """The formula, of whole corpora whose counts are all above zero."""
    logs, lines = [], [(h.split(), r.split()) for h, r in zip(hypotheses, references, strict=True)]
    for n in (1, 2, 3, 4):
        found = total = 0
        for pair in lines:
            h, r = (Counter(tuple(t[i : i + n]) for i in range(len(t) - n + 1)) for t in pair)
            found += sum(min(count, r[gram]) for gram, count in h.items())
            total += sum(h.values())
        logs.append(math.log(found / total))
    c, r = (sum(len(pair[i]) for pair in lines) for i in (0, 1))
    return 100 * min(1.0, math.exp(1 - r / c)) * math.exp(sum(logs) / 4)


def longest_common(a, b):
    """LCS by its recursion, without a table."""
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_common(a[1:], b[1:])
    return max(longest_common(a[1:], b), longest_common(a, b[1:]))


def test_bleu_by_hand():
    """Of 6, 5, 4, 3 n-grams 5, 4, 3, 2 are in the reference of 7 tokens: a brevity penalty too."""
    score, signature = bleu(["the cat sat on a mat"], ["see the cat sat on a rug"])
    expected = 100 * math.exp(1 - 7 / 6) * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    assert score == pytest.approx(expected)
    assert "tok:none" in signature
    assert "case:mixed" in signature
    assert "version:" in signature


@pytest.mark.parametrize("seed", range(3))
def test_bleu_is_the_formula_over_the_whole_corpus(seed):
    references = texts(seed, 30)
    hypotheses = nearby(references, seed)
    score, _ = bleu(hypotheses, references)
    assert 10 < score < 90
    assert score == pytest.approx(plain_bleu(hypotheses, references))
    assert bleu(references, references)[0] == pytest.approx(100.0)


def test_bleu_with_several_references_by_hand():
    """Of 9, 7, 5, 3 n-grams 9, 7, 4, 2 are in one of them; as long are, the shorter if tied, 10."""
    several = [["x a b c d y", "d e f g"], ["k l m n o p"]]
    score, signature = bleu(["a b c d e", "k l m n"], several)
    assert score == pytest.approx(100 * math.exp(1 - 10 / 9) * (4 / 5 * 2 / 3) ** 0.25)
    assert "nrefs:var" in signature


def test_bleu_counts_tokens_as_they_stand():
    line = "don&apos;t , she said : stop ."
    assert bleu([line], [line.upper()])[0] < 30
    assert bleu(["a b c , d ."], ["a b c, d."])[0] < bleu(["a b c , d ."], ["a b c , d ."])[0]


def test_rouge_l_by_hand():
    """Three tokens of four, in order, of a reference of five: P = 3/4, R = 3/5."""
    assert rouge_l(["find the old file"], ["find a very old file"])[0] == pytest.approx(200 / 3)
    assert rouge_l(["old find", "same"], ["find old", "same"]) == pytest.approx((75.0, 25.0))
    assert rouge_l(["reading files"], ["read file"]) == (0.0, 0.0)  # no stems
    assert rouge_l(["", "—"], ["some words", "—"]) == (0.0, 0.0)


def test_rouge_l_is_the_mean_f1_of_its_formula():
    references = texts(5, 12, longest=7)
    hypotheses = texts(6, 12, longest=7)
    drop = str.maketrans(",.&;ü", "     ")
    expected = []
    for pair in zip(hypotheses, references, strict=True):
        h, r = (text.lower().translate(drop).split() for text in pair)
        common = longest_common(h, r)
        expected.append(100 * 2 * common / (len(h) + len(r)))
    mean, error = rouge_l(hypotheses, references)
    assert mean == pytest.approx(np.mean(expected))
    assert error == pytest.approx(np.std(expected, ddof=1) / 12**0.5)


def test_exact_match_counts_whole_texts():
    hypotheses = ["a cat", "a  dog ", "A cow", "", "a pig ."]
    references = ["a cat", "a dog", "a cow", "", "a pig"]
    assert exact_match(hypotheses, references) == pytest.approx(60.0)


@pytest.mark.parametrize("score", [bleu, rouge_l, exact_match])
@pytest.mark.parametrize("sizes", [(2, 1), (1, 2), (0, 0)])
def test_texts_that_do_not_pair_are_refused(score, sizes):
    with pytest.raises(ValueError, match=f"at least one, got {sizes[0]} and {sizes[1]}"):
        score(*(["a cat sat there"] * size for size in sizes))
