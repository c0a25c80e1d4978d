"""Batches of labelled sequences against a plain loop."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments.mesh import Part
from experiments.perception.examples import Batches, Split

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
    order = batches.evaluation_order(name)
    assert sorted(order[order >= 0]) == list(range(len(SPLITS[name].inputs)))
    for n, example in zip(order, found, strict=True):
        wanted = None if n < 0 else (SPLITS[name].inputs[n], SPLITS[name].labels[n])
        assert (wanted is None) == (example is None)
        assert wanted is None or equal(example, wanted)


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
