"""What the commands share: flags, reading the configuration, errors in one line."""

from __future__ import annotations

import inspect
import os
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from experiments import help, mesh, signals
from experiments.config import (
    ConfigError,
    check,
    check_fields,
    choose,
    first_line,
    flatten,
    read_json,
    resolve,
)
from experiments.fields import TASK_FIELDS
from experiments.nearest import config_hint, field_hint, hint, run_hint
from experiments.task import Task
from experiments.tasks import TASKS
from experiments.training.loop import Diverged, load_best
from experiments.training.step import TrainState

CONFIG = (
    "A file of configs/; where it has several recipes, the name of one after a colon, as in"
    " configs/pixels.py:permuted. After it, --config.NAME=VALUE sets a field; configs/default.py"
    " says what the fields are. Left out, it is the configuration of the run in --workdir."
)
WORKDIR = "The run's directory; training makes it."

flags.disclaim_key_flags()  # --help shows these flags as the command's own


def run(command: Callable[[ConfigDict, Path], None]) -> None:
    """Runs `command(config, workdir)`; without --config, the configuration stored in workdir.

    Exit codes: 0, it is done; 1, the run failed; 2, a mistake of the user; 75, a signal ended it,
    and the same command goes on. All but 0 come with one line on stderr.
    """
    flags.DEFINE_string("workdir", None, WORKDIR)
    config_flags.DEFINE_config_file("config", None, CONFIG)

    def on_devices() -> None:
        config, workdir = _config(), _workdir()
        mesh.start(config)
        signals.install()  # once more: JAX takes SIGTERM where several processes make up a run
        with (
            Path(os.devnull).open("w") as nowhere,
            redirect_stdout(sys.stdout if mesh.is_main() else nowhere),
        ):
            command(config, workdir)

    app.run(lambda _: _guard(on_devices), flags_parser=_parse)


def run_without_config(command: Callable[[Path], None], workdir: str) -> None:
    """Runs `command(workdir)`, in the directory `workdir` unless --workdir says otherwise."""
    flags.DEFINE_string("workdir", workdir, "The directory to work in; it is made if absent.")
    app.run(lambda _: _guard(lambda: command(_workdir())), flags_parser=_parse)


def run_on_files(command: Callable[[Path, Path], None]) -> None:
    """Runs `command(source, target)` on the two files that are named without a flag."""
    flags.DEFINE_string("workdir", ".", "The directory that both files are relative to.")

    def on_files(argv: list[str]) -> None:
        if len(argv) != 3:
            raise ConfigError(f"name two files, IN and OUT; {len(argv) - 1} came")
        directory = _workdir()
        command(directory / argv[1], directory / argv[2])

    app.run(lambda argv: _guard(lambda: on_files(argv)), flags_parser=_parse_with_files)


def build_task(config: ConfigDict) -> Task:
    """The task that the configuration names."""
    name = choose("task.name", config.task.name, TASKS)
    check_fields(config, TASK_FIELDS.get(name, {}))
    mesh.make_mesh(config)  # raises where the devices do not fit
    return TASKS[name](config)


def load(file: str) -> ConfigDict:
    """What the `get_config` of a config file returns; a text after a colon is its argument.

    Raises:
        ConfigError: naming the nearest file or recipe, or what the file raises.
    """
    path, *recipe = file.split(":", 1)
    if not Path(path).is_file():
        raise ConfigError(f"--config: there is no file {path}{config_hint(file)}")
    try:
        return _call(runpy.run_path(path), path, *recipe)
    except ConfigError:
        raise
    except Exception as error:  # whatever the file does
        raise ConfigError(
            f"--config: {file} has no get_config that returns a ConfigDict"
            f" ({type(error).__name__}: {first_line(error)})"
        ) from error


def _call(members: dict[str, Any], path: str, *recipe: str) -> ConfigDict:
    get_config = members["get_config"]
    if recipe and not inspect.signature(get_config).parameters:
        raise ConfigError(f"--config: {path} has one recipe; leave :{recipe[0]} out")
    try:
        return get_config(*recipe).copy_and_resolve_references()
    except ValueError as error:  # there is no such recipe
        near = hint(recipe[0], members.get("RECIPES", ())) if recipe else ""
        raise ConfigError(f"--config: {path}: {first_line(error)}{near}") from error


def trained(task: Task, config: ConfigDict, workdir: Path) -> TrainState:
    """A finished or interrupted run's newest state, with the best parameters so far.

    Raises:
        ConfigError: if there is none.
    """
    state = load_best(task, config, workdir)
    if state is None:
        near = run_hint(workdir) or "; train there first"
        raise ConfigError(f"{workdir} holds no checkpoint{near}")
    return state


def next_step(command: str, workdir: Path) -> str:
    """The line with which a run ends: what can be done with it."""
    return f"next: python -m experiments.{command} --workdir={shlex.quote(str(workdir))}"


def _guard(command: Callable[[], None]) -> None:
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    try:
        signals.install()
        command()
    except (ConfigError, FileNotFoundError) as error:
        _fail(str(error), 2)
    except OSError as error:
        _fail(f"{error}; mend this and give the same command again", 1)
    except (Diverged, RuntimeError) as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            _fail(f"no memory is left ({first_line(error)}); try a smaller size or batch", 1)
        if type(error) not in (Diverged, RuntimeError):
            raise
        _fail(str(error), 1)
    except (signals.Interrupted, KeyboardInterrupt):
        _fail("interrupted; the same command goes on", signals.EXIT_CODE)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _workdir() -> Path:
    if flags.FLAGS.workdir is None:
        raise ConfigError("--workdir is missing; name the run's directory (--help has examples)")
    workdir = Path(flags.FLAGS.workdir)
    if workdir.is_file():
        raise ConfigError(f"--workdir: {workdir} is a file; name a directory")
    return workdir


def _config() -> ConfigDict:
    flag = flags.FLAGS["config"]
    if flag.value is not None:
        return resolve(flag.value, config_flags.get_override_values(flag))
    stored = _workdir() / "config.json"
    if not stored.exists():
        raise ConfigError(
            f"{stored.parent} holds no run (no config.json), and --config is missing"
            + (run_hint(stored.parent) or "; train there first, with --config")
        )
    config = read_json(stored)
    check(config)
    return config


def _parse(argv: list[str]) -> list[str]:
    """Parses the flags, where all arguments must be flags."""
    rest = _parse_with_files(argv)[1:]
    if rest:
        _fail(f"{rest[0]!r} is no flag; write --NAME=VALUE", 2)
    return argv[:1]


def _parse_with_files(argv: list[str]) -> list[str]:
    """Parses the flags; ml_collections' tracebacks become one line. Returns what is no flag."""
    if help.ASKED & {*argv}:
        _help(argv[0])
    fields: list[str] = []
    try:
        fields = _check_names(argv)
        return flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        known = [*flags.FLAGS, *(f"config.{field}" for field in fields)]
        near = field_hint(error.flagname, known, lambda name: f"--{name}")
        _fail(f"--{error.flagname}: there is no such flag{near or '; --help lists them'}", 2)
    except Exception as error:  # whatever absl, ml_collections or Python's parser makes of it
        _fail(first_line(error), 2)


def _help(program: str) -> NoReturn:
    own = flags.FLAGS.get_key_flags_for_module(program)
    print(help.text(sys.modules["__main__"].__doc__ or "", own))
    sys.exit(0)


def _check_names(argv: list[str]) -> list[str]:
    """The fields of the config file.

    Raises:
        ConfigError: if the file is absent, or what is set is none of its fields.
    """
    parts = [argument.partition("=") for argument in argv]
    paths = [
        value if equals else following
        for (flag, equals, value), following in zip(parts, [*argv[1:], ""], strict=True)
        if flag in ("-config", "--config")
    ]
    fields = [re.match(r"--?(?:no)?config\.([^=]*)", argument) for argument in argv]
    names = [field[1] for field in fields if field]
    if not paths:
        if names:
            raise ConfigError(f"--config.{names[0]} needs a --config before it")
        return []
    known = [[*flatten(load(path).to_dict())] for path in paths][-1]
    for name in names:
        if any(field.startswith(f"{name}.") for field in known):
            raise ConfigError(f"config.{name} is a group of fields; set them one by one")
        if name not in known:
            near = field_hint(name, known, lambda field: f"config.{field}")
            raise ConfigError(f"config.{name}: there is no such field{near}")
    return known
