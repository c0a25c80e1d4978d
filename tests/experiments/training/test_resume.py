"""An interrupted run of a real task goes on exactly: recurrent state, grain iterator and all."""

import string

import jax
import numpy as np
import pytest

from configs import char_lm as char_lm_config
from experiments.config import resolve
from experiments.tasks.language_model import language_model
from experiments.training.loop import fit, load_best


class Interrupted:
    """Batches that end in an interruption after some number of them."""

    def __init__(self, batches, count):
        self._batches, self._left = batches, count
        self.get_state, self.set_state = batches.get_state, batches.set_state

    def __next__(self):
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return next(self._batches)


@pytest.mark.slow
def test_a_run_in_two_parts_equals_one_run(tmp_path):
    letters = np.random.default_rng(0).choice(list(string.ascii_lowercase), 3000)
    (tmp_path / "text").write_text("".join(letters))
    config = char_lm_config.get_config()
    config.mode, config.task.path = "tiny", str(tmp_path / "text")
    config.model.dropout, config.seeds, config.train.checkpoint_every = 0.3, 2, 3
    config = resolve(config)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = fit(language_model(config), config, whole)
    task = language_model(config)
    batches = task.train_batches
    with pytest.raises(KeyboardInterrupt):
        fit(task._replace(train_batches=lambda part: Interrupted(batches(part), 8)), config, parts)
    got = fit(language_model(config), config, parts)

    assert (parts / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
    assert got["members"] == expected["members"]
    states = [load_best(language_model(config), config, directory) for directory in (whole, parts)]
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert int(states[0].step[0]) == 10
