# Everything runs in .venv in this folder; nothing outside it is changed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP = .venv/bin/python -m pip --disable-pip-version-check install --progress-bar off
UV ?= $(shell command -v uv)
INSTALLED = .venv/.installed

.PHONY: help install demo test test-fast test-slow lint bench reference docs clean

help:            ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F': +' '{ printf "  make %-10s %s\n", $$1, $$2 }'

install: $(INSTALLED)  ## make .venv and install exactly the versions in constraints.txt

# torch first and pinned, by pip, whose configuration says which build: with it in place nothing pulls another. The rest
# by uv where that is on PATH (the same pins, in a fraction of the time; `make UV= install` leaves it aside), else by pip.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "sao needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv \
	  || { rm -rf .venv; $(PYTHON) -m pip install --user --quiet virtualenv && $(PYTHON) -m virtualenv --quiet .venv; }
	@echo "installing into .venv: about 2.7 GB on disk (8 GB with torch's CUDA build), one to ten minutes by network"
	@echo "== 1 of 2: torch"; $(call by_pip,torch)
	@echo "== 2 of 2: sao and all other packages"; \
	  if test -n "$(UV)" && "$(UV)" pip install --python .venv/bin/python --constraint constraints.txt --editable '.[dev]'; \
	  then :; else test -z "$(UV)" || echo "uv could not (see above); pip goes on"; $(call by_pip,--editable '.[dev]'); fi
	@touch $@

# pip says what it fetches and how large it is; without what is there already, and with pip's own exit status
define by_pip
{ $(PIP) --constraint constraints.txt $(1); echo $$? > .venv/.status; } \
  | grep --line-buffered -E '^(Collecting|Processing|  Downloading|  Using cached|Building|Installing|Successfully)'; \
test "$$(cat .venv/.status)" = 0
endef

demo: install    ## build the demo dataset into out/demo
	@.venv/bin/sao demo

test: install lint  ## lint, types and the whole test suite (six to twelve minutes)
	.venv/bin/python -m pytest -n 2 --dist loadfile -m 'not slow and not gpu'

test-fast: install  ## the tests without Ray, training and whole commands (200 s of CPU time, two processes)
	.venv/bin/python -m pytest -n 2 --dist loadfile -m 'not slow and not gpu and not ray_cluster' \
	  --ignore=tests/parity --ignore=tests/pipelines --ignore=tests/training --ignore=tests/test_first_hour.py

test-slow: install  ## the long forms: 20 kills, the whole odd-audio corpus
	.venv/bin/python -m pytest -m slow

lint: install    ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: install   ## measure; see benchmarks/README.md
	.venv/bin/python benchmarks/audio.py

# Ten minutes of one core: the codec learns too little in them for the check before a transformer's training, which is
# left out. Known-good curves are made of several runs, with other seeds:
#   make reference REFERENCE=out/reference-1 SEED=1
#   sao train compare out/reference/vae out/reference-1/vae … --write-bands manifests/reference/vae_small.json
REFERENCE ?= out/reference
SEED ?= 0
ON_ONE_CORE = OMP_NUM_THREADS=1 .venv/bin/accelerate launch --cpu --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no

reference: install  ## train the small model on fixed data, and hold its curves against known-good ones
	.venv/bin/python pipelines/ingest.py --executor local --out $(REFERENCE)/data --manifest manifests/demo.toml \
	  --set source.0.count=192 --set split.validation_share=0.2
	rm -rf $(REFERENCE)/vae $(REFERENCE)/dit
	$(ON_ONE_CORE) pipelines/train_vae.py --config manifests/training/vae_small.toml --set seed=$(SEED) \
	  --set pace.steps=500 --data $(REFERENCE)/data --out $(REFERENCE)/vae
	$(ON_ONE_CORE) pipelines/train_dit.py --config manifests/training/dit_small.toml --set seed=$(SEED) \
	  --set pace.steps=250 --set pace.validate_every=125 --set preflight.check=false \
	  --data $(REFERENCE)/data --vae $(REFERENCE)/vae --out $(REFERENCE)/dit
	.venv/bin/sao train compare $(REFERENCE)/vae; vae=$$?; .venv/bin/sao train compare $(REFERENCE)/dit && exit $$vae

docs: install    ## rewrite the generated parts of the docs
	.venv/bin/python docs/generate.py

clean:           ## remove .venv and caches (out/ stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
