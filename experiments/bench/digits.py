"""Numbers as the tables show them."""

from __future__ import annotations


def number(value: float | None, scale: float = 1.0) -> str:
    """Three digits, or a dash."""
    if value is None:
        return "–"
    scaled = scale * value
    return f"{scaled:,.0f}" if abs(scaled) >= 100 else f"{scaled:.3g}"
