"""Connectionist temporal classification: labels without saying when (Graves et al. 2006).

A network gives each frame log-probabilities of 1 + K outputs: output 0 is the blank, and label k,
counted from 0, is output k + 1. A path is one output for every frame; it says the labels that are
left when its repeats are merged and then its blanks dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

Array = jax.Array | np.ndarray
BLANK = 0


def losses(logits: Array, lengths: Array, labels: Array, label_lengths: Array) -> jax.Array:
    """Negative log-likelihood of each sequence's labels, in nats.

        L = -log Σ over all paths that say the labels of ∏ over frames t of p_t(path_t)

    Where there is no such path, because the frames are fewer than the labels and the blanks between
    equal neighbours, the loss is finite and about 1e5 or more. A sequence without frames and labels
    has loss 0. What padding holds makes no difference, not even if it is NaN.

    Args:
        logits: [T, B, 1 + K]; computed with in float32 at least.
        lengths: the frames of each sequence [B].
        labels: [B, L].
        label_lengths: [B].

    Returns:
        Losses [B].

    Example:
        >>> uniform = np.zeros((2, 1, 3), np.float32)  # 3 of the 9 paths say the label 0
        >>> f"{losses(uniform, [2], np.array([[0]]), [1])[0]:.4f}"
        '1.0986'

    Source: Graves et al. 2006, "Connectionist temporal classification", ICML, equations 2 and 3.
    """
    frames = jnp.arange(logits.shape[0]) < jnp.asarray(lengths)[:, None]
    said = jnp.arange(labels.shape[1]) < jnp.asarray(label_lengths)[:, None]
    logits = jnp.asarray(logits, jnp.promote_types(logits.dtype, jnp.float32)).swapaxes(0, 1)
    return optax.ctc_loss(
        jnp.where(frames[..., None], logits, 0),
        1.0 - frames,
        jnp.where(said, jnp.asarray(labels) + 1, BLANK),
        1.0 - said,
        blank_id=BLANK,
    )


def collapse(path: np.ndarray) -> np.ndarray:
    """The labels that a path says.

    Args:
        path: the output of each frame [T].

    Returns:
        Labels, int32 [L], L at most T.

    Example:
        >>> collapse(np.array([0, 3, 3, 0, 3, 1])).tolist()
        [2, 2, 0]
    """
    new = path != np.append(BLANK, path[:-1])
    return (path[new & (path != BLANK)] - 1).astype(np.int32)


def greedy(log_probs: np.ndarray) -> np.ndarray:
    """The labels of the most probable path.

    Args:
        log_probs: [T, 1 + K].

    Returns:
        Labels, int32 [L].

    Example:
        >>> greedy(np.log([[0.4, 0.6], [0.8, 0.2], [0.1, 0.9]])).tolist()
        [0, 0]

    Source: Graves et al. 2006, equation 4, "best path decoding".
    """
    return collapse(np.argmax(log_probs, axis=-1))


def prefix_beam_search(log_probs: np.ndarray, beams: int) -> np.ndarray:
    """The most probable labels, summed over their paths, that a beam of prefixes finds.

    Every prefix has two probabilities: of its paths that end in a blank, and of those that end in
    its last label. Only the former can say that label once more.

    Args:
        log_probs: [T, 1 + K].
        beams: how many prefixes are kept after each frame.

    Returns:
        Labels, int32 [L].

    Example:
        >>> log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])
        >>> prefix_beam_search(log_probs, beams=2).tolist(), greedy(log_probs).tolist()
        ([0], [])

    Source: Hannun et al. 2014, arXiv:1408.2873, algorithm 1, without a language model.
    """
    prefixes: list[tuple[int, ...]] = [()]  # of outputs, the last of each in `last`
    blank, label, last = np.zeros(1), np.full(1, -np.inf), np.full(1, BLANK)
    for frame in np.asarray(log_probs, np.float64):
        total = np.logaddexp(blank, label)
        longer = total[:, None] + frame  # column c: with c appended; column BLANK: as it was
        longer[np.arange(len(last)), last] = blank + frame[last]
        longer[:, BLANK] = label + frame[last]
        _merge(prefixes, last, longer)
        ended = total + frame[BLANK]
        scores = longer.copy()
        scores[:, BLANK] = np.logaddexp(ended, longer[:, BLANK])
        best = np.argsort(-scores, axis=None, kind="stable")[:beams]
        best = best[scores.ravel()[best] != -np.inf]
        rows, outputs = np.divmod(best, len(frame))
        stays = outputs == BLANK
        blank, label = np.where(stays, ended[rows], -np.inf), longer[rows, outputs]
        last = np.where(stays, last[rows], outputs)
        prefixes = [
            prefixes[row] + (output,) if output != BLANK else prefixes[row]
            for row, output in zip(rows.tolist(), outputs.tolist(), strict=True)
        ]
    return np.array(prefixes[0], np.int32) - 1


def _merge(prefixes: list[tuple[int, ...]], last: np.ndarray, longer: np.ndarray) -> None:
    """Moves what would grow into a prefix of the beam to where that prefix stays as it was."""
    rows = {prefix: row for row, prefix in enumerate(prefixes)}
    parents = np.array([rows.get(prefix[:-1], -1) if prefix else -1 for prefix in prefixes])
    (children,) = np.nonzero(parents >= 0)
    grown = parents[children], last[children]
    longer[children, BLANK] = np.logaddexp(longer[children, BLANK], longer[grown])
    longer[grown] = -np.inf


def align(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The most probable of the paths that say some labels, by Viterbi's algorithm.

    Args:
        log_probs: [T, 1 + K].
        labels: [L].

    Returns:
        The output of each frame [T], BLANK or a label + 1.

    Raises:
        ValueError: if no path says the labels.

    Example:
        >>> align(np.log([[0.2, 0.8], [0.3, 0.7], [0.4, 0.6]]), np.array([0, 0])).tolist()
        [1, 0, 1]
    """
    outputs = np.full(2 * len(labels) + 1, BLANK)
    outputs[1::2] = np.asarray(labels) + 1
    emitted = np.asarray(log_probs, np.float64)[:, outputs]
    skips = np.zeros(len(outputs), bool)
    skips[2:] = outputs[2:] != outputs[:-2]  # two blanks are equal: no skip
    score = np.where(np.arange(len(outputs)) < 2, emitted[0], -np.inf)
    moves = np.zeros(emitted.shape, int)
    for t in range(1, len(emitted)):
        one, two = (np.append(np.full(n, -np.inf), score)[: len(score)] for n in (1, 2))
        options = np.stack([score, one, np.where(skips, two, -np.inf)])
        moves[t] = options.argmax(axis=0)
        score = options.max(axis=0) + emitted[t]
    place = len(score) - 1 - int(np.argmax(score[::-1][:2]))
    if score[place] == -np.inf:
        raise ValueError(f"no path of {len(emitted)} frames says the {len(labels)} labels")
    path = np.empty(len(emitted), int)
    for t in reversed(range(len(emitted))):
        path[t] = outputs[place]
        place -= moves[t, place]
    return path


def edit_distance(found: np.ndarray, reference: np.ndarray) -> int:
    """The least number of insertions, deletions and substitutions from one to the other.

    Args:
        found: labels [L].
        reference: labels [M].

    Returns:
        At least |L - M|, at most max(L, M).

    Example:
        >>> edit_distance(np.array([1, 2, 3]), np.array([2, 3, 4]))
        2
    """
    steps = np.arange(len(reference) + 1)
    row = steps
    for number, label in enumerate(found, 1):
        kept = np.minimum(row[1:] + 1, row[:-1] + (np.asarray(reference) != label))
        row = np.minimum.accumulate(np.append(number, kept) - steps) + steps
    return int(row[-1])


def label_error_rate(found: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """Edits from what was found to the references, in per cent of the references' labels.

    Args:
        found: labels [L] for each of N sequences.
        references: the right ones [M].

    Returns:
        0 if all are right; it may be more than 100.

    Example:
        >>> label_error_rate([np.array([1, 2]), np.array([3])], [np.array([1, 2]), np.array([4])])
        33.333333333333336

    Source: Graves et al. 2006, equation 1, but with the edits and the labels summed over all
    sequences before they are divided, as word error rates are.
    """
    edits = sum(map(edit_distance, found, references))
    return 100 * edits / max(sum(map(len, references)), 1)
