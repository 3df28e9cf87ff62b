# `make help` lists what there is. Nothing is needed beforehand but make and Python.
PYTHON ?= python3
# JupyterLab's own options, for example: make lab LAB_OPTIONS=--port=8889
LAB_OPTIONS ?=
# Two processes, a file each at a time, so that a notebook stays in one; those that take longest first.
PYTEST_OPTIONS ?= -n 2 --dist loadfile --no-loadscope-reorder

BIN = .venv/bin
READY = .venv/.ready
TESTS_READY = .venv/.tests-ready
BENCH_READY = .venv/.bench-ready
BUILDING = .venv/.building
PIP_INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check
VERSION = $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null)
# What the reader has set for other work has no say here.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH
# Says in a line why nothing can be installed, or nothing.
REFUSAL = $(shell "$(PYTHON)" -m helpers.preflight 2> /dev/null)
# A Python that was upgraded away leaves .venv behind without one: it is made anew.
GONE = $(if $(wildcard .venv),$(shell $(BIN)/python -c "" 2> /dev/null || echo .python-is-gone))
ROOT_OPTION = $(if $(filter 0,$(shell id -u)),--allow-root)
OTHER_PYTHON = mnist-CNN needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $(or $(VERSION),not there). \
  Install one (then: make $(MAKECMDGOALS) PYTHON=python3.12)

.PHONY: .python-is-gone help lab run check test test-all notebooks measure publish bench offline-pack site
.DEFAULT_GOAL := help

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1	/' | expand -t 18

lab: $(READY) ## open JupyterLab on the first notebook
# binder/overrides.json keeps JupyterLab from asking about its news, here as on Binder.
	$(BIN)/python -m jupyterlab --ServerApp.root_dir=. --LabApp.app_settings_dir=binder \
	  $(ROOT_OPTION) $(LAB_OPTIONS) notebooks/00_start_here.ipynb

run: $(READY) ## execute the whole series and write it as pages to build/html
	@$(BIN)/python -m tools.run

# The threads of a library would wait for those of the other process.
check test test-all: export OMP_NUM_THREADS = 1

check: $(TESTS_READY) ## style, structure, numbers, links and quick tests (a minute)
	$(BIN)/python -m pytest tests -m "not slow and not weekly" $(PYTEST_OPTIONS)

test: $(TESTS_READY) ## run the tests, notebooks included (21 minutes)
	$(BIN)/python -m pytest -m "not weekly" $(PYTEST_OPTIONS)

test-all: $(TESTS_READY) ## run also what is slow and rarely breaks, as CI does weekly
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

notebooks: $(READY) ## execute and clean the committed notebooks (needs real MNIST)
	@$(BIN)/python -m tools.run --save

measure: $(READY) ## measure the lessons' seconds and memory; let the machine do nothing else
	@$(BIN)/python -m tools.measure

publish: $(READY) ## carry what was measured into the texts
	@$(BIN)/python -m tools.publish

bench: $(BENCH_READY) ## time training and reading against Keras' and PyTorch's own (an hour)
	$(BIN)/python -m benchmarks.bench
	@$(BIN)/python -m tools.publish

offline-pack: $(READY) ## make build/offline-pack, to set up from without a network
	@$(BIN)/python -m tools.offline_pack

site: $(READY) ## build/site: the lessons as committed, the pad and the model card, to be hosted
	@$(BIN)/python -m tools.website

# A stamp is the last thing written, so an installation that was cut short is done again; the very
# first one from scratch.
$(READY): requirements.txt $(GONE)
	$(if $(filter 3.11 3.12 3.13,$(VERSION)),,$(error $(OTHER_PYTHON)))
	$(if $(findstring TensorFlow,$(REFUSAL)),$(error $(REFUSAL)))
	@echo "Installing into .venv what requirements.txt lists; the first time takes some minutes."
	@if [ ! -d .venv ] || [ -e $(BUILDING) ] || [ -n "$(GONE)" ]; \
	  then "$(PYTHON)" -m venv --clear .venv && touch $(BUILDING); \
	  else "$(PYTHON)" -m venv .venv; fi
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@ && rm -f $(BUILDING)

$(TESTS_READY): $(READY) tests/requirements.txt tools/requirements.txt requirements-export.txt
	@echo "Installing into .venv what tests/requirements.txt lists."
	@$(PIP_INSTALL) -r requirements.txt -r tests/requirements.txt
	@touch $@

$(BENCH_READY): $(READY) benchmarks/requirements.txt
	@echo "Installing into .venv what benchmarks/requirements.txt lists."
	@$(PIP_INSTALL) -r requirements.txt -r benchmarks/requirements.txt
	@touch $@
