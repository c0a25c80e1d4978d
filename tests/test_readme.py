"""The README's Python examples run, one after the other, as a reader would type them."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parent.parent / "README.md"


def test_python_examples_run_and_give_what_their_comments_say():
    names: dict = {"__name__": "readme"}
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert len(blocks) == 3
    assert names["forget_gates"].shape == (100, 8, 128)
    assert names["ys"].shape == (8, 100, 128)
    gradient = np.asarray(names["grads"].network.layers_0.recurrent_kernel[...])
    assert np.isfinite(gradient).all()
    assert gradient.std() > 0
