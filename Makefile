# Everything is installed into .venv with the versions of constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# SAELens brings a hundred packages that nothing else needs: an environment of its own.
SAELENS := .venv-saelens

# Two torch threads at toy shapes give nothing, and collapse on a busy machine.
export OMP_NUM_THREADS ?= 1

.PHONY: demo study test test-all test-saelens lint docs benchmark mutate clean

demo: $(STAMP)
	$(BIN)/python -m experiments.composed_features size=demo

study: $(STAMP)
	$(BIN)/python -m experiments.composed_features

test: lint
	$(BIN)/python -m pytest -m "not slow" -n 2

test-all: lint
	$(BIN)/python -m pytest -n 2

test-saelens: $(SAELENS)/installed
	$(SAELENS)/bin/python -m pytest -m saelens

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m toysae.reference > docs/metrics.md

mutate: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt cosmic-ray
	$(BIN)/python -m benchmarks.mutation

benchmark: $(STAMP)
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.generators

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,wandb]'
	touch $(STAMP)

$(SAELENS)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SAELENS)
	$(SAELENS)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(SAELENS)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' sae-lens
	touch $(SAELENS)/installed

clean:
	rm -rf $(VENV) $(SAELENS) .mypy_cache .ruff_cache .hypothesis
