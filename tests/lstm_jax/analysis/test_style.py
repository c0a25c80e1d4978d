"""The colors of plots: those for text are dark enough to be read."""

import numpy as np
import pytest

from lstm_jax.analysis.style import RIGHT, WRONG


def channels(color):
    return np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255


@pytest.mark.parametrize("color", [RIGHT, WRONG])
def test_text_has_the_contrast_to_white_that_the_web_wants(color):
    """At least 4.5, by the formulas of WCAG 2.1; the palette itself has less."""
    linear = ((channels(color) + 0.055) / 1.055) ** 2.4
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5
