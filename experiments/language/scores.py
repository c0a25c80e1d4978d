"""How near written texts come to their references: BLEU, ROUGE-L, exact match."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from sacrebleu.metrics import BLEU


def bleu(hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]) -> tuple[float, str]:
    """Corpus BLEU-4 of texts whose tokens stand between blanks, each with a reference or several.

        BLEU = 100 min(1, e^(1 − r/c)) (p₁ p₂ p₃ p₄)^(1/4)

    p_n is the share of the hypotheses' n-grams that one of their references holds as often, c and r
    are the numbers of tokens of all hypotheses and, of each one's references, of the one nearest to
    it in length, the shorter if two are. sacrebleu computes it, with tokenize="none".

    Returns:
        BLEU in [0, 100], and sacrebleu's signature of how it was computed.

    Raises:
        ValueError: if there are no texts, or not as many references as hypotheses.

    Source: Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation",
    ACL; Post 2018, "A call for clarity in reporting BLEU scores", arXiv:1804.08771.
    """
    _check(hypotheses, references)
    metric = BLEU(tokenize="none", force=True)
    several = [[text] if isinstance(text, str) else text for text in references]
    streams = list(zip_longest(*several))  # None where a text has no further reference
    score = metric.corpus_score(hypotheses, streams).score
    return score, str(metric.get_signature())


def rouge_l(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[float, float]:
    """The mean ROUGE-L F1 of texts and its standard error, times 100.

        F1 = 2PR/(P + R), P = LCS/|hypothesis|, R = LCS/|reference|

    LCS is the length of the longest common subsequence of tokens. rouge-score computes it with its
    own tokens: the text in lower case, its runs of the characters a-z and 0-9, not stemmed. All
    else separates them, so ü and _ do; F1 is 0 where either text has no token.

    Raises:
        ValueError: if there are no texts, or not as many references as hypotheses.

    Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries", ACL workshop Text
    Summarization Branches Out.
    """
    from rouge_score.rouge_scorer import RougeScorer  # imports nltk, which takes seconds

    _check(hypotheses, references)
    score = RougeScorer(["rougeL"]).score
    pairs = zip(references, hypotheses, strict=True)
    values = [100 * score(*pair)["rougeL"].fmeasure for pair in pairs]
    return float(np.mean(values)), float(np.std(values) / math.sqrt(max(len(values) - 1, 1)))


def exact_match(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """The percentage of texts that are their reference, but for the number of blanks.

    Raises:
        ValueError: if there are no texts, or not as many references as hypotheses.

    Example:
        >>> exact_match(["a cat", "a dog"], ["a  cat ", "the dog"])
        50.0
    """
    _check(hypotheses, references)
    pairs = zip(hypotheses, references, strict=True)
    return 100 * sum(a.split() == b.split() for a, b in pairs) / len(references)


def _check(hypotheses: Sequence[str], references: Sequence[object]) -> None:
    if not len(hypotheses) == len(references) > 0:
        raise ValueError(
            f"hypotheses and references must be equally many, at least one, got {len(hypotheses)}"
            f" and {len(references)}"
        )
