"""How a recurrence is laid over the chip: units over thread blocks, the batch over tiles."""

from __future__ import annotations

import math
from typing import NamedTuple

from lstm_jax.recurrence.gpu.device import SWIZZLE, Chip

UNITS = 16  # the fewest units of a thread block
ROWS = 64  # of the matrix unit
BATCH_TILES = (8, 16, 32, 64)
COLUMNS = 256  # the most that the matrix unit takes
SPARE = 4_096  # bytes of shared memory for barriers and alignment


class Product(NamedTuple):
    """A product of a step.

    inner: blocks of its operand.
    outer: blocks of its result.
    width: units of a block of the operand, padded: its matrix has so many columns.
    """

    inner: int
    outer: int
    width: int


class Plan(NamedTuple):
    """Which thread block does what.

    kind: "block" (one thread block holds all of U), "cluster" (the blocks of a cluster share it),
      or "grid" (all multiprocessors do).
    slices: thread blocks that share the units.
    units: units of each.
    batch_tile: sequences of a tile.
    tiles: tiles of the batch.
    heads: groups of units, each with a recurrence of its own.
    width: units of a head, padded.
    chunk: units of an operand in shared memory at a time.
    """

    kind: str
    slices: int
    units: int
    batch_tile: int
    tiles: int
    heads: int
    width: int
    chunk: int


def padded(units: int, itemsize: int) -> int:
    """Units up to whole rows of swizzled memory."""
    return math.ceil(units * itemsize / SWIZZLE) * SWIZZLE // itemsize


def make_plan(
    products: list[Product], hidden_size: int, heads: int, batch: int, itemsize: int, chip: Chip
) -> Plan | None:
    """The plan for a recurrence; None where no plan fits the chip.

    The first that fits of: one thread block up to 128 units; a cluster, with as few blocks as
    hold U; the grid, with as many as there are multiprocessors, all of them running at once.
    """
    width = padded(hidden_size // heads, itemsize)
    for kind, slices in arrangements(width, chip):
        for batch_tile in BATCH_TILES:
            tiles = math.ceil(batch / batch_tile)
            for chunk in [width] if kind == "block" else chunks(products, itemsize):
                plan = Plan(kind, slices, width // slices, batch_tile, tiles, heads, width, chunk)
                if fits(plan, products, itemsize, chip):
                    return plan
            if batch_tile >= batch:
                break
    return None


def chunks(products: list[Product], itemsize: int) -> list[int]:
    """Lengths that divide every operand, the longest first."""
    whole, step = math.gcd(*(p.width for p in products)), SWIZZLE // itemsize
    return [n for n in range(whole, 0, -step) if whole % n == 0]


def arrangements(width: int, chip: Chip) -> list[tuple[str, int]]:
    """Kinds with their numbers of slices, in order of preference."""
    whole = width // UNITS
    divisors = [n for n in range(2, whole + 1) if whole % n == 0]
    block = [("block", 1)] if width <= 128 else []
    cluster = [("cluster", n) for n in divisors if n <= chip.cluster and width <= 512]
    return block + cluster + [("grid", n) for n in reversed(divisors)]


def fits(plan: Plan, products: list[Product], itemsize: int, chip: Chip) -> bool:
    """Whether a plan fits shared memory, the matrix unit and, for a grid, the multiprocessors."""
    weights = sum(rows_of(p, plan) * p.width for p in products) * itemsize
    operand = columns(products, plan) * plan.chunk * itemsize
    result = max(rows_of(p, plan) for p in products) * columns(products, plan) * 4
    running = plan.kind != "grid" or plan.slices * plan.tiles * plan.heads <= chip.multiprocessors
    room = weights + operand + result + SPARE <= chip.shared_memory
    return running and room and columns(products, plan) <= COLUMNS


def columns(products: list[Product], plan: Plan) -> int:
    """The most columns that a product has: sequences for each block of its operand."""
    return max(p.inner for p in products) * plan.batch_tile


def rows_of(product: Product, plan: Plan) -> int:
    """Rows of a thread block's part of a matrix: its units of every pair of blocks, padded."""
    return math.ceil(product.inner * product.outer * plan.units / ROWS) * ROWS
