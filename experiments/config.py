"""From a configuration to the things it names: the network, the optimizer, the members."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax
from absl import logging
from ml_collections import ConfigDict

import lstm_jax as lj
from experiments.fields import FIELDS, Rule
from experiments.nearest import hint

Momentum = float | jax.Array | None


def _usual(momentum: Momentum) -> float | jax.Array:
    return 0.9 if momentum is None else momentum


def _nesterov(rate: optax.Schedule, momentum: float | jax.Array) -> optax.GradientTransformation:
    """Nesterov's momentum m, the rate times 1 - m, as Greff et al. 2017 have it."""
    return optax.chain(optax.sgd(rate, momentum, nesterov=True), optax.scale(1.0 - momentum))


OPTIMIZERS = {
    "adam": lambda rate, m, o: optax.adam(rate, _usual(m)),
    "adamw": lambda rate, m, o: optax.adamw(rate, _usual(m), weight_decay=o.weight_decay),
    "nesterov": lambda rate, m, o: _nesterov(rate, _usual(m)),
    "sgd": lambda rate, m, o: optax.sgd(rate, m),
    "rmsprop": lambda rate, m, o: optax.rmsprop(rate, momentum=m),
}
BIASES = ("forget_bias", "update_bias")  # a cell has one of them or none
ELSEWHERE = ("data_dir", "mesh.data", "mesh.model", "debug.replay")  # they make no other run


class ConfigError(ValueError):
    """A setting that cannot work, in one sentence that names the field and the fix."""


def choose(field: str, value: str, choices: Iterable[str]) -> str:
    """Returns `value` if it is one of `choices`.

    Raises:
        ConfigError: naming the field, the choices and the nearest one.
    """
    choices = sorted(choices)
    if value in choices:
        return value
    raise ConfigError(
        f"config.{field} is {value!r}, choose one of {', '.join(choices)}{hint(value, choices)}"
    )


def resolve(config: ConfigDict, overrides: Mapping[str, Any] | None = None) -> ConfigDict:
    """Applies the chosen mode's overrides, then the user's own once more, and checks the result.

    Args:
        config: what a config file returns, the user's overrides already in it.
        overrides: those overrides, dotted: `{"train.steps": 10}`.

    Returns:
        A locked copy without `modes`: what is trained and stored.
    """
    config = config.copy_and_resolve_references().lock()
    mode = config.modes[choose("mode", config.mode, config.modes)]
    _update(f"config.modes.{config.mode}", config.update, mode)
    for field, value in (overrides or {}).items():
        _update(f"config.{field}", config.update_from_flattened_dict, {field: value})
    with config.unlocked():
        del config.modes
    check(config)
    config.cells = _names(config.cells)
    config.compare.experiments = _names(config.compare.experiments)
    return config.lock()


def override(config: ConfigDict, name: str, overrides: Mapping[str, Any]) -> ConfigDict:
    """A copy with some fields changed; a `task` among them takes the place of the whole task.

    Args:
        config: a resolved configuration.
        name: what the overrides are called, for messages.
        overrides: nested fields.

    Raises:
        ConfigError: if there is no such field, or what it is to hold cannot be meant.
    """
    own = config.copy_and_resolve_references().lock()
    changes = dict(ConfigDict(overrides).items())
    if "task" in changes:
        with own.unlocked():
            own.task = ConfigDict(changes.pop("task"))
    _update(name, own.update, changes)
    check(own)
    return own


def check(config: ConfigDict) -> None:
    """Raises `ConfigError` for what cannot be meant, before any work is done."""
    check_fields(config, FIELDS)
    choose("compare.match", config.compare.match, ("hidden", "parameters"))
    make_optimizer(config)


def check_fields(config: ConfigDict, rules: Mapping[str, Rule]) -> None:
    """Raises `ConfigError` for fields that are missing or break their rule."""
    found = flatten(config.to_dict())
    for field, rule in rules.items():
        if field not in found:
            raise ConfigError(f"config.{field} is missing, it must be {rule.wanted}")
        if not rule.holds(found[field]):
            raise ConfigError(f"config.{field} is {found[field]!r}, it must be {rule.wanted}")


def make_cell(config: ConfigDict) -> lj.Cell:
    """The cell of `config.cell`, with the regularizers of `config.model` around it."""
    options = config.cell
    build = lj.CELLS[choose("cell.name", options.name, lj.CELLS)]
    arguments = _cell_arguments(options, accepted_options(build))
    try:
        cell = build(options.hidden_size, **arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config.cell: {first_line(error)}") from error
    return _regularized(cell, config.model)


def make_network(config: ConfigDict, bidirectional: bool = False, frames: bool = False) -> Any:
    """`config.cell.layers` cells, or bidirectional pairs, stacked; a single one as it is.

    Raises:
        ConfigError: if the cell cannot be built, or reads frames where the task has no `frames`.
    """
    if not frames and reads_frames(config):
        raise ConfigError(
            f"config.cell.name is {config.cell.name!r}, which reads frames, and the task"
            f" {config.task.name!r} has none; choose another cell"
        )
    cells: list[Any] = [make_cell(config) for _ in range(config.cell.layers)]
    if bidirectional:
        cells = [lj.bidirectional(cell, cell) for cell in cells]
    if len(cells) == 1 and not config.model.residual:
        return cells[0]
    return lj.stack(*cells, dropout=config.model.dropout, residual=config.model.residual)


def reads_frames(config: ConfigDict) -> bool:
    """Whether the cell reads images rather than vectors."""
    name = choose("cell.name", config.cell.name, lj.CELLS)
    return "image_size" in accepted_options(lj.CELLS[name])


def make_optimizer(config: ConfigDict, momentum: Momentum = None) -> optax.GradientTransformation:
    """Clipping and the optimizer at learning rate 1 times the schedule.

    Updates are linear in the learning rate: the runner multiplies them by each member's own. A
    `momentum` takes the place of `config.optimizer.momentum`.
    """
    options = config.optimizer
    build = OPTIMIZERS[choose("optimizer.name", options.name, OPTIMIZERS)]
    clip = optax.clip_by_global_norm(options.clip_norm) if options.clip_norm else optax.identity()
    momentum = options.momentum if momentum is None else momentum
    return optax.chain(clip, build(make_schedule(config), momentum, options))


def make_schedule(config: ConfigDict) -> optax.Schedule:
    """The learning rate over steps as a fraction of its peak: a linear warm-up, then the decay."""
    options, steps = config.optimizer, max(config.train.steps - config.optimizer.warmup_steps, 1)
    shapes = {
        "constant": optax.constant_schedule(1.0),
        "cosine": optax.cosine_decay_schedule(1.0, steps, alpha=options.final_fraction),
        "linear": optax.linear_schedule(1.0, options.final_fraction, steps),
    }
    decay = shapes[choose("optimizer.schedule", options.schedule, shapes)]
    if not options.warmup_steps:
        return decay
    rise = optax.linear_schedule(0.0, 1.0, options.warmup_steps)
    return optax.join_schedules([rise, decay], [options.warmup_steps])


def learning_rates(config: ConfigDict) -> tuple[float, ...]:
    """The learning rates that train at once."""
    return tuple(config.optimizer.learning_rates) or (config.optimizer.learning_rate,)


class Member(NamedTuple):
    """What one of those that train at once has to itself; the last two only in a study."""

    seed: int
    learning_rate: float
    momentum: float = 0.0
    input_noise: float = 0.0


def members(config: ConfigDict) -> list[Member]:
    """Every member that trains at once: a study's trials, or seeds times learning rates."""
    if config.members:
        return [Member(*own) for own in config.members]
    seeds = range(config.seed, config.seed + config.seeds)
    return [Member(seed, rate) for rate in learning_rates(config) for seed in seeds]


def to_json(config: ConfigDict) -> dict[str, Any]:
    """The configuration as JSON holds it (tuples become lists)."""
    return json.loads(json.dumps(config.to_dict()))


def read_json(path: Path) -> ConfigDict:
    """The locked configuration that a run stored.

    Raises:
        ConfigError: if the file holds no JSON object.
    """
    try:
        return ConfigDict(_tuples(json.loads(path.read_text()))).lock()
    except (AttributeError, ValueError) as error:
        raise ConfigError(f"{path} holds no configuration ({first_line(error)})") from error


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The fields in which two stored configurations differ, each with both its values.

    Where the data lie and which devices compute (ELSEWHERE) make no difference.

    Example:
        >>> differences({"train": {"steps": 1}}, {"train": {"steps": 2}})
        ['config.train.steps was 1, now 2']
    """
    old, new = flatten(old), flatten(new)
    names = [n for n in {**old, **new} if n not in ELSEWHERE and old.get(n) != new.get(n)]
    return [f"config.{name} was {old.get(name)!r}, now {new.get(name)!r}" for name in names]


def first_line(error: BaseException) -> str:
    """An exception's message without its further lines and without KeyError's quotes."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def accepted_options(build: Callable[..., lj.Cell]) -> set[str]:
    """The names of a cell constructor's options, those of its `**options`, if any, among them."""
    shared = typing.get_args(typing.get_type_hints(build).get("options"))
    more = {name for options in shared for name in typing.get_type_hints(options)}
    return more | {*signature(build).parameters}


def _cell_arguments(options: ConfigDict, accepted: Collection[str]) -> dict[str, Any]:
    """The constructor's arguments: every option that is set, chrono in its bias's place."""
    given = {k: v for k, v in options.items() if v is not None}
    for name in ("name", "hidden_size", "layers", "chrono"):
        given.pop(name, None)
    if given.get("peepholes") == "none":
        given["peepholes"] = False
    if options.chrono:
        given.update({name: lj.chrono(options.chrono) for name in BIASES if name in accepted})
    for name in [name for name in given if name not in accepted]:
        fault = f"config.cell.{name} is set, but the cell {options.name!r} has no such option"
        if name not in BIASES:
            raise ConfigError(fault)
        logging.log_first_n(logging.WARNING, "%s; it is left out", len(BIASES), fault)
        del given[name]
    return given


def _regularized(cell: lj.Cell, model: ConfigDict) -> lj.Cell:
    if model.variational_inputs or model.variational_recurrent:
        cell = lj.variational_dropout(
            cell, inputs=model.variational_inputs, recurrent=model.variational_recurrent
        )
    if model.drop_connect:
        cell = lj.drop_connect(cell, model.drop_connect)
    if model.zoneout:
        cell = lj.zoneout(cell, model.zoneout)
    return cell


def _update(name: str, update: Callable[[Any], None], values: Any) -> None:
    """Calls `update(values)`; what ml_collections raises becomes a `ConfigError`."""
    try:
        update(values)
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {first_line(error)}") from error


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields under their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def _names(entries: Iterable[str]) -> tuple[str, ...]:
    """The names in entries of which each may hold several, with commas between."""
    return tuple(name for entry in entries for name in entry.split(","))


def _tuples(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _tuples(value) for name, value in tree.items()}
    return tuple(map(_tuples, tree)) if isinstance(tree, list) else tree
