"""Recognition without recurrence: segments between silences, told apart by their means."""

import numpy as np
import pytest

from experiments.perception import segmentation
from experiments.perception.examples import Split
from experiments.perception.segmentation import Segmenter

SOUNDS = np.random.default_rng(0).normal(3, 1, (4, 6))  # what each of four labels sounds like


def sequence(rng, labels, silence=(4, 7), level=0.0):
    """Sounds of 6 to 9 steps between silences, which are louder the higher the level is."""
    parts = [np.full((rng.integers(*silence), 6), level)]
    for label in labels:
        parts += [np.tile(SOUNDS[label], (rng.integers(6, 10), 1))]
        parts += [np.full((rng.integers(*silence), 6), level)]
    features = np.concatenate(parts)
    return features + rng.normal(0, 0.3, features.shape)


def draw(rng, count, **options):
    labels = [rng.integers(4, size=rng.integers(1, 6)).astype(np.int32) for _ in range(count)]
    return Split([sequence(rng, own, **options) for own in labels], labels)


def test_segments_are_what_is_loud_for_long_enough():
    loud, soft = np.full((5, 2), 2.0), np.zeros((5, 2))
    short = [loud, soft, loud[:1], soft, loud, loud[:1] * 0, loud[:2], soft]
    segments = Segmenter(0.5, 3)(np.concatenate(short))
    assert [len(segment) for segment in segments] == [5, 8]
    np.testing.assert_array_equal(segments[1][:, 0], [2, 2, 2, 2, 2, 0, 2, 2])
    assert [len(s) for s in Segmenter(0.5, 1)(np.concatenate(short))] == [5, 1, 5, 2]
    assert [len(s) for s in Segmenter(0.5, 2)(np.concatenate(short))] == [5, 8]


def test_the_threshold_lies_between_soft_and_loud():
    features = np.repeat([1.0, 5.0, 1.0, 2.0, 5.0, 4.0, 1.0], 6)[:, None] * np.ones(3)
    for threshold, lengths in ((0.2, [6, 18]), (0.3, [6, 12]), (0.7, [6, 12]), (0.8, [6, 6])):
        assert [len(segment) for segment in Segmenter(threshold, 3)(features)] == lengths


def test_a_click_is_not_what_loud_means_and_a_dropout_not_what_soft_means():
    features = np.repeat([1.0, 2.0, 1.0, 2.0, 1.0], 8)[:, None] * np.ones(3)
    assert [len(segment) for segment in Segmenter(0.5, 3)(features)] == [8, 8]
    features[3], features[20] = 9.0, -9.0
    assert [len(segment) for segment in Segmenter(0.5, 3)(features)] == [8, 8]


def with_clicks(split):
    """Each sequence has loud steps at its end, four of them, that are no label."""
    for n, features in enumerate(split.inputs):
        split.inputs[n] = np.concatenate([features, features[:4] + 4, features[:4]])
    return split


def test_validation_finds_the_settings_whose_numbers_of_segments_are_right():
    short = draw(np.random.default_rng(6), 30)
    assert Segmenter.fit(with_clicks(draw(np.random.default_rng(5), 30))).shortest > 4
    short.inputs[:] = [sequence(np.random.default_rng(7), own, (2, 3)) for own in short.labels]
    assert Segmenter.fit(short).shortest == 2
    noisy = draw(np.random.default_rng(8), 30)
    for features in noisy.inputs:  # murmurs at a quarter of the loudness in every silence
        murmurs = np.abs(features.mean(axis=1)) < 1
        features[murmurs] += 0.25 * 3 * (np.arange(murmurs.sum()) % 8 < 4)[:, None]
    assert Segmenter.fit(noisy).threshold > 0.25


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_the_summary_is_the_means_of_parts_and_the_deviation(parts):
    features = np.random.default_rng(1).normal(2, 3, (15 if parts > 2 else 8, 3))
    means = np.concatenate([part.mean(axis=0) for part in np.split(features, parts)])
    expected = [*means, *features.std(axis=0)]
    np.testing.assert_allclose(segmentation.summary(features, parts), expected)


def test_a_part_is_never_empty():
    features = np.array([[1.0], [4.0]])
    assert segmentation.summary(features, 3).tolist() == [1.0, 2.5, 4.0, 1.5]
    assert segmentation.summary(features[:1], 3).tolist() == [1.0, 1.0, 1.0, 0.0]


def test_segments_are_told_apart_and_classes_too():
    train, test = draw(np.random.default_rng(2), 40), draw(np.random.default_rng(3), 30)
    found = segmentation.transcribe(train, draw(np.random.default_rng(4), 10), test.inputs)
    exact = [list(own) == list(truth) for own, truth in zip(found, test.labels, strict=True)]
    assert np.mean(exact) > 0.9
    single = [labels[:1] for labels in test.labels]
    inputs = [sequence(np.random.default_rng(9), own) for own in single]
    classes = segmentation.classify(Split(inputs[:20], single[:20]), inputs[20:], parts=1)
    np.testing.assert_array_equal(classes, np.concatenate(single[20:]))


def test_small_features_count_as_much_as_large_ones():
    rng = np.random.default_rng(15)
    labels = [np.array([n % 2]) for n in range(60)]
    inputs = [rng.normal([1e-3 * own[0], 0], [2e-4, 100], (9, 2)) for own in labels]
    found = segmentation.classify(Split(inputs[:40], labels[:40]), inputs[40:], parts=1)
    np.testing.assert_array_equal(found, np.concatenate(labels[40:]))


def test_only_parts_tell_a_sound_from_its_reverse():
    rng = np.random.default_rng(10)
    labels = [np.array([n % 2]) for n in range(60)]
    ramp = np.linspace(0, 4, 9)[:, None]
    inputs = [ramp[:: 1 - 2 * int(n)] + rng.normal(0, 0.5, (9, 2)) for (n,) in labels]
    known, truth = Split(inputs[:40], labels[:40]), np.concatenate(labels[40:])
    whole, thirds = (segmentation.classify(known, inputs[40:], parts) for parts in (1, 3))
    assert np.mean(whole == truth) < 0.8
    np.testing.assert_array_equal(thirds, truth)


def test_segments_are_told_from_their_reverse():
    rng = np.random.default_rng(16)
    ramp, silence = np.linspace(2, 6, 9)[:, None], np.zeros((6, 1))
    labels = [rng.integers(2, size=3) for _ in range(50)]
    inputs = [
        np.concatenate([silence] + [p for k in own for p in (ramp[:: 1 - 2 * int(k)], silence)])
        for own in labels
    ]
    inputs = [features + rng.normal(0, 0.2, (len(features), 2)) for features in inputs]
    split = Split(inputs[:40], labels[:40])
    found = segmentation.transcribe(split, split, inputs[40:])
    np.testing.assert_array_equal(found, labels[40:])


def test_validation_says_how_to_cut():
    """Silences are short there and in the test, while only what is long is no click in training."""
    rng = np.random.default_rng(17)
    train, valid = with_clicks(draw(rng, 100)), draw(rng, 20, silence=(2, 3))
    test = draw(rng, 20, silence=(2, 3))
    found = segmentation.transcribe(train, valid, test.inputs)
    right = [len(own) == len(said) for own, said in zip(found, test.labels, strict=True)]
    assert np.mean(right) > 0.9


def without(label, split, stop=None):
    """The split without those of the first `stop` sequences that say a label."""
    kept = [n for n, said in enumerate(split.labels) if label not in said or n >= (stop or 1000)]
    return Split([split.inputs[n] for n in kept], [split.labels[n] for n in kept])


@pytest.mark.parametrize("missing", ["train", "valid"])
def test_both_training_and_validation_are_learnt_from(missing):
    """A label that one of them lacks is found nevertheless."""
    splits = {name: draw(np.random.default_rng(len(name)), 40) for name in ("train", "valid")}
    splits[missing] = without(2, splits[missing])
    inputs = [sequence(np.random.default_rng(13), [2, 0, 2])]
    (found,) = segmentation.transcribe(splits["train"], splits["valid"], inputs)
    assert found.tolist() == [2, 0, 2]


def test_the_last_of_many_sequences_are_learnt_from():
    rng = np.random.default_rng(14)
    train, valid = without(3, draw(rng, 600), stop=550), without(3, draw(rng, 20))
    (found,) = segmentation.transcribe(train, valid, [sequence(rng, [3, 1, 3])])
    assert found.tolist() == [3, 1, 3]


def test_what_has_no_segments_teaches_nothing_and_says_nothing():
    rng = np.random.default_rng(4)
    one = Split([sequence(rng, [2]) for _ in range(5)], [np.array([2])] * 5)
    assert segmentation.transcribe(one, one, one.inputs) is None
    longer = Split(one.inputs, [np.array([1, 2, 3])] * 5)
    assert segmentation.transcribe(longer, longer, one.inputs) is None
    train = draw(rng, 20)
    found = segmentation.transcribe(train, train, [np.zeros((9, 6)), train.inputs[0]])
    assert [len(own) for own in found] == [0, len(train.labels[0])]
