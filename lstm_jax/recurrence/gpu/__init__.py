"""`method="gpu"`: every cell whose equations are elementwise around its products, in one kernel.

On a GPU a scan costs several kernel launches a step, and reads the recurrent kernel anew in each.
Here one kernel of Pallas (Mosaic GPU) runs the whole sequence, with the matrices in shared memory.
The cell's equations are traced, like those of "fused", and become the end of its products:

- `steps` traces a step, and its transpose for the backward pass;
- `tiles` runs such a trace on the tiles that a thread block owns;
- `plan` lays units and sequences over the chip, `packing` the arrays;
- `kernel` is the loop over time, and `device` what it asks of the chip.

The input product is done before and dU after it, for all steps at once, as in "fused".
"""

from lstm_jax.recurrence.gpu.engine import run
from lstm_jax.recurrence.gpu.obstacles import obstacle

__all__ = ["obstacle", "run"]
