# One command for each thing a newcomer does; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCAN := $(VENV)/.scan
CORES ?= all
REPORT ?= results/report$(if $(CONFIG),-$(notdir $(basename $(CONFIG)))).html
# One thread in each process: cells run side by side, and threads that wait for each other cost more than they give.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
# cron, containers and minimal shells have no locale; Snakemake's files are UTF-8
export PYTHONUTF8 ?= 1

.PHONY: help sweep test lint bench report soak replication packages figures docs hooks setup clean
.DEFAULT_GOAL := sweep

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

sweep: setup  ## train the default study and draw its curves
	$(BIN)/snakemake --cores $(CORES)

replication: setup  ## the paper's claims, on this machine
	$(BIN)/snakemake --cores $(CORES) --configfile config/replication.yaml

report: setup  ## results/report.html: claims, figures, tables and provenance in one file; CONFIG=FILE for another study
	$(BIN)/snakemake --report $(REPORT) $(if $(CONFIG),--configfile $(CONFIG))
	@echo "the report: $(REPORT)"

test: setup $(SCAN)  ## the test suite, about eleven minutes
	$(BIN)/pytest -n 2 --dist worksteal

soak: setup $(SCAN)  ## the long version of the tests that interrupt and mutate
	LMRNN_SOAK_KILLS=100 LMRNN_SOAK_MUTATIONS=4000 LMRNN_SOAK_STATES=400 LMRNN_SOAK_STUDIES=200 LMRNN_SOAK_TABLES=300 LMRNN_SOAK_NULLS=1000 LMRNN_SOAK_KERNELS=1 $(BIN)/pytest -m soak

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check --compact-diff Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy

# The one for a GPU needs torch, numpy and h5py alone: it sets nothing up, and takes PYTHON where there is no .venv.
FOR_GPU := $(filter gpu,$(BENCH))
bench: $(if $(FOR_GPU),,setup)  ## measured against what people use today; BENCH=--quick for a short one, BENCH=gpu on a GPU
	$(if $(FOR_GPU),$(firstword $(wildcard $(BIN)/python) $(PYTHON)),$(BIN)/python) -m benchmarks $(BENCH)

packages: setup  ## draw the packages and their imports anew: docs/packages.svg
	$(BIN)/python docs/draw_packages.py

figures: setup  ## the figures of the documentation anew, from the tables in docs/results
	$(BIN)/python docs/results.py draw

docs: setup  ## the documentation as a site in build/site, offline, warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

hooks: setup  ## before each commit, the checks of `make lint` that take a moment
	$(BIN)/pre-commit install

setup: $(READY)  ## the environment in .venv, kept as long as nothing that it is made of changes

PLUGIN := snakemake-executor-plugin-submitit

$(READY): pyproject.toml $(PLUGIN)/pyproject.toml constraints.txt hatch_build.py lmrnn/files/sources.py $(wildcard lmrnn/networks/csrc/*)
	@echo "installing into $(VENV): a few minutes, 2 GB, more with CUDA"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ./$(PLUGIN) -e '.[dev]'
	touch $@
	@echo "ready: source $(VENV)/bin/activate"

$(SCAN): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[scan]'
	touch $@

clean:  ## remove what setup made; results stay
	rm -rf $(VENV)
