"""One kernel for a whole sequence: the matrices stay on the chip, the equations are traced in.

Each thread block owns some units of every gate, for a tile of the batch. At every product of a step

    z [units of all blocks, batch] = U [units, K] · aᵀ [K, batch]

the weights fill the rows of the matrix unit and the sequences its columns. An operand of several
blocks meets its matrices all at once, block q of the operand in columns q, and of the result only
what block q of the matrix made of it is kept. Thread blocks that share the units hand each other
their part of an operand through global memory, which stays in the second-level cache: at an address
of its own for each step, so that nothing is overwritten that another may still read, and nothing
read twice that a first-level cache may have kept. Then they wait for one another, at a barrier of
the cluster or at a semaphore.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import mosaic_gpu as plgpu

from lstm_jax.recurrence.gpu import packing
from lstm_jax.recurrence.gpu.device import Device, shared
from lstm_jax.recurrence.gpu.plan import Plan, Product, columns, rows_of
from lstm_jax.recurrence.gpu.tiles import Machine, Program


class Inputs(NamedTuple):
    """What a kernel reads, all of it packed."""

    matrices: list
    known: list
    carry: list
    streams: list
    flags: list


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A program run over time, forwards or backwards.

    Attributes:
      program: the step.
      products: the products of the step, from operand to result.
      plan: the layout on the chip.
      device: Hopper or interpret mode.
      dtype: of the operands of products.
      reverse: from the last step to the first.
    """

    program: Program
    products: list[Product]
    plan: Plan
    device: Device
    dtype: Any
    reverse: bool

    def __call__(
        self, matrices: list, known: list, carry: list, streams: list, flags: list
    ) -> tuple[list[Array], list[Array]]:
        """Runs it.

        Args:
          matrices: as `packing.pack_matrix` has them.
          known: as `tiles.known_rows` has them.
          carry: the first, arrays [B, k·H].
          streams: arrays [T, B, k·H].
          flags: booleans [T, B].

        Returns:
          The last carry, and what was written, [T, B, k·H].
        """
        plan, size = self.plan, self.program.hidden_size
        steps, batch = streams[0].shape[:2]
        inputs = Inputs(
            matrices,
            [packing.pack_row(v, plan, size) for v in known],
            [packing.pack(v, plan, size) for v in carry],
            [packing.pack(v, plan, size) for v in streams],
            [packing.pack_flag(v, plan) for v in flags],
        )
        outvars = self.program.step.jaxpr.out_avals
        last, written = outvars[: len(carry)], outvars[len(carry) :]
        outs = [self.packed(v, ()) for v in last] + [self.packed(v, (steps,)) for v in written]
        leaves, tree = jax.tree.flatten(inputs)
        call = jax.custom_batching.sequential_vmap(self.kernel(tree, outs, steps))
        results = call(*leaves)
        kept = [
            packing.unpack(r, batch, v.shape[-1], size)
            for r, v in zip(results, outvars, strict=False)
        ]
        return kept[: len(carry)], kept[len(carry) :]

    def packed(self, aval: Any, lead: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        """Shape and dtype of an output of the kernel."""
        plan, width = self.plan, aval.shape[-1]
        blocks = packing.widths_of(width, self.program.hidden_size)
        rows = plan.tiles * plan.batch_tile
        return jax.ShapeDtypeStruct((*lead, rows, len(blocks), plan.heads, plan.width), aval.dtype)

    def kernel(self, tree: Any, outs: list, steps: int) -> Any:
        """The function of the packed arrays."""
        shared_out = self.plan.slices > 1
        exchanges = [self.exchange(p, steps) for p in self.products] if shared_out else []

        def body(*refs: Any) -> None:
            ends = [tree.num_leaves, len(outs), len(exchanges)]
            first, second, third = itertools.accumulate(ends)
            given = jax.tree.unflatten(tree, refs[:first])
            parts = (refs[first:second], refs[second:third], refs[third:])
            Block(self, steps, Inputs(*given), *parts).run()

        return launch(body, [*outs, *exchanges], self.scratch(), self.plan, self.device)

    def exchange(self, product: Product, steps: int) -> jax.ShapeDtypeStruct:
        """Where thread blocks hand each other an operand."""
        plan = self.plan
        shape = (steps, plan.heads, plan.tiles, product.inner * plan.batch_tile, plan.width)
        return jax.ShapeDtypeStruct(shape, self.dtype)

    def scratch(self) -> list:
        """Shared memory for matrices, an operand and a result, and barriers."""
        plan, most = self.plan, columns(self.products, self.plan)
        weights = [shared((rows_of(p, plan), p.width), self.dtype) for p in self.products]
        operand = shared((most, plan.chunk), self.dtype)
        result = plgpu.SMEM((max(rows_of(p, plan) for p in self.products), most), jnp.float32)
        arrived = plgpu.Barrier(num_arrivals=len(self.products))
        return [*weights, operand, result, arrived, *Meeting.scratch(plan)]


def launch(body: Any, outs: list, scratch: list, plan: Plan, device: Device) -> Any:
    """The function that runs a body in every thread block of a plan."""
    grid = (plan.tiles, plan.heads)
    axes: dict[str, Any] = {"grid": grid, "grid_names": ("tile", "head")}
    if plan.kind == "cluster":
        axes |= {"cluster": (plan.slices,), "cluster_names": ("slice",)}
    if plan.kind == "grid":
        axes |= {"grid": (*grid, plan.slices), "grid_names": ("tile", "head", "slice")}
    options = plgpu.CompilerParams(lowering_semantics=plgpu.LoweringSemantics.Lane)
    return plgpu.kernel(
        body,
        out_type=outs,
        scratch_types=scratch,
        compiler_params=options,
        interpret=device.interpret,
        **axes,
    )


class Meeting:
    """Where the thread blocks that share the units wait for one another.

    After it, each sees what the others wrote to global memory before.
    """

    def __init__(self, plan: Plan, device: Device, barrier: Sequence) -> None:
        self.plan, self.device, self.barrier = plan, device, barrier
        if plan.kind == "grid":
            group = jax.lax.axis_index("tile") * plan.heads + jax.lax.axis_index("head")
            count = plan.tiles * plan.heads
            self.semaphore = pl.get_global(plgpu.SemaphoreType.REGULAR((count,))).at[group]

    @staticmethod
    def scratch(plan: Plan) -> list:
        """What a kernel has to allocate for it."""
        return [plgpu.ClusterBarrier(collective_axes=("slice",))] if plan.kind == "cluster" else []

    def __call__(self, times: Any) -> None:
        """Meets; `times` counts the meetings, this one included."""
        if self.plan.kind == "cluster":
            self.device.fence()
            plgpu.barrier_arrive(*self.barrier)
            plgpu.barrier_wait(*self.barrier)
            self.device.fence()
        if self.plan.kind == "grid":
            plgpu.semaphore_signal(self.semaphore, 1, memory_scope="gpu")
            arrivals = self.plan.slices * times
            plgpu.semaphore_wait(self.semaphore, arrivals, decrement=False, memory_scope="gpu")


class Block:
    """One thread block at work."""

    def __init__(
        self,
        sweep: Sweep,
        steps: int,
        inputs: Inputs,
        outs: Sequence,
        exchanges: Sequence,
        scratch: Sequence,
    ) -> None:
        self.sweep, self.plan, self.device = sweep, sweep.plan, sweep.device
        self.steps, self.inputs, self.exchanges = steps, inputs, exchanges
        self.last, self.written = outs[: len(inputs.carry)], outs[len(inputs.carry) :]
        count = len(sweep.products)
        self.weights = scratch[:count]
        self.operand, self.result, self.arrived, *barrier = scratch[count:]
        self.meet = Meeting(self.plan, self.device, barrier)
        self.tile, self.head = jax.lax.axis_index("tile"), jax.lax.axis_index("head")
        self.slice = jax.lax.axis_index("slice") if self.plan.slices > 1 else 0
        self.rows = pl.ds(self.tile * self.plan.batch_tile, self.plan.batch_tile)
        self.units = pl.ds(self.slice * self.plan.units, self.plan.units)

    def run(self) -> None:
        """Brings the matrices in, and goes through the steps."""
        for matrix, weights in zip(self.inputs.matrices, self.weights, strict=True):
            plgpu.copy_gmem_to_smem(matrix.at[self.head, self.slice], weights, self.arrived)
        plgpu.barrier_wait(self.arrived)
        known = [self.read(ref, slice(None)) for ref in self.inputs.known]
        first = [self.read(ref, self.rows) for ref in self.inputs.carry]
        last = jax.lax.fori_loop(0, self.steps, lambda i, c: self.step(i, known, c), first)
        for ref, tiles in zip(self.last, last, strict=True):
            self.write(ref, tiles, self.rows)

    def step(self, i: Array, known: list, carry: list) -> list:
        """Reads what step i needs, runs its equations, writes what is asked for."""
        t = self.steps - 1 - i if self.sweep.reverse else i
        streams = [self.read(ref, t, self.rows) for ref in self.inputs.streams]
        flags = [self.device.load(ref.at[t, self.rows]) != 0 for ref in self.inputs.flags]

        def product(k: int, tiles: list[Array]) -> list[Array]:
            return self.multiply(i, t, k, tiles)

        shape = (self.plan.batch_tile, self.plan.units)
        machine = Machine(self.sweep.program, shape, product)
        out = machine.run(known, carry, streams, flags)
        for ref, tiles in zip(self.written, out[len(carry) :], strict=True):
            self.write(ref, tiles, t, self.rows)
        return out[: len(carry)]

    def multiply(self, i: Array, t: Array, k: int, tiles: list[Array]) -> list[Array]:
        """Product k of step i: its operand's tiles to tiles of the result."""
        product, height = self.sweep.products[k], self.plan.batch_tile
        count = product.inner * height
        operand = self.operand.at[pl.ds(0, count)]
        result = self.result.at[pl.ds(0, rows_of(product, self.plan)), pl.ds(0, count)]
        alone = self.plan.slices == 1
        target = operand if alone else self.exchanges[k].at[t, self.head, self.tile]
        for q, tile in enumerate(tiles):
            place = target.at[pl.ds(q * height, height), self.units]
            self.device.store(place, tile.astype(self.sweep.dtype))
        self.meet(i * len(self.sweep.products) + k + 1)

        def fill(start: int) -> None:
            if not alone:
                self.device.copy(target.at[:, pl.ds(start, self.plan.chunk)], operand)

        self.device.multiply(self.weights[k], operand, result, fill, self.plan.chunk)
        return [self.gather(result, product, p) for p in range(product.outer)]

    def gather(self, result: Any, product: Product, p: int) -> Array:
        """Block p of a result: the sum of what each block of the operand gave to it."""
        height, units = self.plan.batch_tile, self.plan.units
        total = None
        for q in range(product.inner):
            rows = pl.ds((q * product.outer + p) * units, units)
            part = self.device.load_transposed(result.at[rows, pl.ds(q * height, height)])
            total = part if total is None else total + part
        return total

    def read(self, ref: Any, *where: Any) -> list[Array]:
        """This block's tiles of an array [..., batch, k, heads, width], in float32."""
        blocks = range(ref.shape[-3])
        tiles = [self.device.load(ref.at[(*where, k, self.head, self.units)]) for k in blocks]
        return [v if v.dtype == jnp.float32 else v.astype(jnp.float32) for v in tiles]

    def write(self, ref: Any, tiles: list[Array], *where: Any) -> None:
        """Writes this block's tiles of an array."""
        for k, tile in enumerate(tiles):
            place = ref.at[(*where, k, self.head, self.units)]
            self.device.store(place, tile if tile.dtype == ref.dtype else tile.astype(ref.dtype))
