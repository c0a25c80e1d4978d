"""What the kernel asks of the chip, once for Hopper and once for interpret mode on the CPU.

Interpret mode knows no layouts and no matrix unit: there, tiles are plain arrays, and the product
is `jnp.dot`. Everything else in the kernel is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from chex import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import mosaic_gpu as plgpu

SWIZZLE = 128  # bytes of a row in shared memory that are permuted, so that no banks conflict
JAX_0_10 = jax.__version_info__ < (0, 11)


class Chip(NamedTuple):
    """What a plan needs to know of a GPU."""

    multiprocessors: int
    shared_memory: int  # bytes for one block of threads
    cluster: int  # blocks of threads that may share a cluster


HOPPER = Chip(multiprocessors=132, shared_memory=232_448, cluster=8)


class Device(NamedTuple):
    """Hopper, or interpret mode."""

    chip: Chip
    interpret: Any

    def load(self, ref: Any, layout: Any = None) -> Array:
        """A tile of global or shared memory, spread over the threads."""
        if self.interpret:
            return ref[...]
        where = ((),) if JAX_0_10 else ()
        return plgpu.load(ref, *where, layout=layout or tile_layout(), optimized=False)

    def load_transposed(self, ref: Any) -> Array:
        """A tile of shared memory, rows and columns exchanged."""
        return ref[...].T if self.interpret else self.load(transpose(ref))

    def store(self, ref: Any, tile: Array) -> None:
        """Writes a tile to global or shared memory."""
        if self.interpret or JAX_0_10:
            ref[...] = tile
        else:
            plgpu.store(ref, tile, optimized=False)  # type: ignore[attr-defined]

    def copy(self, source: Any, target: Any) -> None:
        """From global memory to swizzled shared memory, through registers."""
        rows, columns = source.shape
        swizzled = plgpu.Layout.SMEM_GMEM_COPY(source.shape, source.dtype, SWIZZLE)
        whole = rows // 8 * (columns * source.dtype.itemsize // SWIZZLE) % 4 == 0
        self.store(target, self.load(source, swizzled if whole else None))

    def multiply(self, weights: Any, operand: Any, result: Any, fill: Callable, chunk: int) -> None:
        """result [M, N] = weights [M, K] · aᵀ [K, N], all in shared memory, in float32.

        `fill(start)` puts columns start to start + chunk of a [N, K] into `operand`.
        """
        starts = range(0, weights.shape[1], chunk)
        if self.interpret:
            total = jnp.zeros(result.shape, jnp.float32)
            for start in starts:
                fill(start)
                part, a = weights[:, start : start + chunk], operand[...]
                total += jnp.dot(*(v.astype(jnp.float32) for v in (part, a.T)), precision="highest")
            result[...] = total
            return

        def accumulate(accumulator: Any) -> Array:
            for start in starts:
                fill(start)
                plgpu.commit_smem()
                part = weights.at[:, pl.ds(start, chunk)]
                plgpu.wgmma(accumulator, part, transpose(operand))
                plgpu.wgmma_wait(0)
            return accumulator[...]

        self.store(result, pl.run_scoped(accumulate, plgpu.ACC(result.shape, jnp.float32)))

    def fence(self) -> None:
        """Makes what this thread wrote visible to its cluster, and the other way round."""
        if not self.interpret:
            plgpu.inline_mgpu()(cluster_fence)()


def cluster_fence(_: Any) -> None:
    from jaxlib.mlir import ir
    from jaxlib.mlir.dialects import llvm

    nothing = ir.Type.parse("!llvm.void")
    llvm.inline_asm(nothing, [], "fence.acq_rel.cluster;", "~{memory}", has_side_effects=True)


def transpose(ref: Any) -> Any:
    """A view with rows and columns exchanged."""
    return ref.at[...].transpose((1, 0)) if hasattr(ref, "at") else ref.transpose((1, 0))


def tile_layout() -> Any:
    """Tiles of 8 by 16 numbers over the 128 threads of a warpgroup, one number each."""
    tiling = plgpu.Tiling(((8, 16), (2, 16), (1,)))
    return plgpu.Layout.TILED(tiling, warp_dims=(-5,), lane_dims=(-3, -2), vector_dim=-1)


def shared(shape: tuple[int, int], dtype: Any) -> Any:
    """An operand of the matrix unit in shared memory [rows, K]."""
    tiling = plgpu.TilingTransform((8, SWIZZLE // jnp.dtype(dtype).itemsize))
    transforms = (tiling, plgpu.SwizzleTransform(SWIZZLE))
    return plgpu.SMEM(shape, jnp.dtype(dtype), transforms=transforms)


INTERPRETED: list[Device] = []


@contextmanager
def interpreted(chip: Chip = HOPPER) -> Iterator[None]:
    """Within it, kernels run in interpret mode, as if on this chip: for tests on a CPU.

    What `jax.jit` compiled before or after is compiled for what was current then; call
    `jax.clear_caches()` in between.
    """
    from jax._src.pallas.mosaic_gpu.interpret.params import InterpretGPUParams

    INTERPRETED.append(Device(chip, InterpretGPUParams()))
    try:
        yield
    finally:
        INTERPRETED.pop()


def current() -> Device:
    """The device that kernels are made for."""
    if INTERPRETED:
        return INTERPRETED[-1]
    gpu = jax.devices("gpu")[0]
    return Device(HOPPER._replace(multiprocessors=gpu.core_count), False)
