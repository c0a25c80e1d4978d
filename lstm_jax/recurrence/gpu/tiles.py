"""A step's equations on tiles: where each of its arrays [B, k·H] is k tiles [rows, units].

A thread block that owns some units of every gate can do alone whatever is elementwise, cuts or
joins whole gate blocks, or spreads a flag over units. Products go to a function that the kernel
supplies. A step that does more has no place in the kernel, and `Untileable` says what that is.
Numbers are float32 throughout, whatever their dtype in the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from jax.extend.core import Literal, Var

from lstm_jax.recurrence.gpu.steps import ROWS, Step, bind

ELEMENTWISE = (
    "abs", "add", "add_any", "and", "clamp", "convert_element_type", "copy", "cos", "div", "eq",
    "erf", "exp", "exp2", "expm1", "ge", "gt", "integer_pow", "le", "log", "log1p", "logistic",
    "lt", "max", "min", "mul", "ne", "neg", "not", "or", "rem", "rsqrt", "select_n", "sign",
    "sin", "sqrt", "square", "stop_gradient", "sub", "tanh", "xor",
)  # fmt: skip
"""Primitives that act on each number alone."""

IN_OTHER_WORDS: dict[str, Callable[..., Array]] = {
    "add_any": lambda a, b: a + b,
    "copy": lambda a: a,
    "stop_gradient": lambda a: a,
    "expm1": lambda a: jnp.exp(a) - 1,
    "log1p": lambda a: jnp.log(1 + a),
    "logistic": lambda a: 0.5 * jnp.tanh(0.5 * a) + 0.5,
    "sqrt": lambda a: jax.lax.select(a == 0, a, a * jax.lax.rsqrt(a)),
}
"""Those that Mosaic GPU lacks, by what it has."""


class Untileable(ValueError):
    """What a step does beyond tiles."""


class Blocks(NamedTuple):
    """An array [B, Σ widths] as a tile for each block."""

    tiles: list[Array]
    widths: tuple[int, ...]


class Flag(NamedTuple):
    """An array [B] or [B, 1], as a tile in which every unit has the same."""

    tile: Array


class Matrix(NamedTuple):
    """The matrix of the product of this number."""

    number: int


class Program(NamedTuple):
    """What a step needs to run on tiles.

    step: the traced step.
    constants: variables that hold one number.
    known: variables that follow from the parameters alone, computed before the kernel.
    equations: the rest, which the kernel runs.
    hidden_size: H.
    """

    step: Step
    constants: dict[Var, float]
    known: list[Var]
    equations: list
    hidden_size: int

    def widths(self, v: Any) -> tuple[int, ...]:
        """The blocks of a variable; a scalar stands for one."""
        return widths_of(v.aval.shape[-1] if v.aval.ndim else self.hidden_size, self.hidden_size)


def program(step: Step, hidden_size: int) -> Program:
    """Splits a step's equations into those of the kernel and those before it."""
    jaxpr = step.jaxpr.jaxpr
    matrices, _, *changing = step.parts(jaxpr.invars)
    varying = {v for part in (matrices, *changing) for v in part}
    folded = constant_values(step)
    inside = []
    for equation in jaxpr.eqns:
        if varying.intersection(v for v in equation.invars if isinstance(v, Var)):
            varying.update(equation.outvars)
            inside.append(equation)
    used = [v for e in inside for v in e.invars] + list(jaxpr.outvars)
    outer = dict.fromkeys(v for v in used if isinstance(v, Var) and v not in varying)
    constants = {v: float(folded[v].flat[0]) for v in outer if is_uniform(folded.get(v))}
    known = [v for v in outer if v not in constants]
    if any(not (folded[v] == folded[v][:1]).all() for v in known if v in folded):
        raise Untileable("its equations tell the sequences of a batch apart")
    return Program(step, constants, known, inside, hidden_size)


def constant_values(step: Step) -> dict[Var, np.ndarray]:
    """The variables that depend on no input."""
    values: dict[Var, np.ndarray] = {}
    jaxpr = step.jaxpr
    values |= {
        v: np.asarray(c)
        for v, c in zip(jaxpr.jaxpr.constvars, jaxpr.consts, strict=True)
        if not isinstance(c, jax.core.Tracer)
    }
    for equation in jaxpr.jaxpr.eqns:
        if all(isinstance(v, Literal) or v in values for v in equation.invars):
            with jax.ensure_compile_time_eval():
                got = [v.val if isinstance(v, Literal) else values[v] for v in equation.invars]
                out = bind(equation, got)
            values |= {v: np.asarray(o) for v, o in zip(equation.outvars, out, strict=True)}
    return values


def is_uniform(v: np.ndarray | None) -> bool:
    """Whether an array holds one number everywhere."""
    return v is not None and np.unique(v).size == 1


def known_rows(program: Program, known: list[Array]) -> list[Array]:
    """The values [Σ widths] of `program.known`, the same in each row of a batch."""
    jaxpr = program.step.jaxpr
    env: dict[Var, Any] = dict(zip(jaxpr.jaxpr.constvars, jaxpr.consts, strict=True))
    env |= dict(zip(program.step.parts(jaxpr.jaxpr.invars)[1], known, strict=True))
    for equation in jaxpr.jaxpr.eqns:
        if all(isinstance(v, Literal) or v in env for v in equation.invars):
            got = [v.val if isinstance(v, Literal) else env[v] for v in equation.invars]
            env.update(zip(equation.outvars, bind(equation, got), strict=True))
    return [row_of(env[v], program.hidden_size) for v in program.known]


def row_of(v: Array, hidden_size: int) -> Array:
    """The row of an array whose rows are equal; a scalar for each unit."""
    return v.reshape(-1, v.shape[-1])[0] if v.ndim else jnp.broadcast_to(v, (hidden_size,))


def widths_of(width: int, hidden_size: int) -> tuple[int, ...]:
    """The blocks of an array: as many of H as fill it, or one of its own width."""
    if width % hidden_size:
        return (width,)
    return (hidden_size,) * (width // hidden_size)


class Machine:
    """Runs a program on tiles of one shape."""

    def __init__(self, program: Program, shape: tuple[int, int], product: Callable) -> None:
        self.program = program
        self.shape = shape
        self.product = product
        self.env: dict[Var, Any] = {}

    def run(self, known: list, carry: list, streams: list, flags: list) -> list[list[Array]]:
        """The tiles of each output.

        Args:
          known, carry, streams: tiles of each array, in the order of the program.
          flags: a tile of each flag.
        """
        program = self.program
        invars = program.step.parts(program.step.jaxpr.jaxpr.invars)
        self.env = {v: Matrix(k) for k, v in enumerate(invars[0])}
        self.env |= program.constants
        given = [*zip(program.known, known, strict=True), *zip(invars[2], carry, strict=True)]
        for v, tiles in [*given, *zip(invars[3], streams, strict=True)]:
            tiles = [tile != 0 for tile in tiles] if v.aval.dtype == bool else tiles
            scalar = v.aval.ndim == 0
            self.env[v] = Flag(tiles[0]) if scalar else Blocks(list(tiles), program.widths(v))
        self.env |= {v: Flag(tile) for v, tile in zip(invars[4], flags, strict=True)}
        for equation in program.equations:
            out = self.evaluate(equation, [self.read(v) for v in equation.invars])
            for v, value in zip(equation.outvars, out, strict=True):
                self.env[v] = checked(equation, v, value)
        return [self.tiles(v) for v in program.step.jaxpr.jaxpr.outvars]

    def read(self, v: Any) -> Any:
        return np.asarray(v.val).item() if isinstance(v, Literal) else self.env[v]

    def tiles(self, v: Any) -> list[Array]:
        """The tiles of an output."""
        value = self.read(v)
        blocks = value if isinstance(value, Blocks) else self.full(value, v)
        return blocks.tiles

    def spread(self, value: Any, widths: tuple[int, ...]) -> list[Array]:
        """A number or a flag in every block."""
        tile = value.tile if isinstance(value, Flag) else jnp.full(self.shape, value, jnp.float32)
        return [tile for _ in widths]

    def evaluate(self, equation: Any, values: list) -> list:
        """The results of an equation."""
        name = equation.primitive.name
        if name in RULES:
            return getattr(self, name)(equation, *values)
        if name in ELEMENTWISE:
            return [self.elementwise(equation, values)]
        raise Untileable(f"its equations have {name!r}, which is not known to be elementwise")

    def elementwise(self, equation: Any, values: list) -> Any:
        blocks = [v for v in values if isinstance(v, Blocks)]
        if len({v.widths for v in blocks}) > 1:
            raise Untileable(f"its equations combine blocks of widths {[v.widths for v in blocks]}")

        def tile(k: int) -> Array:
            pairs = zip(values, equation.invars, strict=True)
            return self.apply(equation, [self.operand(v, atom, k) for v, atom in pairs])

        if not blocks:
            return Flag(tile(0))
        return Blocks([tile(k) for k in range(len(blocks[0].widths))], blocks[0].widths)

    def operand(self, value: Any, atom: Any, k: int) -> Array:
        """The tile of a value that meets the k-th block of another."""
        if isinstance(value, Blocks):
            return value.tiles[k]
        if isinstance(value, Flag):
            return value.tile
        return jnp.full(self.shape, value, in_kernel(atom.aval.dtype))

    def apply(self, equation: Any, tiles: list[Array]) -> Array:
        name = equation.primitive.name
        if name in IN_OTHER_WORDS:
            return IN_OTHER_WORDS[name](*tiles)
        if name == "convert_element_type":
            wanted = in_kernel(equation.params["new_dtype"])
            return tiles[0] if tiles[0].dtype == wanted else tiles[0].astype(wanted)
        return bind(equation, tiles)[0]

    def slice(self, equation: Any, value: Blocks) -> list[Blocks]:
        params = equation.params
        return [self.cut(value, params["start_indices"][-1], params["limit_indices"][-1])]

    def split(self, equation: Any, value: Blocks) -> list[Blocks]:
        sizes = np.asarray(equation.params["sizes"])
        ends = np.cumsum(sizes)
        return [self.cut(value, *edges) for edges in zip(ends - sizes, ends, strict=True)]

    def cut(self, value: Blocks, start: int, limit: int) -> Blocks:
        edges = [0, *np.cumsum(value.widths).tolist()]
        if start not in edges or limit not in edges:
            raise Untileable(f"its equations cut a gate block, at unit {start} or {limit}")
        part = slice(edges.index(start), edges.index(limit))
        return Blocks(value.tiles[part], value.widths[part])

    def concatenate(self, equation: Any, *values: Blocks) -> list[Blocks]:
        pairs = zip(values, equation.invars, strict=True)
        parts = [v if isinstance(v, Blocks) else self.full(v, of) for v, of in pairs]
        tiles = [tile for v in parts for tile in v.tiles]
        return [Blocks(tiles, tuple(w for v in parts for w in v.widths))]

    def full(self, value: Any, like: Any) -> Blocks:
        widths = self.program.widths(like)
        return Blocks(self.spread(value, widths), widths)

    def pad(self, equation: Any, value: Blocks, filler: float) -> list[Blocks]:
        *_, (low, high, _) = equation.params["padding_config"]
        parts = [widths_of(w, self.program.hidden_size) if w else () for w in (low, high)]
        left, right = (self.spread(filler, w) for w in parts)
        return [Blocks([*left, *value.tiles, *right], (*parts[0], *value.widths, *parts[1]))]

    def broadcast_in_dim(self, equation: Any, value: Any) -> list:
        shape = equation.params["shape"]
        if isinstance(value, Flag) and shape[-1] != 1:
            return [self.full(value, equation.outvars[0])]
        return [value]

    def reshape(self, equation: Any, value: Any) -> list:
        if not isinstance(value, Flag):
            raise Untileable("its equations reshape the units")
        return [value]

    def dot_general(self, equation: Any, a: Any, matrix: Any) -> list[Blocks]:
        if not isinstance(matrix, Matrix):
            raise Untileable("its equations multiply by a matrix outside of affine")
        widths = self.program.widths(equation.outvars[0])
        blocks = a if isinstance(a, Blocks) else self.full(a, equation.invars[0])
        return [Blocks(self.product(matrix.number, blocks.tiles), widths)]


def in_kernel(dtype: Any) -> Any:
    """The dtype that numbers of a dtype have in the kernel."""
    return jnp.dtype(jnp.float32 if jnp.issubdtype(dtype, jnp.floating) else dtype)


def checked(equation: Any, v: Any, value: Any) -> Any:
    """A result, if it is of the shape that the trace has: what a rule overlooked, shows here."""
    shape = v.aval.shape
    if isinstance(value, Flag):
        right = shape in ((), (ROWS,), (ROWS, 1))
    else:
        right = shape == (ROWS, sum(value.widths))
    if not right:
        name = equation.primitive.name
        raise Untileable(f"its equations have {name!r} beyond whole gate blocks of a sequence")
    return value


RULES = ("slice", "split", "concatenate", "pad", "broadcast_in_dim", "reshape", "dot_general")
