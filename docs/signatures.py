"""Signatures as the source writes them: `xs: Array`, whatever an array may be."""

from __future__ import annotations

import inspect
from typing import Any, ForwardRef


class Written(str):
    """Text that a signature shows without quotes."""

    __repr__ = str.__str__


def process(app, what, name, obj, options, shown, returned) -> tuple[str, str] | None:
    """Sphinx's hook `autodoc-process-signature`."""
    if not callable(obj) or shown is None:
        return None
    try:
        found = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    return arguments(found), "" if what == "class" else result(found)


def arguments(found: inspect.Signature) -> str:
    """What stands between the parentheses, and these."""
    own = [p for p in found.parameters.values() if p.name not in ("self", "cls", "_cls")]
    plain = [p.replace(annotation=written(p.annotation), default=name(p.default)) for p in own]
    return str(inspect.Signature(plain))


def result(found: inspect.Signature) -> str:
    """What stands after the arrow."""
    nothing = found.return_annotation is found.empty
    return "" if nothing else inspect.formatannotation(written(found.return_annotation))


def written(annotation: Any) -> Any:
    """An annotation, as text where it is kept as text."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    return Written(annotation) if isinstance(annotation, str) else annotation


def name(default: Any) -> Any:
    """A default, a function by its name."""
    return Written(default.__name__) if inspect.isfunction(default) else default
