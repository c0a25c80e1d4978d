"""A run's directory belongs to one run at a time, of one configuration."""

import pytest

from experiments.config import ConfigError, read_json
from experiments.training.workdir import open_workdir


def test_it_is_claimed_until_the_run_ends(config, tmp_path):
    workdir = tmp_path / "a" / "b"
    with open_workdir(config, workdir):
        message = r"another run is at work in .*b \(process \d+ on"
        with pytest.raises(ConfigError, match=message), open_workdir(config, workdir):
            pass
    with open_workdir(config, workdir):
        assert read_json(workdir / "config.json").to_dict() == config.to_dict()


def test_another_configuration_is_refused_unless_it_only_says_where_things_are(config, tmp_path):
    with open_workdir(config, tmp_path):
        pass
    config.data_dir, config.mesh.data, config.mesh.model = "elsewhere", 4, 2
    config.debug.replay = "somewhere"
    with open_workdir(config, tmp_path):
        pass
    config.train.patience = 3
    message = "another configuration .config.train.patience was 0, now 3"
    with pytest.raises(ConfigError, match=message), open_workdir(config, tmp_path):
        pass


def test_a_place_that_cannot_be_a_directory_is_refused(config, tmp_path):
    (tmp_path / "file").write_text("")
    message = "--workdir: .*file.*; choose a directory that can be written"
    with pytest.raises(ConfigError, match=message), open_workdir(config, tmp_path / "file"):
        pass
