"""Sphinx's configuration; `make docs` builds the site into docs/_build/html."""

import inspect
import sys
from pathlib import Path

from sphinx.util import logging

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs import docstrings, pages, signatures  # noqa: E402  (found by the line above)
from lstm_jax import __version__  # noqa: E402

project = "lstm_jax"
author = "The lstm_jax authors"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints_format = "short"
smartquotes_action = "D"  # dashes; quotes are those of Python
python_maximum_signature_line_length = 88
highlight_language = "python"

html_theme = "furo"
html_title = f"lstm_jax {version}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False


def skip(app, what, name, obj, skip, options) -> bool | None:
    """Leaves out fields: of named tuples, and functions that are the default of one."""
    field = str(getattr(obj, "__doc__", "")).startswith("Alias for field")
    default = what == "class" and inspect.isfunction(obj) and "." not in obj.__qualname__
    return True if field or default else None


def convert(app, what, name, obj, options, lines: list[str]) -> None:
    """Rewrites a docstring in place; one that cannot be read is a warning."""
    try:
        lines[:] = docstrings.convert("\n".join(lines)).splitlines()
    except ValueError as error:
        logging.getLogger(__name__).warning("%s: %s", name, error)


def setup(app) -> None:
    app.connect("source-read", pages.process)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", convert)
    app.connect("autodoc-process-signature", signatures.process)
