# `make help` lists what there is. Nothing is needed beforehand but make and Python.
PYTHON ?= python3
# JupyterLab's own options, for example: make lab LAB_OPTIONS=--port=8889
LAB_OPTIONS ?=
# Two processes, a file each at a time, so that a notebook stays in one.
PYTEST_OPTIONS ?= -n 2 --dist loadfile

BIN = .venv/bin
READY = .venv/.ready
TESTS_READY = .venv/.tests-ready
BENCH_READY = .venv/.bench-ready
BUILDING = .venv/.building
PIP_INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check
VERSION = $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null)
OTHER_PYTHON = mnist-CNN needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $(or $(VERSION),not there). \
  Install one (then: make $(MAKECMDGOALS) PYTHON=python3.12)

.PHONY: help lab run test notebooks offline-pack bench
.DEFAULT_GOAL := help

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1	/' | expand -t 18

lab: $(READY) ## open JupyterLab on the first notebook
# binder/overrides.json keeps JupyterLab from asking about its news, here as on Binder.
	$(BIN)/python -m jupyterlab --ServerApp.root_dir=. --LabApp.app_settings_dir=binder \
	  $(LAB_OPTIONS) notebooks/00_start_here.ipynb

run: $(READY) ## execute the whole series and write it as pages to build/html
	@$(BIN)/python -m tools.run

test: $(TESTS_READY) ## run the tests, notebooks included
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

notebooks: $(READY) ## execute and clean the committed notebooks (needs real MNIST)
	@$(BIN)/python -m tools.run --save

bench: $(BENCH_READY) ## time training and reading against Keras' and PyTorch's own (an hour)
	$(BIN)/python -m benchmarks.bench

offline-pack: $(READY) ## make build/offline-pack, to set up from without a network
	@$(BIN)/python -m tools.offline_pack

# A stamp is the last thing written, so an installation that was cut short is done again; the very
# first one from scratch.
$(READY): requirements.txt
	$(if $(filter 3.11 3.12 3.13,$(VERSION)),,$(error $(OTHER_PYTHON)))
	@echo "Installing into .venv what requirements.txt lists; the first time takes some minutes."
	@if [ ! -d .venv ] || [ -e $(BUILDING) ]; \
	  then "$(PYTHON)" -m venv --clear .venv && touch $(BUILDING); \
	  else "$(PYTHON)" -m venv .venv; fi
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@ && rm -f $(BUILDING)

$(TESTS_READY): $(READY) tests/requirements.txt
	@echo "Installing into .venv what tests/requirements.txt lists."
	@$(PIP_INSTALL) -r requirements.txt -r tests/requirements.txt
	@touch $@

$(BENCH_READY): $(READY) benchmarks/requirements.txt
	@echo "Installing into .venv what benchmarks/requirements.txt lists."
	@$(PIP_INSTALL) -r requirements.txt -r benchmarks/requirements.txt
	@touch $@
