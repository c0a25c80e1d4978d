# make demo        compare the cells on two tasks; tables, samples and plots in runs/demo
# make test        the tests but for the slow ones, which `make test-slow` runs; with either,
#                  TESTS=tests/lstm_jax runs some of them
# make lint        ruff and mypy
# make docs        the documentation, docs/_build/html/index.html
# make notebooks   writes the badge and the installing cell of every notebook, strips outputs
# make clean       removes environments and caches, keeps runs
#
# Everything runs in an environment of its own, .venv/<Python version>, which is made on first
# use and again when pyproject.toml changes. With another Python: make test PYTHON=python3.12

works := import sys; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c '$(works)' 2>/dev/null && echo $$python && break; done)
endif
ifeq ($(PYTHON),)
PYTHON := python3
endif
ifndef VENV
VENV := .venv/$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
endif
RUN := $(VENV)/bin/python

.PHONY: demo test test-slow test-all lint docs notebooks env new-env clean

demo: env
	@$(RUN) -m experiments.demo --workdir=runs/demo

test: env
	@$(RUN) -m pytest -n 2 -m "not slow" $(TESTS)

test-slow: env
	@$(RUN) -m pytest -n 2 -m slow $(TESTS)

test-all: env
	@$(RUN) -m pytest -n 2

lint: env
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

docs: env
	@$(RUN) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

notebooks: env
	@$(RUN) -m experiments.notebooks

env:
	@test -x $(RUN) && cmp -s pyproject.toml $(VENV)/pyproject.toml \
		|| $(MAKE) --no-print-directory new-env

new-env:
	@$(PYTHON) -c '$(works)' || { \
		echo "lstm_jax needs Python 3.11 or newer, and $(PYTHON) is none."; \
		echo "Name another one, for instance: make demo PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) lacks its modules venv and ensurepip."; \
		echo "On Debian and Ubuntu the package python3-venv has them."; exit 1; } >&2
	@echo "Installing into $(VENV): once, about two minutes"
	@test -x $(RUN) || $(PYTHON) -m venv --clear $(VENV)
	@$(RUN) -m pip install --disable-pip-version-check --editable '.[dev]'
	@cp pyproject.toml $(VENV)/pyproject.toml

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
