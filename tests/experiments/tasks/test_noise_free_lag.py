"""Noise-free lags: sequences of the three variants by their definition."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from configs import noise_free_lag as settings
from experiments.config import ConfigError, resolve
from experiments.tasks.noise_free_lag import noise_free_lag, sample_a, sample_b, sample_c

LAG = 12


def test_variant_a_repeats_one_order_between_x_and_x_or_y_and_y():
    inputs, lengths, targets = sample_a(jax.random.PRNGKey(0), 50, LAG, distractors=LAG - 1)
    assert inputs.shape == targets.shape == (LAG, 50, LAG + 1)
    read, asked = np.asarray(inputs).argmax(axis=-1), np.asarray(targets).argmax(axis=-1)
    kinds = set()
    for b in range(50):
        kind = int(read[0, b])
        whole = [kind, *range(2, LAG + 1), kind]
        assert read[:, b].tolist() == whole[:-1]
        assert asked[:, b].tolist() == whole[1:]
        assert lengths[b] == LAG
        kinds.add(kind)
    assert kinds == {0, 1}


def test_variant_b_has_random_distractors():
    inputs, lengths, targets = sample_b(jax.random.PRNGKey(0), 2000, LAG, distractors=5)
    assert inputs.shape == (LAG, 2000, 7)
    read = np.asarray(inputs).argmax(axis=-1)
    np.testing.assert_array_equal(np.asarray(targets).argmax(axis=-1), read[0])
    assert set(read[0]) == {0, 1}
    counts = np.bincount(read[1:].ravel(), minlength=7)
    assert counts[:2].sum() == 0
    np.testing.assert_allclose(counts[2:] / counts.sum(), 1 / 5, atol=0.01)
    assert (np.asarray(lengths) == LAG).all()


def test_variant_c_waits_for_the_end():
    inputs, lengths, targets = sample_c(jax.random.PRNGKey(5), 4000, LAG, distractors=6)
    assert inputs.shape[2] == 10
    whole, kinds = np.asarray(inputs), np.asarray(targets).argmax(axis=-1)
    read, waits = whole.argmax(axis=-1), []
    for b, length in enumerate(np.asarray(lengths)):
        text = read[:length, b]
        assert text[0] == 2
        assert text[1] == kinds[b]
        assert text[-1] == 3
        assert (text[2:-1] >= 4).all()
        assert not whole[length:, b].any()
        waits.append(length - LAG - 3)
    share = np.bincount(waits)[:4] / 4000
    np.testing.assert_allclose(share, 0.1 * 0.9 ** np.arange(4), atol=0.015)
    assert np.mean(waits) == pytest.approx(9, rel=0.06)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variant": "d"}, "config.task.variant is 'd', choose one of a, b, c"),
        ({"variant": "a"}, "config.task.lags is set, but variant 'a' has a symbol for each step"),
        ({"length": 1}, "config.task.length is 1, noise_free_lag needs at least 2"),
    ],
)
def test_settings_that_cannot_work(fields, message):
    config = settings.get_config()
    config.task.update(fields)
    with pytest.raises(ConfigError, match=message):
        noise_free_lag(resolve(config))


@pytest.mark.parametrize(
    ("variant", "published"), [("a", "5,040"), ("b", "5,680"), ("c", "31,000")]
)
def test_the_published_number_stands_in_the_facts(variant, published):
    config = settings.get_config()
    config.task.update(variant=variant, lags=())
    assert noise_free_lag(resolve(config)).facts["published"] == published
