"""From equations to a `Cell`: the options that cells share, checked, and their parameters."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from lstm_jax.cells.initializers import (
    INITIALIZERS,
    Bias,
    Gating,
    Initializer,
    blockwise,
    chrono,
    gate_biases,
    headwise,
)
from lstm_jax.types import Cell, HeadProduct, Params, Recipe, State, matmul

Peepholes = Literal[False, "diagonal", "full"]


class CellOptions(TypedDict, total=False):
    """Options of every cell.

    use_bias: add b (default True).
    kernel_init: initial W, block by block: "glorot" (default), "orthogonal", "small_normal"
      (σ = 0.1), or a function `(key, shape, dtype) -> array`.
    recurrent_init: initial U, block by block (default "orthogonal"), likewise.
    dtype: of the computation; with bfloat16 or float16 the cell state c stays float32.
    param_dtype: of the parameters. Both default to float32, to float64 when x64 is on.
    """

    use_bias: bool
    kernel_init: str | Initializer
    recurrent_init: str | Initializer
    dtype: Any
    param_dtype: Any


class HeadOptions(TypedDict, total=False):
    """Options of every cell with a matrix U for its recurrent kernel.

    heads: the number of groups of units (default 1), which divides H, and P with a projection. The
      gates of a group see the h of this group alone, and U is block-diagonal:

          z[g, head] = xW[g, head] + h[head] U[head, g] + b[g, head]

      With heads above 1, `recurrent_kernel` is [heads, H/heads, G·H/heads], and each head's blocks
      are initialized on their own (Pöppel et al. 2024, "FlashRNN: I/O-aware optimization of
      traditional RNNs on modern hardware", arXiv:2412.07752). What else a cell's gates see, such as
      full peepholes, is not divided.
    """

    heads: int


class RNNOptions(CellOptions, HeadOptions, total=False):
    """Options of the simple recurrent network: those of `CellOptions` and `HeadOptions`."""


class MemoryOptions(CellOptions, total=False):
    """Options of every cell with a cell state c, beside those of `CellOptions`.

    peepholes: False (default but for `peephole_lstm`), "diagonal", or "full".
    cell_clip: bound of |c|, applied before c reaches the output (Sak et al. 2014); None for none.
    """

    peepholes: Peepholes
    cell_clip: float | None


class ForgetOptions(MemoryOptions, total=False):
    """Options of every cell with a forget gate of its own, beside those of `MemoryOptions`.

    forget_bias: initial bias of the forget gate, a number (default 1) or `chrono(T_max)`.
    """

    forget_bias: Bias


class LSTMOptions(ForgetOptions, HeadOptions, total=False):
    """Options of the LSTMs over vectors: those of `ForgetOptions` and `HeadOptions`."""


class InputOptions(MemoryOptions, HeadOptions, total=False):
    """Options of the cell without forget gate, beside those of `MemoryOptions` and `HeadOptions`.

    input_bias: initial bias of the input gate, a number (default 0; negative values keep it shut
      at first) or `chrono(T_max)`.
    """

    input_bias: Bias


class UpdateOptions(CellOptions, total=False):
    """Options of the GRUs and the minimal cells, beside those of `CellOptions`.

    update_bias: initial bias of the update gate, a number (default 0) or `chrono(T_max)`.
    """

    update_bias: Bias


class GRUOptions(UpdateOptions, HeadOptions, total=False):
    """Options of the GRUs: those of `UpdateOptions` and `HeadOptions`."""


DEFAULTS: dict[str, Any] = {
    "use_bias": True,
    "kernel_init": "glorot",
    "recurrent_init": "orthogonal",
    "dtype": None,
    "param_dtype": None,
    "heads": 1,
    "peepholes": False,
    "cell_clip": None,
    "forget_bias": 1.0,
    "update_bias": 0.0,
    "input_bias": 0.0,
}
DTYPES = ("dtype", "param_dtype")
BIASES = ("forget_bias", "update_bias", "input_bias")  # a cell has one of them or none


def resolve(name: str, hidden_size: int, kind: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Checks a constructor's arguments and fills in the defaults.

    Args:
      name: the cell's name, for messages.
      hidden_size: H.
      kind: the TypedDict of the options that the cell takes.
      options: as the user gave them.

    Raises:
      TypeError: an unknown option, or a value of the wrong type.
      ValueError: a value out of range.
    """
    positive_integer(name, "hidden_size", hidden_size)
    known = kind.__annotations__
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(known)}"
            raise TypeError(f"{name}: unknown option {option!r}{hint}")
    resolved = {k: v for k, v in DEFAULTS.items() if k in known} | dict(options)
    check_values(name, resolved)
    check_heads(name, resolved.get("heads", 1), "hidden_size", hidden_size)
    for field in DTYPES:
        if resolved[field] is not None:
            resolved[field] = jnp.dtype(resolved[field])
    return resolved


def positive_integer(name: str, argument: str, value: Any) -> None:
    """Raises unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: {argument} is {value!r}; give a positive integer")
    if value < 1:
        raise ValueError(f"{name}: {argument} is {value}; give a positive integer")


def check_heads(name: str, heads: Any, argument: str, size: int) -> None:
    """Raises unless `heads` is a positive integer that divides a size."""
    positive_integer(name, "heads", heads)
    if size % heads:
        raise ValueError(
            f"{name}: heads is {heads}, which does not divide {argument} ({size}); give a number"
            " that does"
        )


def check_values(name: str, options: Mapping[str, Any]) -> None:
    """Raises for a value that no cell takes."""
    if options.get("peepholes", False) not in (False, "diagonal", "full"):
        raise ValueError(
            f"{name}: peepholes is {options['peepholes']!r}; give False, 'diagonal' or 'full'"
        )
    for field in ("kernel_init", "recurrent_init"):
        value = options.get(field, "glorot")
        if not callable(value) and value not in INITIALIZERS:
            raise ValueError(
                f"{name}: {field} is {value!r}; give {', '.join(map(repr, INITIALIZERS))} "
                "or a function (key, shape, dtype) -> array"
            )
    for field in BIASES:
        value = options.get(field, 0.0)
        if isinstance(value, bool) or not isinstance(value, numbers.Real | chrono):
            raise TypeError(f"{name}: {field} is {value!r}; give a number or lj.chrono(T_max)")
    clip = options.get("cell_clip")
    if clip is not None and not clip > 0:
        raise ValueError(f"{name}: cell_clip is {clip}; give a positive bound or None")
    for field in DTYPES:
        value = options.get(field)
        if value is not None and not jnp.issubdtype(jnp.dtype(value), jnp.floating):
            raise TypeError(f"{name}: {field} is {value!r}; give a floating-point dtype")


def compute_dtype(options: Mapping[str, Any]) -> jnp.dtype:
    """The dtype of the computation."""
    return jnp.dtype(options["dtype"] or options["param_dtype"] or jnp.result_type(float))


def parameter_dtype(options: Mapping[str, Any]) -> jnp.dtype:
    """The dtype of the parameters."""
    return jnp.dtype(options["param_dtype"] or jnp.result_type(float))


def build(
    name: str,
    gating: Gating,
    equations: Callable,
    params_type: Callable[..., Params],
    initial_state: Callable[[int, jnp.dtype], State],
    hidden_size: int,
    options: Mapping[str, Any],
    *,
    recurrent_size: int | None,
    output_size: int | None = None,
    more: Callable[[PRNGKey, jnp.dtype], dict[str, Array]] | None = None,
    inputs: Callable | None = None,
    window: tuple[int, ...] = (),
    product: Callable[[Array, Array], Array] = matmul,
) -> Cell:
    """Puts a cell together.

    Args:
      name: the registry name.
      gating: the gate blocks.
      equations: as in `Cell`.
      params_type: the NamedTuple of the parameters.
      initial_state: `(batch_size, compute dtype) -> state`.
      hidden_size: H.
      options: as `resolve` returned them, and whatever else tells two cells of a name apart.
      recurrent_size: the rows of `recurrent_kernel`, those of all heads; None for none.
      output_size: the width of h where it is not H.
      more: `(key, dtype) -> fields` for the parameters that only this cell has.
      inputs: as in `Cell`.
      window: the axes of the kernels before those of inputs and outputs.
      product: as in `Cell`, where the cell has no heads.
    """
    dtype, heads = compute_dtype(options), options.get("heads", 1)

    def init(key: PRNGKey, input_size: int) -> Params:
        positive_integer(name, "input_size", input_size)
        param_dtype = parameter_dtype(options)
        k_input, k_recurrent, k_bias, k_more = jax.random.split(key, 4)
        shape = hidden_size, len(gating.blocks), param_dtype
        rows = *window, input_size
        fields = {"kernel": blockwise(options["kernel_init"], k_input, rows, *shape)}
        if recurrent_size is not None:
            rows = *window, recurrent_size
            fields["recurrent_kernel"] = headwise(
                options["recurrent_init"], k_recurrent, heads, rows, *shape
            )
        if options["use_bias"]:
            bias = next((options[name] for name in BIASES if name in options), 0.0)
            fields["bias"] = gate_biases(k_bias, gating, hidden_size, bias, param_dtype)
        return params_type(**fields, **(more(k_more, param_dtype) if more else {}))

    def fresh(batch_size: int) -> State:
        if batch_size < 0:
            raise ValueError(f"{name}: batch_size is {batch_size}; give 0 or more")
        return initial_state(batch_size, dtype)

    return Cell(
        name=name,
        output_size=output_size or hidden_size,
        hidden_size=hidden_size,
        init=init,
        initial_state=fresh,
        equations=equations,
        identity=(name, hidden_size, str(dtype), tuple(sorted(options.items()))),
        dtype=dtype,
        inputs=inputs,
        product=product if heads == 1 else HeadProduct(hidden_size // heads),
        recipe=Recipe(name, hidden_size, options),
    )
