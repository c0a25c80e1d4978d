"""Tidies every notebook: `python -m experiments.notebooks`, or `make notebooks`."""

from experiments.notebooks.tidying import NOTEBOOKS, tidied

for path in NOTEBOOKS:
    path.write_text(tidied(path))
