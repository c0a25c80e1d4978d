"""The vocabulary of the library: axes, states, and what a cell is.

Axes, as they appear in shapes throughout:

    T  time steps          B  batch               D  input features
    H  hidden units        P  projected units     G  gate blocks, side by side
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array, ArrayTree, PRNGKey

Params = Any
"""A NamedTuple of arrays, its fields named as in the equations (`kernel`, `bias`, ...)."""

State = Any
"""A NamedTuple of arrays [B, H] whose field `h` is the cell's output."""

Affine = Callable[[Any, Array, Array], Array]
"""`affine(x, a, U)` stands for `x + a @ U`; the engine that runs the cell supplies it."""

Gates = dict[str, Array]


class RNNState(NamedTuple):
    """State of a cell whose only memory is its output: h [B, H]."""

    h: Array


class LSTMState(NamedTuple):
    """State of an LSTM: output h [B, H] (or [B, P] with a projection) and cell state c [B, H]."""

    h: Array
    c: Array


def zeros(batch_size: int, size: int, dtype: jnp.dtype) -> Array:
    """One field of a fresh state, [B, size]."""
    return jnp.zeros((batch_size, size), dtype)


def matmul(a: Array, kernel: Array) -> Array:
    """The product of dense cells: a [..., K] times kernel [K, G·H]."""
    return a @ kernel


@dataclasses.dataclass(frozen=True)
class HeadProduct:
    """The product of dense cells with heads, each of which reads its own part of a.

        z[g, head, j] = Σ_k a[head, k] U[head, k, g·units + j]

    of a [..., K] with a kernel [heads, K/heads, G·units]; z is [..., G·H], its blocks side by side.
    A kernel [K, N], which heads share, is multiplied by `matmul`.

    Attributes:
      units: H/heads, the units of a head.
    """

    units: int

    def __call__(self, a: Array, kernel: Array) -> Array:
        if kernel.ndim == 2:
            return matmul(a, kernel)
        return head_by_head(a, kernel, kernel.shape[1], self.units)

    def pull(self, d_z: Array, transposed: Array) -> Array:
        """da = dz Uᵀ, of the kernel with its last two axes exchanged."""
        if transposed.ndim == 2:
            return matmul(d_z, transposed)
        return head_by_head(d_z, transposed, self.units, transposed.shape[-1])


def head_by_head(a: Array, kernel: Array, inner: int, outer: int) -> Array:
    """Multiplies the part of a that belongs to a head by that head's matrix.

    Args:
      a: [..., blocks·heads·inner], in this order.
      kernel: [heads, blocks·inner, blocks'·outer].
      inner, outer: the units of a head in a and in the result.

    Returns:
      [..., blocks'·heads·outer].
    """
    heads, rows, columns = kernel.shape

    def one(a: Array, kernel: Array) -> Array:
        z = matmul(a.reshape(*a.shape[:-2], rows), kernel)
        return z.reshape(*z.shape[:-1], columns // outer, outer)

    parts = a.reshape(*a.shape[:-1], rows // inner, heads, inner)
    z = jax.vmap(one, in_axes=(-2, 0), out_axes=-2)(parts, kernel)
    return z.reshape(*a.shape[:-1], heads * columns)


def whole_sequence_inputs(product: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """Builds xW + b for all steps at once, as one product over T·B rows."""

    def inputs(params: Params, xs: Array, keys: PRNGKey | None) -> Array:
        del keys
        z = product(xs, params.kernel)
        bias = getattr(params, "bias", None)
        return z if bias is None else z + bias.reshape((1,) * (z.ndim - 1) + (-1,))

    return inputs


def unchanged(params: Params, key: PRNGKey | None, state: State) -> Params:
    """The default `prepare`: no noise on the parameters."""
    del key, state
    return params


class Recipe(NamedTuple):
    """Which constructor of the library made a cell, and from what.

    constructor: its name, "lstm" or "zoneout".
    first: its first argument, the hidden size or the cell that noise is added to.
    options: its other arguments, defaults filled in.
    """

    constructor: str
    first: Any
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """A recurrent cell: its equations and what they need, as pure functions.

    The engine owns the matrix products, time and the backward pass, so that a new cell is
    `equations` and `init`.

    Attributes:
      name: how messages call the cell.
      output_size: the width of `state.h`.
      init: `(key, input_size) -> params`, a NamedTuple; `kernel` is the input kernel [D, G·H].
      initial_state: `(batch_size) -> state`, the fresh state, a NamedTuple with a field `h`.
      equations: `(params, state, x, affine) -> (state, gates)` for one step. `x` is the step's
        input part (xW + b unless `inputs` says otherwise); products with parameters go through
        `affine(x, a, U)`, which stands for x + a @ U; U depends on `params` alone. `gates` names
        whatever `lstm_jax.gates` shall show.
      identity: what makes two cells equal (and not recompile); the functions by default.
      dtype: the dtype of the computation; float32 (float64 with x64) by default.
      inputs: `(params, xs, keys) -> pytree of [T, B, ...]`: the input part of all steps at once;
        `keys` [T] are one key a step for noise, or None.
      prepare: `(params, key, state) -> params`: noise on the parameters, once a sequence.
      product: what stands for `@`, here and in the default `inputs`: of an operand [B, ...] or
        [T, B, ...] with a kernel.
      hidden_size: H, where it is not the output's width.
      recipe: how a constructor of the library made it, which is how files and converters know it;
        None for a cell of your own.

    Example:
      class LeakyParams(NamedTuple):
          kernel: jax.Array
          recurrent_kernel: jax.Array

      def equations(params, state, x, affine):
          n = jnp.tanh(affine(x, state.h, params.recurrent_kernel))
          return lj.RNNState(h=0.9 * state.h + 0.1 * n), {"n": n}

      def init(key, input_size):
          k1, k2 = jax.random.split(key)
          return LeakyParams(jax.random.normal(k1, (input_size, 8)) / 8,
                             jax.random.normal(k2, (8, 8)) / 8)

      cell = lj.Cell("leaky", 8, init, lambda b: lj.RNNState(jnp.zeros((b, 8))), equations)
      state, ys = lj.unroll(cell, cell.init(jax.random.key(0), 32), jnp.ones((50, 8, 32)))
    """

    name: str
    output_size: int
    init: Callable[[PRNGKey, int], Params]
    initial_state: Callable[[int], State]
    equations: Callable[[Params, State, Any, Affine], tuple[State, Gates]]
    identity: Hashable = None
    dtype: Any = None
    inputs: Callable[[Params, Array, PRNGKey | None], Any] | None = None
    prepare: Callable[[Params, PRNGKey | None, State], Params] = unchanged
    product: Callable[[Array, Array], Array] = matmul
    hidden_size: int = 0
    recipe: Recipe | None = None

    def __post_init__(self) -> None:
        if self.identity is None:
            fields = (self.name, self.output_size, self.init, self.initial_state, self.equations)
            more = (str(self.dtype), self.inputs, self.prepare, self.product)
            object.__setattr__(self, "identity", fields + more)
        if not self.hidden_size:
            object.__setattr__(self, "hidden_size", self.output_size)
        if self.inputs is None:
            object.__setattr__(self, "inputs", whole_sequence_inputs(self.product))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __repr__(self) -> str:
        return f"Cell({self.name}, output_size={self.output_size})"

    @property
    def compute_dtype(self) -> jnp.dtype:
        """The dtype that parameters and inputs are cast to."""
        return jnp.dtype(jnp.result_type(float) if self.dtype is None else self.dtype)

    def step(self, params: Params, state: State, x: Array) -> tuple[State, Array]:
        """Advances one step.

        Args:
          params: as `init` returns them.
          state: as `initial_state` returns it.
          x: input [B, D].

        Returns:
          The new state and the output y [B, output_size], which is `state.h`.
        """
        params = self.prepare(cast(params, self.compute_dtype), None, state)
        inputs = self.inputs(params, x.astype(self.compute_dtype)[None], None)  # type: ignore[misc]
        x = jax.tree.map(lambda v: v[0], inputs)
        new, _ = advance(self, params, state, x, plain_affine(self.product))
        return new, new.h


def cast(tree: ArrayTree, dtype: jnp.dtype) -> ArrayTree:
    """Casts the floating-point leaves of `tree` to `dtype`."""
    return jax.tree.map(lambda v: v.astype(dtype) if is_float(v) else v, tree)


def is_float(v: Array) -> bool:
    """Whether an array holds floating-point numbers (and so has a gradient)."""
    return jnp.issubdtype(v.dtype, jnp.floating)


def split_floats(tree: ArrayTree) -> tuple[list[Array], Callable]:
    """The floating-point leaves of a tree, and a function that puts others in their place."""
    leaves, treedef = jax.tree.flatten(tree)
    which = [is_float(v) for v in leaves]

    def put(floats: list[Array], keep_others: bool = True) -> ArrayTree:
        others = [v if keep_others else None for v in leaves]
        return jax.tree.unflatten(treedef, merge(which, floats, others))

    return chosen(which, leaves), put


def chosen(which: list[bool], values: list[Array]) -> list[Array]:
    """The values that are marked."""
    return [v for v, marked in zip(values, which, strict=True) if marked]


def merge(which: list[bool], values: list[Array], otherwise: list[Any]) -> list[Any]:
    """Takes the next of `values` where marked, else the entry of `otherwise`."""
    given = iter(values)
    return [next(given) if marked else o for marked, o in zip(which, otherwise, strict=True)]


def plain_affine(product: Callable[[Array, Array], Array]) -> Affine:
    """x + a @ U, with a rounded to the dtype of U: what `affine` stands for."""

    def affine(x: Any, a: Array, kernel: Array) -> Array:
        z = product(a.astype(kernel.dtype), kernel)
        return z + align(x, z)

    return affine


def align(x: Any, z: Array) -> Array:
    """Brings x (a scalar, a vector [G·H] or an array [B, G·H]) to the shape and dtype of z."""
    x = jnp.asarray(x, z.dtype)
    return x if x.shape == z.shape else jnp.broadcast_to(x, z.shape)


def advance(
    cell: Cell, params: Params, state: State, x: Any, affine: Affine
) -> tuple[State, Gates]:
    """One step of the equations; the new state keeps the dtypes of the old one."""
    new, gates = cell.equations(params, state, x, affine)
    return jax.tree.map(lambda n, s: n.astype(s.dtype), new, state), gates
