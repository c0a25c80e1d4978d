"""CTC: the loss, decoding and alignment against all paths, errors against their definition."""

from functools import cache
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.perception import ctc

CASES = [(1, 2), (4, 2), (4, 3), (6, 1)]  # frames, labels
losses = jax.jit(ctc.losses)


def random_log_probs(seed, frames, count, sharp=2.0):
    logits = sharp * np.random.default_rng(seed).normal(size=(frames, count + 1))
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def said(path):
    """What a path says, output by output."""
    labels, previous = [], 0
    for output in path:
        if output not in (0, previous):
            labels.append(output - 1)
        previous = output
    return tuple(labels)


def all_paths(log_probs):
    """For all labels that some path says: the log-probability of each path that says them."""
    found = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        nats = sum(row[output] for row, output in zip(log_probs, path, strict=True))
        found.setdefault(said(path), {})[path] = nats
    return found


def total(paths):
    return np.log(np.sum(np.exp(list(paths.values()))))


def forward(log_probs, labels):
    """-log p(labels) in float64, by the forward variables of Graves et al. 2006."""
    outputs = [0]
    for label in labels:
        outputs += [label + 1, 0]
    probs = np.exp(log_probs)
    alpha = np.zeros(len(outputs))
    alpha[:2] = probs[0, outputs[:2]]
    for row in probs[1:]:
        new = np.zeros_like(alpha)
        for s, output in enumerate(outputs):
            new[s] = alpha[s] + (alpha[s - 1] if s else 0)
            if s > 1 and output and output != outputs[s - 2]:
                new[s] += alpha[s - 2]
            new[s] *= row[output]
        alpha = new
    return -np.log(alpha[-2:].sum())


def normalized(logits):
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def random_batch(seed, frames=12, size=5, count=4):
    """Sequences of several lengths, one without frames, with repeats among their labels."""
    random = np.random.default_rng(seed)
    logits = (2 * random.normal(size=(frames, size, count + 1))).astype(np.float32)
    labels = random.integers(0, count, (size, 4))
    labels[0] = [1, 1, 1, 0]
    return logits, np.array([frames, 9, 0, 8, 5]), labels, np.array([4, 3, 0, 4, 0])


@pytest.mark.parametrize(("frames", "count"), CASES)
def test_losses_sum_all_paths_that_say_the_labels(frames, count):
    log_probs = random_log_probs(frames, frames, count)
    by_labels = all_paths(log_probs)
    assert np.isclose(sum(np.exp(total(paths)) for paths in by_labels.values()), 1)
    logits = jnp.asarray(log_probs, jnp.float32)[:, None] + 3.0
    labels = np.zeros((len(by_labels), frames), int)
    for row, own in enumerate(by_labels):
        labels[row, : len(own)] = own
    size = len(by_labels)
    counts = np.array([*map(len, by_labels)])
    found = losses(jnp.repeat(logits, size, axis=1), np.full(size, frames), labels, counts)
    np.testing.assert_allclose(found, [-total(p) for p in by_labels.values()], rtol=2e-5, atol=2e-6)


def test_losses_and_gradients_equal_a_float64_forward_algorithm():
    logits, lengths, labels, counts = random_batch(0)
    weights = np.array([0.5, 2.0, 3.0, 1.0, 1.5], np.float32)

    def by_hand(logits):
        return sum(
            weight * forward(normalized(logits[:length, n]), labels[n, :count])
            for n, (weight, length, count) in enumerate(zip(weights, lengths, counts, strict=True))
            if length
        )

    def by_ctc(logits):
        return jnp.sum(weights * losses(logits, lengths, labels, counts))

    value, gradient = jax.value_and_grad(by_ctc)(logits)
    exact = logits.astype(np.float64)
    assert value == pytest.approx(by_hand(exact), rel=1e-5)
    for place in np.random.default_rng(1).integers(0, logits.shape, (60, 3)):
        step = np.zeros_like(exact)
        step[tuple(place)] = 1e-5
        numeric = (by_hand(exact + step) - by_hand(exact - step)) / 2e-5
        assert gradient[tuple(place)] == pytest.approx(numeric, rel=1e-3, abs=1e-5)


def test_losses_and_gradients_equal_pytorchs():
    torch = pytest.importorskip("torch")
    logits, lengths, labels, counts = random_batch(2, frames=30, count=6)
    lengths, counts = np.maximum(lengths, 1), np.maximum(counts, 1)
    leaf = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.ctc_loss(
        leaf.log_softmax(-1),
        torch.tensor(labels + 1),
        torch.tensor(lengths),
        torch.tensor(counts),
        reduction="none",
    )
    expected.sum().backward()

    def summed(logits):
        own = losses(logits, lengths, labels, counts)
        return own.sum(), own

    (_, found), gradient = jax.value_and_grad(summed, has_aux=True)(logits)
    np.testing.assert_allclose(found, expected.detach(), rtol=1e-5)
    np.testing.assert_allclose(gradient, leaf.grad, atol=2e-5)


def test_what_padding_holds_makes_no_difference():
    logits, lengths, labels, counts = random_batch(3)
    other = np.where(np.arange(len(logits))[:, None] < lengths, 0, np.nan)[..., None]
    strange = np.where(np.arange(4) < counts[:, None], labels, -1)
    strange[1, 3] = strange[1, 2]

    def summed(logits, labels):
        return jnp.sum(losses(logits, lengths, labels, counts))

    expected, gradient = jax.value_and_grad(summed)(logits, labels)
    found, strange_gradient = jax.value_and_grad(summed)(logits + other, strange)
    assert found == expected
    np.testing.assert_array_equal(strange_gradient, gradient)
    assert losses(logits, lengths, labels, counts)[2] == 0
    assert not np.any(gradient[:, 2]) and not np.any(gradient[8:, 3])


def test_labels_without_a_path_have_a_large_finite_loss():
    logits = jnp.zeros((3, 3, 4))
    labels = np.array([[1, 1, 0], [1, 2, 1], [1, 1, 1]])

    def summed(logits):
        own = losses(logits, np.array([2, 3, 3]), labels, np.array([2, 3, 3]))
        return own.sum(), own

    (_, found), gradient = jax.value_and_grad(summed, has_aux=True)(logits)
    assert found[1] == pytest.approx(3 * np.log(4), rel=1e-6)
    assert np.isfinite(found).all() and np.isfinite(gradient).all() and min(found[::2]) > 0.99e5


def test_half_precision_logits_are_computed_with_in_float32():
    logits, lengths, labels, counts = random_batch(4)
    half = jnp.asarray(logits, jnp.bfloat16)
    found = losses(half, lengths, labels, counts)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, losses(half.astype(jnp.float32), lengths, labels, counts))


@pytest.mark.parametrize(("frames", "count"), CASES)
def test_decoding_finds_the_likeliest_labels_and_paths(frames, count):
    differ = 0
    for seed in range(12):
        log_probs = random_log_probs(seed, frames, count)
        by_labels = all_paths(log_probs)
        likeliest = max(by_labels, key=lambda labels: total(by_labels[labels]))
        found = ctc.prefix_beam_search(log_probs, beams=len(by_labels))
        assert tuple(found) == likeliest and found.dtype == np.int32
        best = ctc.greedy(log_probs)
        assert tuple(best) == max(by_labels, key=lambda labels: max(by_labels[labels].values()))
        differ += tuple(best) != likeliest
        for labels, paths in by_labels.items():
            path = tuple(ctc.align(log_probs, np.array(labels, int)).tolist())
            assert path == max(paths, key=paths.__getitem__)
    assert differ or frames < 4


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_that_drops_prefixes_is_the_textbooks(seed):
    """Prefix by prefix and output by output, with probabilities in two dictionaries."""
    log_probs, beams = random_log_probs(seed, 14, 3, sharp=1.0), 3
    beam = {(): (1.0, 0.0)}
    for row in np.exp(log_probs):
        new = {}

        def add(prefix, blank, label, new=new):
            old = new.get(prefix, (0.0, 0.0))
            new[prefix] = (old[0] + blank, old[1] + label)

        for prefix, (blank, label) in beam.items():
            add(prefix, row[0] * (blank + label), 0.0)
            for output in (1, 2, 3):
                if prefix and output == prefix[-1]:
                    add(prefix, 0.0, row[output] * label)
                    add((*prefix, output), 0.0, row[output] * blank)
                else:
                    add((*prefix, output), 0.0, row[output] * (blank + label))
        beam = dict(sorted(new.items(), key=lambda item: -sum(item[1]))[:beams])
    found = ctc.prefix_beam_search(log_probs, beams)
    assert (found + 1).tolist() == list(next(iter(beam)))


def test_a_label_is_said_twice_only_with_a_blank_between():
    sure = np.log(np.full((3, 3), 0.01) + 0.97 * np.eye(3)[[1, 0, 1]])
    assert ctc.prefix_beam_search(sure, 4).tolist() == ctc.greedy(sure).tolist() == [0, 0]
    joined = np.log(np.full((3, 3), 0.01) + 0.97 * np.eye(3)[[1, 1, 1]])
    assert ctc.prefix_beam_search(joined, 4).tolist() == ctc.greedy(joined).tolist() == [0]
    assert ctc.align(joined, np.array([0, 0])).tolist() == [1, 0, 1]


def test_outputs_of_probability_zero_are_never_found():
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.3, 0.0, 0.7]]))
    assert ctc.prefix_beam_search(log_probs, 50).tolist() == [0, 1]
    assert ctc.align(log_probs, np.array([0])).tolist() in ([0, 1, 0], [1, 1, 0])
    with pytest.raises(ValueError, match="no path of 3 frames says the 2 labels"):
        ctc.align(log_probs, np.array([1, 0]))


@pytest.mark.parametrize("labels", [[0, 0], [0, 1, 0]])
def test_labels_that_no_path_says_cannot_be_aligned(labels):
    with pytest.raises(ValueError, match=f"no path of 2 frames says the {len(labels)} labels"):
        ctc.align(random_log_probs(0, 2, 2), np.array(labels))


def by_definition(found, reference):
    """The edit distance by its recursion."""

    @cache
    def distance(i, j):
        if not i or not j:
            return i + j
        same = found[i - 1] == reference[j - 1]
        return min(
            distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (not same)
        )

    return distance(len(found), len(reference))


def test_edit_distances_and_label_error_rates_are_those_of_their_definition():
    random = np.random.default_rng(0)
    sequences = [random.integers(0, 3, random.integers(0, 9)) for _ in range(120)]
    found, references = sequences[:60], sequences[60:]
    distances = [by_definition(f, r) for f, r in zip(found, references, strict=True)]
    assert [*map(ctc.edit_distance, found, references)] == distances
    rate = 100 * sum(distances) / sum(map(len, references))
    assert ctc.label_error_rate(found, references) == pytest.approx(rate)
    assert ctc.label_error_rate(references, references) == 0
    assert ctc.label_error_rate([np.array([1, 2])], [np.array([], int)]) == 200
