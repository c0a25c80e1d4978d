"""Two sequences: what tells the class, what is noise, what is taught."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import two_sequence as settings
from experiments.config import ConfigError, resolve
from experiments.tasks.two_sequence import Answers, judge, sample, two_sequence

HIGH = {"a": (1, 0), "b": (1, 0), "c": (0.2, 0.8)}  # the targets of both classes


@pytest.mark.parametrize("variant", "abc")
def test_sequences_follow_the_definition(variant):
    drawn = sample(jax.random.PRNGKey(1), 4000, length=30, informative=3, variant=variant)
    inputs, lengths = np.asarray(drawn.inputs)[..., 0], np.asarray(drawn.lengths)
    taught, true = (np.asarray(a)[:, 0] for a in drawn.targets)
    assert set(lengths) == set(range(30, 34))
    first = true == np.float32(HIGH[variant][0])
    assert (true[~first] == np.float32(HIGH[variant][1])).all()
    assert first.mean() == pytest.approx(0.5, abs=0.03)
    signal = inputs[:3] - np.where(first, 1, -1)
    noise = np.concatenate([inputs[3:n, b] for b, n in enumerate(lengths)])
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.var() == pytest.approx(0.2, rel=0.03)
    assert signal.var() == pytest.approx(0.2 if variant == "b" else 0, rel=0.05)
    assert all(not inputs[n:, b].any() for b, n in enumerate(lengths))
    off = taught - true
    assert off.var() == pytest.approx(0.1 if variant == "c" else 0, rel=0.1)
    assert abs(off.mean()) < 0.02


def test_judge_learns_from_what_is_taught_and_tells_errors_by_what_is_true():
    odds = jnp.array([0.7, 0.3])
    logits = jnp.log(odds / (1 - odds))[:, None]
    answers = Answers(taught=jnp.array([[1.1], [-0.2]]), true=jnp.array([[0.8], [0.8]]))
    verdict = judge(logits, answers)
    by_hand = [-1.1 * np.log(0.7) + 0.1 * np.log(0.3), 0.2 * np.log(0.3) - 1.2 * np.log(0.7)]
    np.testing.assert_allclose(verdict.loss, by_hand, rtol=1e-5)
    np.testing.assert_allclose(verdict.errors, [[0.1], [0.5]], rtol=1e-5)
    assert verdict.extras["accuracy"].tolist() == [1, 0]
    slope = jax.grad(lambda z: judge(z, answers).loss.sum())(logits)
    np.testing.assert_allclose(slope[:, 0], odds - answers.taught[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("variant", "d", "config.task.variant is 'd', choose one of a, b, c"),
        ("informative", 100, "config.task.length is 100, it must be above the 100 numbers"),
    ],
)
def test_settings_that_cannot_work(field, value, message):
    config = settings.get_config()
    config.task[field] = value
    with pytest.raises(ConfigError, match=message):
        two_sequence(resolve(config))
