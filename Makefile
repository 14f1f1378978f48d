# Everything runs in .venv in this folder; nothing outside it is changed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP = .venv/bin/python -m pip --disable-pip-version-check
INSTALLED = .venv/.installed

.PHONY: help install demo test test-slow lint bench docs clean

help:            ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(INSTALLED)  ## make .venv and install exactly the versions in constraints.txt

# torch first and pinned: with it in place nothing else pulls another build of it.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "sao needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv \
	  || { rm -rf .venv; $(PYTHON) -m pip install --user --quiet virtualenv && $(PYTHON) -m virtualenv --quiet .venv; }
	@echo "installing into .venv (about 2.5 GB on disk; one to ten minutes, by network)"
	@$(PIP) install --quiet --constraint constraints.txt torch
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install    ## build the demo dataset into out/demo
	@.venv/bin/sao demo

test: install lint  ## lint, types and the whole test suite (under five minutes)
	.venv/bin/python -m pytest -n 2 --dist loadfile -m 'not slow and not gpu'

test-slow: install  ## the long forms: 20 kills, the whole odd-audio corpus
	.venv/bin/python -m pytest -m slow

lint: install    ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: install   ## measure; see benchmarks/README.md
	.venv/bin/python benchmarks/normalise.py

docs: install    ## rewrite the generated parts of the docs
	.venv/bin/python docs/generate.py

clean:           ## remove .venv and caches (out/ stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
