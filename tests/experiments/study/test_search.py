"""What is drawn for each trial, and which trials train at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from configs import default, study_music, study_quick
from experiments.compare import cell_config
from experiments.config import ConfigError, make_network, resolve
from experiments.study import search
from experiments.study.trials import Trial

CELLS = ("lstm", "gru", "rnn")


def configured(**study):
    config = default.get_config()
    config.cells = CELLS
    config.study.update(study)
    return resolve(config)


@pytest.fixture(scope="module")
def many():
    return search.draw(configured(trials=700))


@pytest.mark.parametrize(
    ("name", "scaled", "ends"),
    [
        ("learning_rate", np.log, (1e-4, 1e-1)),
        ("momentum", lambda momentum: -np.log(1 - momentum), (0.0, 0.99)),
        ("input_noise", lambda noise: noise, (0.0, 1.0)),
    ],
)
def test_settings_follow_their_distribution(many, name, scaled, ends):
    low, high = map(scaled, ends)
    drawn = scaled(np.array([getattr(trial, name) for trial in many]))
    assert stats.kstest(drawn, "uniform", (low, high - low)).pvalue > 1e-3


def test_sizes_have_equal_ratios_and_equal_chances(many):
    found, counts = np.unique([trial.hidden_size for trial in many], return_counts=True)
    assert found.tolist() == search.sizes(configured()) == [20, 32, 50, 80, 126, 200]
    assert stats.chisquare(counts).pvalue > 0.01


def test_settings_do_not_hang_together(many):
    columns = np.array([trial[2:] for trial in many])
    correlations = stats.spearmanr(columns).statistic[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(len(many))


def test_a_trial_hangs_on_seed_variant_and_number_alone():
    whole = {trial[:2]: trial for trial in search.draw(configured(trials=9))}
    config = configured(trials=5)
    config.cells = ("gru",)
    fewer = search.draw(config)
    assert fewer == [whole["gru", n] for n in range(5)]
    assert len({t.learning_rate for t in whole.values()}) == len({*whole}) == 27
    seeds = [search.seed(trial, config) for trial in whole.values()]
    assert len({*seeds}) == 27
    config.seed = 1
    others = {trial.learning_rate for trial in search.draw(config)}
    assert not others & {trial.learning_rate for trial in fewer}
    assert search.seed(fewer[0], config) != search.seed(fewer[0], configured())


def test_a_range_of_one_value_is_that_value():
    config = configured(momentum=(0.9, 0.9), hidden_size=(7, 7), input_noise=(0.0, 0.0))
    for trial in search.draw(config):
        assert (trial.hidden_size, trial.input_noise) == (7, 0.0)
        assert trial.momentum == pytest.approx(0.9)
    assert search.ranges(config) == {"learning_rate": (1e-4, 1e-1)}


def test_populations_hold_every_trial_once_and_the_longest_work_comes_first():
    config = configured(trials=40, population=4)
    trials = search.draw(config)
    found = search.populations(config, trials)
    assert sorted(t for p in found for t in p.trials) == sorted(trials)
    assert {len(p.trials) for p in found} == {1, 2, 3, 4}
    assert len({p.name for p in found}) == len(found)
    for one in found:
        assert {(t.variant, t.hidden_size) for t in one.trials} == {one[:2]}
    work = [p.hidden_size * len(p.trials) for p in found]
    assert work == sorted(work, reverse=True)


def test_a_population_trains_the_settings_of_its_trials():
    config = configured()
    trials = (Trial("gru", 3, 11, 0.25, 0.5, 0.125), Trial("gru", 7, 11, 0.5, 0.0, 0.0))
    own = search.configuration(config, search.Population("gru", 11, trials))
    assert (own.cell.name, own.cell.hidden_size) == ("gru", 11)
    assert [member[1:] for member in own.members] == [(0.25, 0.5, 0.125), (0.5, 0.0, 0.0)]
    assert [member[0] for member in own.members] == [search.seed(t, config) for t in trials]


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"learning_rate": ()}, r"config.study.learning_rate is \(\), it must be the least and"),
        ({"learning_rate": (0.1, 0.01)}, "config.study.learning_rate is"),
        ({"learning_rate": (0.0, 0.1)}, "each a positive number"),
        ({"momentum": (0.0, 1.0)}, r"config.study.momentum is \(0.0, 1.0\)"),
        ({"input_noise": (-1.0, 1.0)}, "each a number of at least 0"),
        ({"hidden_size": (0, 4)}, "config.study.hidden_size is"),
        ({"trials": 0}, "config.study.trials is 0"),
    ],
)
def test_a_range_that_cannot_be_drawn_from_is_refused(study, message):
    with pytest.raises(ConfigError, match=message):
        configured(**study)


def test_a_cell_that_cannot_be_built_is_refused_before_training():
    config = configured()
    config.cells = ("lstm", "conv_lstm")
    with pytest.raises(ConfigError, match="reads frames"):
        search.check(config)


@pytest.mark.parametrize(("mode", "trials"), [("quick", 24), ("full", 24), ("paper", 200)])
def test_the_study_of_music_has_twelve_variants_that_can_be_built(mode, trials):
    config = study_music.get_config()
    config.mode = mode
    config = resolve(config)
    assert len(search.draw(config)) == 12 * trials
    built = {name: make_network(cell_config(config, name)) for name in config.cells}
    assert len({cell.name for cell in built.values()}) == 12
    online = (config.train.batch_size, config.optimizer.name) == (1, "nesterov")
    assert online == (mode == "paper")


@pytest.mark.parametrize(
    ("path", "task"),
    [("", "forecasting"), ("a/Prices.CSV", "forecasting"), ("a/letters.txt", "char_lm")],
)
def test_the_quick_study_takes_the_task_that_a_file_asks_for(path, task):
    config = resolve(study_quick.get_config(path))
    assert (config.task.name, config.task.path) == (task, path or None)
    assert search.ranges(config).keys() == {"hidden_size", "learning_rate"}
    assert len(search.populations(config, search.draw(config))) == 10
