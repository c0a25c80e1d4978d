"""Batches of labelled sequences against a plain loop."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments.mesh import Part
from experiments.perception.examples import Batches, Split, groups

RNG = np.random.default_rng(3)


def split(number):
    return Split(
        [RNG.random((n, 2)).astype(np.float32) for n in RNG.integers(1, 20, number)],
        [RNG.integers(0, 9, n).astype(np.int32) for n in RNG.integers(1, 4, number)],
    )


SPLITS = {"train": split(21), "valid": split(7), "test": split(10)}


@pytest.fixture
def config():
    return ConfigDict({"seed": 1, "task": {"buckets": 3}, "train": {"batch_size": 4}})


def taken_apart(batch):
    """The examples of a batch, None for an empty place; all else must be zero."""
    inputs, lengths, labels, label_lengths, present = batch
    assert not inputs[np.arange(len(inputs))[:, None] >= lengths].any()
    for b, here in enumerate(present):
        yield (inputs[: lengths[b], b], labels[b, : label_lengths[b]]) if here else None
        assert here or lengths[b] == label_lengths[b] == 0


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", SPLITS)
def test_evaluation_has_every_example_once(config, name):
    batches = Batches(config, SPLITS)
    found = [example for batch in batches.evaluation(name) for example in taken_apart(batch)]
    places = {sequence.tobytes(): n for n, sequence in enumerate(SPLITS[name].inputs)}
    order = [places[example[0].tobytes()] for example in found if example]
    assert sorted(order) == list(range(len(places)))
    for n, example in zip(order, filter(None, found), strict=True):
        assert equal(example, (SPLITS[name].inputs[n], SPLITS[name].labels[n]))


def test_training_goes_through_all_examples_and_on_from_where_it_was(config):
    batches = Batches(config, SPLITS)
    iterator = batches.train(Part())
    drawn = [next(iterator) for _ in range(8)]
    state = iterator.get_state()
    after = [next(iterator) for _ in range(3)]
    again = batches.train(Part())
    again.set_state(state)
    assert all(equal(one, next(again)) for one in after)
    seen = {example[0].tobytes() for batch in drawn for example in taken_apart(batch)}
    assert seen == {sequence.tobytes() for sequence in SPLITS["train"].inputs}


def test_training_inputs_are_augmented_anew_each_time_and_others_never(config):
    def noisy(sequence, rng):
        return sequence[1:] + rng.integers(1, 1000) if len(sequence) > 1 else sequence

    plain, batches = Batches(config, SPLITS), Batches(config, SPLITS, noisy)
    draws = range(0, 90, 9)
    for number in draws:
        for old, new in zip(
            taken_apart(plain.drawn(number)), taken_apart(batches.drawn(number)), strict=True
        ):
            added = new[0] - (old[0][1:] if len(old[0]) > 1 else old[0])
            assert np.ptp(added) < 1e-3 and (len(old[0]) == 1 or added.min() >= 1)
            assert np.array_equal(old[1], new[1])
        assert equal(batches.drawn(number), batches.drawn(number))
    totals = {float(batches.drawn(number).inputs.sum()) for number in draws}
    assert len(totals) == len(draws)
    assert all(map(equal, plain.evaluation("test"), batches.evaluation("test")))


def test_a_seed_has_an_order_and_an_augmentation_of_its_own(config):
    def drawn(seed, augment):
        return Batches(ConfigDict({**config, "seed": seed}), SPLITS, augment).drawn(5)

    assert equal(drawn(1, None), drawn(1, None))
    assert not equal(drawn(1, None), drawn(2, None))
    chances = [drawn(seed, lambda x, rng: 0 * x + rng.random()).inputs for seed in (1, 1, 2)]
    first, again, other = ({*np.unique(inputs)} - {0.0} for inputs in chances)
    assert first == again and not first & other


def test_splits_share_the_shapes_of_their_buckets(config):
    """Each shape compiles once: there are as many as buckets, whatever the split."""
    batches = Batches(config, SPLITS)
    shapes = {batch.inputs.shape for name in SPLITS for batch in batches.evaluation(name)}
    assert len(shapes) == 3


def test_groups_keep_order_and_leave_places_empty():
    inputs = sorted(SPLITS["test"].inputs, key=len)[1:]
    found = list(groups(inputs, 4))
    assert [padded.shape for padded, _ in found] == [(len(inputs[-1]), 4, 2)] * 3
    lengths = np.concatenate([own for _, own in found])
    assert lengths.tolist() == [*map(len, inputs), 0, 0, 0]
    for n, sequence in enumerate(inputs):
        assert np.array_equal(found[n // 4][0][: lengths[n], n % 4], sequence)
    assert not found[2][0][:, 1:].any()


def test_processes_share_a_batch(config):
    whole = Batches(config, SPLITS).drawn(0)
    parts = [next(Batches(config, SPLITS).train(Part(k, 2))) for k in range(2)]
    joined = [
        np.concatenate([part[k] for part in parts], axis=1 if k == 0 else 0) for k in range(5)
    ]
    assert equal(joined, whole)


def test_facts_count_examples_and_padding(config):
    facts = Batches(config, SPLITS).facts()
    assert [facts[f"{name}_examples"] for name in SPLITS] == [21, 7, 10]
    alone = Batches(ConfigDict({**config, "task": {}}), SPLITS).facts()
    assert 0 < facts["padding"] < alone["padding"] < 1


def changed(kind, position=2):
    """The splits, with one sequence of a test example replaced by what `kind` makes of it."""
    found = {name: Split(list(own.inputs), list(own.labels)) for name, own in SPLITS.items()}
    part = found["test"].inputs if kind in INPUTS else found["test"].labels
    part[position] = (INPUTS | LABELS)[kind](part[position])
    return found


INPUTS = {
    "the last bits": lambda x: x * np.float32(1 + 2e-7),
    "shorter": lambda x: x[1:],
    "turned": lambda x: x[::-1],
    "another scale": lambda x: 1.1 * x,
}
LABELS = {"another label": lambda y: (y + 1) % 9, "fewer labels": lambda y: y[:-1]}


@pytest.mark.parametrize("kind", [*INPUTS, *LABELS])
def test_the_checksum_is_that_of_the_data_whatever_machine_made_them(config, kind):
    """What computes otherwise in the last bits makes no other run, any other change does."""
    plain, other = (Batches(config, splits).facts()["sha256"] for splits in (SPLITS, changed(kind)))
    assert (plain == other) == (kind == "the last bits")


def test_the_checksum_of_whole_numbers_knows_every_bit(config):
    whole = {
        name: Split([(9 * x).astype(np.uint8) for x in own.inputs], own.labels)
        for name, own in SPLITS.items()
    }
    before = Batches(config, whole).facts()["sha256"]
    assert Batches(config, whole).facts()["sha256"] == before
    whole["valid"].inputs[-1][0, 1] ^= 1
    assert Batches(config, whole).facts()["sha256"] != before


def test_the_checksum_knows_the_scale(config):
    louder = {name: Split([2 * x for x in own.inputs], own.labels) for name, own in SPLITS.items()}
    assert Batches(config, louder).facts()["sha256"] != Batches(config, SPLITS).facts()["sha256"]


def test_silence_has_a_checksum(config):
    silent = {n: Split([0 * x for x in own.inputs], own.labels) for n, own in SPLITS.items()}
    assert Batches(config, silent).facts()["sha256"] != Batches(config, SPLITS).facts()["sha256"]
