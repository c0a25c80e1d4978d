"""Recognition without recurrence: pieces between silences, told apart by their means."""

import numpy as np

from experiments.perception import silences
from experiments.perception.examples import Split

SOUNDS = np.random.default_rng(0).normal(3, 1, (4, 6))  # what each of four labels sounds like


def sequence(rng, labels):
    """Sounds of 6 to 9 steps between silences of 4 to 6."""
    parts = [np.zeros((rng.integers(4, 7), 6))]
    for label in labels:
        parts += [np.tile(SOUNDS[label], (rng.integers(6, 10), 1))]
        parts += [np.zeros((rng.integers(4, 7), 6))]
    features = np.concatenate(parts)
    return features + rng.normal(0, 0.3, features.shape)


def draw(rng, count):
    labels = [rng.integers(4, size=rng.integers(1, 6)).astype(np.int32) for _ in range(count)]
    return Split([sequence(rng, own) for own in labels], labels)


def test_pieces_are_what_is_loud_for_long_enough():
    loud, soft = np.full((5, 2), 2.0), np.zeros((5, 2))
    short = [loud, soft, loud[:1], soft, loud, loud[:1] * 0, loud[:2], soft]
    pieces = silences.cut(np.concatenate(short))
    assert [len(piece) for piece in pieces] == [5, 8]
    np.testing.assert_allclose(pieces[1][[0, 5]], [[2.0, 2.0], [0.0, 0.0]])


def test_the_summary_is_the_mean_and_the_deviation():
    features = np.random.default_rng(1).normal(2, 3, (7, 3))
    expected = [*features.mean(axis=0), *features.std(axis=0)]
    np.testing.assert_allclose(silences.summary(features), expected)


def test_pieces_are_told_apart_and_classes_too():
    train, test = draw(np.random.default_rng(2), 40), draw(np.random.default_rng(3), 30)
    found = silences.transcribe(train, test.inputs)
    exact = [list(own) == list(truth) for own, truth in zip(found, test.labels, strict=True)]
    assert np.mean(exact) > 0.9
    single = [labels[:1] for labels in test.labels]
    inputs = [sequence(np.random.default_rng(9), own) for own in single]
    classes = silences.classify(Split(inputs[:20], single[:20]), inputs[20:])
    np.testing.assert_array_equal(classes, np.concatenate(single[20:]))


def test_what_has_no_pieces_teaches_nothing():
    rng = np.random.default_rng(4)
    one = Split([sequence(rng, [2]) for _ in range(5)], [np.array([2])] * 5)
    assert silences.transcribe(one, one.inputs) is None
    longer = Split(one.inputs, [np.array([1, 2, 3])] * 5)
    assert silences.transcribe(longer, one.inputs) is None
