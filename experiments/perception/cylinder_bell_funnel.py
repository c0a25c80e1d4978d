"""Cylinders, bells and funnels: series whose class is the shape of one event, drawn from a seed."""

from __future__ import annotations

import numpy as np

from experiments.data.series import Series

CLASSES = ("cylinder", "bell", "funnel")
LONGEST = 128  # steps


def cylinder_bell_funnel(number: int, seed: int) -> Series:
    """Draws series of one dimension, the three classes by turns.

        x(t) = (6 + η) s(t) + ε(t),   t = 1, ..., T,   η, ε(t) ~ N(0, 1)

    with s(t) = 0 outside of the event a ≤ t ≤ b, and within it

        cylinder  s(t) = 1
        bell      s(t) = (t − a) / (b − a)
        funnel    s(t) = (b − t) / (b − a)

    a is an integer in [16, 32] and b − a one in [32, 96]. Saito's T is 128; here it is an integer
    in [b, 128], so that lengths vary and say nothing about the class.

    Args:
        number: how many series.
        seed: that of all that is drawn.

    Source: N. Saito 1994, "Local feature extraction and its applications using a library of
    bases", PhD thesis, Yale University.
    """
    random = np.random.default_rng(seed)
    labels = [CLASSES[index % len(CLASSES)] for index in range(number)]
    sequences = [_draw(label, random)[:, None].astype(np.float32) for label in labels]
    return Series("CylinderBellFunnel (generated)", sequences, labels, CLASSES)


def _draw(label: str, random: np.random.Generator) -> np.ndarray:
    """One series [T] of a class."""
    a = random.integers(16, 32, endpoint=True)
    b = a + random.integers(32, 96, endpoint=True)
    t = np.arange(1, 1 + int(random.integers(b, LONGEST, endpoint=True)))
    rise = (t - a) / (b - a)
    shape = {"cylinder": np.ones(len(t)), "bell": rise, "funnel": 1 - rise}[label]
    event = (6 + random.normal()) * shape * ((a <= t) & (t <= b))
    return event + random.normal(size=len(t))
