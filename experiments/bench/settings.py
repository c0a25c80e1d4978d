"""What the user asked for, read from the flags and checked before any work is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from experiments.bench.problem import Shape
from experiments.config import ConfigError
from experiments.nearest import hint


@dataclasses.dataclass(frozen=True)
class Settings:
    """The flags of the command, which say what each is."""

    shapes: tuple[Shape, ...]
    contenders: tuple[str, ...]
    cells: tuple[str, ...]
    seconds: float
    devices: int
    mode: str = "full"
    repetitions: int = 1000

    def without(self, names: Collection[str]) -> Settings:
        """The same with fewer contenders."""
        left = tuple(name for name in self.contenders if name not in names)
        return dataclasses.replace(self, contenders=left)


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def parse_names(flag: str, names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Returns `names` if all are known.

    Raises:
        ConfigError: naming the flag, the known names and the nearest one.
    """
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--{flag} has {name!r}, choose from {', '.join(known)}{hint(name, known)}"
            )
    return tuple(names)


def parse_shapes(texts: Sequence[str]) -> tuple[Shape, ...]:
    """Reads shapes written as TxBxDxH.

    Raises:
        ConfigError: for anything else.
    """
    shapes = []
    for text in texts:
        sizes = text.split("x")
        if len(sizes) != 4 or not all(size.isdecimal() and int(size) for size in sizes):
            raise ConfigError(
                f"--shapes has {text!r}, write TxBxDxH (time steps, batch, input features, hidden"
                " units), for instance 128x32x128x128"
            )
        shapes.append(Shape(*map(int, sizes)))
    return tuple(shapes)


def at_least(flag: str, value: float, least: float) -> None:
    """Raises `ConfigError` for a number that is too small."""
    if value < least:
        raise ConfigError(f"--{flag} is {value}, it must be at least {least}")
