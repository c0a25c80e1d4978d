"""What the commands share: flags, reading the configuration, errors in one line."""

from __future__ import annotations

import difflib
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from experiments.config import (
    ConfigError,
    choose,
    differences,
    first_line,
    flatten,
    read_json,
    resolve,
    to_json,
)
from experiments.results import write_json
from experiments.step import Diverged
from experiments.task import Task
from experiments.tasks import TASKS

flags.disclaim_key_flags()  # --help shows these flags as the command's own


def run(command: Callable[[ConfigDict, Path], None]) -> None:
    """Runs `command(config, workdir)`; without --config, the configuration stored in workdir.

    A mistake of the user ends with one line on stderr and exit code 2, a run that fails with 1.
    """
    flags.DEFINE_string("workdir", None, "The run's directory; it is made if absent.")
    config_flags.DEFINE_config_file("config", None, "A file of configs/.")
    app.run(lambda _: _guard(lambda: command(_config(), _workdir())), flags_parser=_parse)


def run_without_config(command: Callable[[Path], None], workdir: str) -> None:
    """Runs `command(workdir)`, in the directory `workdir` unless --workdir says otherwise."""
    flags.DEFINE_string("workdir", workdir, "The directory to work in; it is made if absent.")
    app.run(lambda _: _guard(lambda: command(_workdir())), flags_parser=_parse)


def build_task(config: ConfigDict) -> Task:
    """The task that the configuration names."""
    return TASKS[choose("task.name", config.task.name, TASKS)](config)


def open_workdir(config: ConfigDict, workdir: Path) -> None:
    """Makes the directory of a run and stores its configuration there.

    Raises:
        ConfigError: if a run with another configuration is there already.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "config.json"
    if path.exists():
        changed = differences(to_json(read_json(path)), to_json(config))
        if changed:
            raise ConfigError(
                f"{workdir} holds a run with another configuration ({'; '.join(changed)});"
                " choose another --workdir"
            )
    else:
        write_json(path, to_json(config))


def _guard(command: Callable[[], None]) -> None:
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    try:
        command()
    except (ConfigError, FileNotFoundError) as error:
        _fail(str(error), 2)
    except (Diverged, RuntimeError) as error:
        if type(error) not in (Diverged, RuntimeError):
            raise
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on from the latest checkpoint", 130)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _workdir() -> Path:
    if flags.FLAGS.workdir is None:
        raise ConfigError("--workdir is missing; name the run's directory")
    return Path(flags.FLAGS.workdir)


def _config() -> ConfigDict:
    flag = flags.FLAGS["config"]
    if flag.value is not None:
        return resolve(flag.value, config_flags.get_override_values(flag))
    stored = _workdir() / "config.json"
    if not stored.exists():
        raise ConfigError(f"--config is missing, and there is no {stored} to take it from")
    return read_json(stored)


def _parse(argv: list[str]) -> list[str]:
    """Parses the flags; ml_collections' tracebacks become one line."""
    try:
        _check_names(argv)
        return flags.FLAGS(argv)
    except (flags.Error, ConfigError, AttributeError, KeyError, OSError) as error:
        _fail(first_line(error), 2)


def _check_names(argv: list[str]) -> None:
    """Raises `ConfigError` for a config file that is absent and for fields that it lacks."""
    paths = re.findall(r"^--?config[= ](.+)$", "\n".join(argv).replace("config\n", "config "), re.M)
    names = re.findall(r"^--?(?:no)?config\.([\w.]+)", "\n".join(argv), re.M)
    if not paths:
        if names:
            raise ConfigError(f"--config.{names[0]} needs a --config before it")
        return
    path = paths[-1]
    if not Path(path).is_file():
        raise ConfigError(f"--config: there is no file {path}")
    known = flatten(runpy.run_path(path)["get_config"]().to_dict())
    groups = {
        name.rsplit(".", depth)[0] for name in known for depth in range(1, name.count(".") + 1)
    }
    for name in names:
        if name not in known and name not in groups:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean config.{nearest[0]}?" if nearest else ""
            raise ConfigError(f"config.{name}: there is no such field{hint}")
