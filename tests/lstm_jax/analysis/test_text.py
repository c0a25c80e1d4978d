"""What a text asks a reader to keep track of, and which units do."""

import numpy as np
import pytest

from lstm_jax import analysis

CODE = 'a = f("x(", [B2])\n  if y:\n'
FEATURES = {
    "inside quotes": [0] * 6 + [1, 1, 1] + [0] * 17,
    "bracket depth": [0] * 5 + [1] * 7 + [2, 2, 2, 1] + [0] * 10,
    "position in line": [*range(1, 18), 0, *range(1, 8), 0],
    "position in word": [1, *[0] * 3, 1, 0, 0, 1, *[0] * 5, 1, 2, *[0] * 5, 1, 2, 0, 1, 0, 0],
    "indentation": [0] * 18 + [1, *[2] * 6, 0],
    "capital": [0] * 13 + [1] + [0] * 12,
}


def test_features_of_two_lines_of_code():
    found = analysis.text_features(CODE)
    assert {name: values.tolist() for name, values in found.items()} == FEATURES


def test_a_quote_ends_with_its_line():
    assert analysis.text_features('a "b\nc')["inside quotes"].tolist() == [0, 0, 1, 1, 0, 0]


def test_features_that_never_change_are_left_out():
    assert set(analysis.text_features("ab cd ")) == {"position in line", "position in word"}


@pytest.fixture
def states():
    return np.random.default_rng(0).standard_normal((600, 7))


def test_trackers_are_found_and_judged_on_the_rest(states):
    rng = np.random.default_rng(1)
    steady, early = rng.standard_normal((2, 600))
    states[:, 4] = -2 * steady + 0.2 * states[:, 4]
    early[300:] *= 3
    states[:300, 6], states[300:, 1] = early[:300], early[300:]  # what comes later has no say
    found = analysis.trackers(states, {"early": early, "steady": steady})
    assert [(own.feature, own.unit) for own in found] == [("steady", 4), ("early", 6)]
    wanted = np.corrcoef(states[300:, 4], steady[300:])[0, 1]
    np.testing.assert_allclose(found[0].correlation, wanted, rtol=1e-12)
    assert wanted < -0.95 and abs(found[1].correlation) < 0.2


def test_features_that_stand_still_in_a_half_have_no_tracker(states):
    assert analysis.trackers(states, {"late": np.arange(600) > 400}) == []


def test_a_text_too_short_has_no_trackers():
    assert analysis.text_features("") == {}
    assert analysis.trackers(np.ones((1, 2)), {"any": [1.0]}) == []


def test_units_that_stand_still_track_nothing(states):
    states[:, 2] = 3.0
    feature = np.random.default_rng(2).standard_normal(600)
    states[:, 5] += feature
    assert analysis.trackers(states, {"noise": feature})[0].unit == 5


def test_a_feature_has_an_entry_for_each_state(states):
    with pytest.raises(ValueError, match="'short' has 3 entries; give 600, one a state"):
        analysis.trackers(states, {"short": np.arange(3)})
